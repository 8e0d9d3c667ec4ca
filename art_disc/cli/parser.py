"""The commands of `art-disc`, in the order of its help."""

from argparse import ArgumentParser

from art_disc import __version__
from art_disc.cli import (
    certify,
    codebook,
    compare,
    evaluate,
    hardness,
    report,
    reproduce,
    score,
    sweep,
    zoo,
)
from art_disc.cli.options import Parser

COMMANDS = (
    evaluate,
    certify,
    codebook,
    report,
    sweep,
    compare,
    reproduce,
    zoo,
    hardness,
    score,
)


def make_parser() -> ArgumentParser:
    """Return the parser of `art-disc` with all its commands."""
    parser = Parser(
        prog="art-disc",
        description="Discretise images as a defence, attack it with ART, certify it, report.",
    )
    parser.add_argument("--version", action="version", version=f"art-disc {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(subparsers)
    return parser
