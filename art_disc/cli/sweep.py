"""Run a plan of many evaluations, or go on with it.

Crosses data sets, networks, defences, budgets, attacks, surrogates and seeds. Each finished cell is
on the disk at once; after a stop the same command goes on. The exit code is 1 where a cell failed.
"""

from argparse import ArgumentParser, Namespace

from art_disc.cli.exits import DONE, FLAWED, INTERRUPTED
from art_disc.cli.options import say, share


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("plan", metavar="PLAN.toml", help="what to cross; see docs/sweeps.md")
    parser.add_argument("--out", metavar="DIR", help="the run folder; default runs/NAME")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes; default one a core, or one a GPU"
    )
    parser.add_argument(
        "--backend",
        default="loky",
        choices=("loky", "dask"),
        help="processes of this machine (default), or a Dask cluster",
    )
    parser.add_argument("--scheduler", metavar="ADDR", help="of the cluster: tcp://host:8786")
    parser.add_argument(
        "--time-limit", metavar="TIME", help="no cell starts later than this: 2h, 15m, 90s"
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="run cells again that failed or were skipped before",
    )
    parser.add_argument(
        "--extend", action="store_true", help="accept a plan that adds cells to the run folder's"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the cells and their cost, run nothing"
    )
    share(parser, "--quiet")


def run(options: Namespace) -> int:
    """Run the plan; on Ctrl-C report what was finished and return 130."""
    from art_disc.evaluation.sweep import (
        Execution,
        SweepInterrupted,
        SweepPlan,
        plan_cells,
        run_sweep,
    )
    from art_disc.report import as_text

    plan = SweepPlan.from_toml(options.plan)
    if options.dry_run:
        cells = plan_cells(plan)
        for cell in cells:
            gradients, queries = cell.passes
            print(f"{cell.key}  {gradients:.0f} gradients, {queries:.0f} queries an image")
        gradients, queries = map(sum, zip(*(cell.passes for cell in cells), strict=True))
        print(f"{len(cells)} cells, {gradients:.0f} gradients and {queries:.0f} queries an image")
        return DONE
    out = options.out or f"runs/{plan.name}"
    execution = Execution(options.jobs, options.backend, options.scheduler)
    try:
        record = run_sweep(
            plan,
            out,
            execution=execution,
            time_limit=options.time_limit,
            retry_failed=options.retry_failed,
            extend=options.extend,
            announce=lambda text: say(options, text),
            verbose=not options.quiet,
        )
        code, why = (DONE, FLAWED)[record.count("failed") > 0], "stopped by the time limit"
    except SweepInterrupted as stop:
        record, code, why = stop.partial, INTERRUPTED, "interrupted"
    print(as_text(record))
    if not record.complete:
        left = record.planned - len(record.cells)
        print(f"{why}: {left} cells left; the same command goes on with them")
    print(f"report: {out}/report.html")
    return code
