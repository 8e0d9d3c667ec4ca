"""`art-disc report`: render the report of a run again."""

from argparse import Namespace

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser(
        "report",
        help="render the report of a run again",
        description="Evaluations, certificates, certified curves and sweeps have a page; a record "
        "of another kind is refused by name.",
    )
    parser.add_argument("folder", help="a folder with record.json")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Render a run's report again from its record."""
    from art_disc.report import render_run

    print(f"report: {render_run(options.folder)}")
    return DONE
