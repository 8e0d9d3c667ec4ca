"""`art-disc report`: render the report of a run again."""

from argparse import Namespace

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser(
        "report",
        help="render the report of a run again",
        description="Prints the record and makes its page and summary again; a record of a kind "
        "without a page is refused, with the reason.",
    )
    parser.add_argument("folder", help="a folder with record.json")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Render a run's report again from its record."""
    from art_disc.report import as_text, read_run, render_run

    page = render_run(options.folder)
    print(as_text(read_run(options.folder)[0]))
    print(f"report: {page}")
    return DONE
