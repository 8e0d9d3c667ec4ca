"""Render the report of a run again.

Prints the record and makes its page and summary again; a record of a kind without a page is
refused, with the reason.
"""

from argparse import ArgumentParser, Namespace


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("folder", help="a folder with record.json")


def run(options: Namespace) -> None:
    """Render a run's report again from its record."""
    from art_disc.report import as_text, read_run, render_run

    page = render_run(options.folder)
    print(as_text(read_run(options.folder)[0]))
    print(f"report: {page}")
