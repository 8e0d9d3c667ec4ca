"""Compare two evaluations on the same examples.

Accuracy of both runs at every budget that both attacked, the difference with its paired 95%
interval, and McNemar's exact p value. The runs must be about the same examples; both verdicts are
on the checks that both were asked for. With --fail-below the exit code is 1 where A falls short.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from art_disc.cli.exits import DONE, FLAWED
from art_disc.cli.options import number


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run_a", metavar="RUN_A", help="a folder with record.json")
    parser.add_argument("run_b", metavar="RUN_B", help="another one; differences are A minus B")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for compare.html and compare.json; default runs/compare-A-B",
    )
    parser.add_argument(
        "--fail-below",
        type=number,
        metavar="POINTS",
        help="exit code 1 where an accuracy of A is more than POINTS percentage points below B's, "
        "or A was tested less: budgets, attacks or passed checks of B are missing",
    )


def run(options: Namespace) -> int:
    """Print the comparison, write its page and its JSON, and say whether A is good enough."""
    from art_disc.report import compare, read_evaluation, shortfalls, write_comparison

    names = _names(options.run_a, options.run_b)
    a, b = map(read_evaluation, (options.run_a, options.run_b))
    found = compare(a, b, names=names)
    print(found)
    out = options.out or Path("runs") / f"compare-{names[0]}-{names[1]}".replace("/", "-")
    print(f"comparison: {write_comparison(found, out)}")
    if options.fail_below is None:
        return DONE
    short = shortfalls(a, b, points=options.fail_below)
    for line in short:
        print(f"{names[0]} falls short: {line}")
    return FLAWED if short else DONE


def _names(a: str, b: str) -> tuple[str, str]:
    """Names of the two folders, with as much of the path as tells them apart."""
    one, two = Path(a).resolve(), Path(b).resolve()
    if one.name != two.name:
        return one.name, two.name
    return f"{one.parent.name}/{one.name}", f"{two.parent.name}/{two.name}"
