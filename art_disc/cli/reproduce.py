"""`art-disc reproduce`: a published table run again, its numbers beside ours."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers, number, say, settings_of
from art_disc.core.errors import InputError


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser(
        "reproduce",
        help="run a published table on the data at hand, beside the printed numbers",
        description="Trains the networks of a published table (or takes them from the cache), runs "
        "the papers' attack and stronger ones, and prints our numbers beside theirs, with what "
        "differs. Finished rows are kept: the same words go on with an interrupted run.",
    )
    parser.add_argument(
        "table", nargs="?", help="chen2018-table3, ...; without it the tables are listed"
    )
    _which_rows(parser)
    _how_much(parser)
    parser.add_argument("--data-dir", metavar="DIR", help="where NAME.npz is looked for first")
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="runs/reproduce",
        help="folder of TABLE.json and TABLE.md, and of the rows' records, which tables share; "
        "default runs/reproduce",
    )
    parser.add_argument("--json", metavar="FILE", help="write the finished table there too")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=run)


def _which_rows(parser: ArgumentParser) -> None:
    parser.add_argument("--dataset", nargs="+", default=(), help="rows of these data sets alone")
    parser.add_argument(
        "--setting",
        nargs="+",
        default=(),
        help="rows of these settings alone, and their bases: nat_pre, adv_pre, disc_nat_pre, "
        "disc_adv_pre, disc_nat_re, disc_adv_re",
    )
    parser.add_argument(
        "--codes", nargs="+", type=int, default=(), help="rows with so many codes alone"
    )
    parser.add_argument(
        "--eps", nargs="+", type=number, default=(), help="other budgets, in [0, 1]"
    )


def _how_much(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--n-ex",
        type=int,
        help="test images attacked or certified; default 200, for chen2019-figure5 1000",
    )
    parser.add_argument(
        "--train-steps",
        type=int,
        help="batches in the natural training of a network, the other trainings in proportion; "
        "default the recipe's own",
    )
    parser.add_argument(
        "--attacks",
        default="",
        help="names joined by commas; default sign_adam,pgd,apgd_ce,apgd_dlr,square",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="ATTACK.KEY=VALUE",
        help="change an attack's setting, for example square.max_iter=1000; repeatable",
    )
    parser.add_argument(
        "--checks",
        choices=("none", "quick", "standard", "full"),
        help="check each row's evaluation too; default none",
    )
    parser.add_argument(
        "--max-free",
        type=int,
        help="tables of certificates: enumerate up to 2^MAX_FREE code images; default 12",
    )
    parser.add_argument("--seed", type=int, default=0)


def run(options: Namespace) -> int:
    """Run the table, print it, write it as JSON and Markdown; without one list them."""
    from art_disc.reproduction import CERTIFICATES, FIGURE5, TABLES
    from art_disc.reproduction.figure5 import TITLE

    # title, what runs it, and the options that say nothing about it
    known = {
        **{name: (table.title, _accuracies, ("max_free",)) for name, table in TABLES.items()},
        **{name: (title, _certificates, _ROWS) for name, title in CERTIFICATES.items()},
        FIGURE5: (TITLE, _figure5, (*_ROWS, "train_steps", "max_free")),
    }
    if options.table is None:
        for name in sorted(known):
            print(f"{name:18} {known[name][0]}")
        return DONE
    if options.table not in known:
        msg = f"unknown table {options.table!r}; there are {', '.join(sorted(known))}"
        raise InputError(msg)
    _, command, odd = known[options.table]
    _refuse(options, odd)
    return command(options)


_ROWS = ("dataset", "setting", "codes", "eps", "attacks", "set", "checks")


def _refuse(options: Namespace, names: tuple[str, ...]) -> None:
    """Refuse words that say nothing about this table: none is ignored silently."""
    for name in names:
        if getattr(options, name) not in ((), [], "", None):
            word = f"--{name.replace('_', '-')}"
            msg = f"{word} has no meaning for {options.table}; leave it out"
            raise InputError(msg)


def _accuracies(options: Namespace) -> int:
    from art_disc.core.files import replace_file
    from art_disc.report import as_markdown, as_text, eps_figures
    from art_disc.reproduction import reproduce
    from art_disc.reproduction.rows import ATTACKS
    from art_disc.reproduction.run import file_name

    out = Path(options.out)
    record = reproduce(
        options.table,
        out=out,
        datasets=options.dataset,
        settings=options.setting,
        n_codes=options.codes,
        eps=options.eps,
        n_ex=200 if options.n_ex is None else options.n_ex,
        train_steps=options.train_steps,
        attacks=options.attacks.split(",") if options.attacks else ATTACKS,
        attack_settings=settings_of(options),
        checks=None if options.checks == "none" else options.checks,
        seed=options.seed,
        data_dir=options.data_dir,
        announce=lambda text: say(options, text),
        verbose=not options.quiet,
    )
    print(as_text(record))
    name = file_name(options.table, options.dataset, options.setting, options.codes)
    for dataset, picture in eps_figures(record).items():
        print(f"figure: {replace_file(out / f'{name}-{dataset}.svg', picture)}")
    print(f"table: {replace_file(out / f'{name}.md', as_markdown(record).encode())}")
    _copy(options, out / f"{name}.json")
    return DONE


def _certificates(options: Namespace) -> int:
    from art_disc.report import as_text
    from art_disc.reproduction import reproduce_certificates

    record = reproduce_certificates(
        options.table,
        out=options.out,
        n_ex=200 if options.n_ex is None else options.n_ex,
        max_free=12 if options.max_free is None else options.max_free,
        train_steps=options.train_steps,
        seed=options.seed,
        data_dir=options.data_dir,
        verbose=not options.quiet,
    )
    print(as_text(record))
    _copy(options, Path(options.out) / f"{record.table}.json")
    return DONE


def _figure5(options: Namespace) -> int:
    from art_disc.report import as_text
    from art_disc.reproduction import FIGURE5, reproduce_figure5

    n_ex = 1000 if options.n_ex is None else options.n_ex
    record = reproduce_figure5(out=options.out, n_ex=n_ex, data_dir=options.data_dir)
    print(as_text(record))
    _copy(options, Path(options.out) / f"{FIGURE5}.json")
    return DONE


def _copy(options: Namespace, source: Path) -> None:
    from art_disc.core.files import replace_file

    if options.json:
        print(f"copy: {replace_file(options.json, source.read_bytes())}")
