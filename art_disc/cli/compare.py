"""Compare two evaluations on the same examples.

Accuracy of both runs at every budget that both attacked, the difference with its paired 95%
interval, and McNemar's exact p value. The runs must be about the same examples; both verdicts are
on the checks that both were asked for.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("run_a", metavar="RUN_A", help="a folder with record.json")
    parser.add_argument("run_b", metavar="RUN_B", help="another one; differences are A minus B")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for compare.html and compare.json; default runs/compare-A-B",
    )


def run(options: Namespace) -> None:
    """Print the comparison and write its page and its JSON."""
    from art_disc.report import compare, read_evaluation, write_comparison

    names = _names(options.run_a, options.run_b)
    found = compare(*map(read_evaluation, (options.run_a, options.run_b)), names=names)
    print(found)
    out = options.out or Path("runs") / f"compare-{names[0]}-{names[1]}".replace("/", "-")
    print(f"comparison: {write_comparison(found, out)}")


def _names(a: str, b: str) -> tuple[str, str]:
    """Names of the two folders, with as much of the path as tells them apart."""
    one, two = Path(a).resolve(), Path(b).resolve()
    if one.name != two.name:
        return one.name, two.name
    return f"{one.parent.name}/{one.name}", f"{two.parent.name}/{two.name}"
