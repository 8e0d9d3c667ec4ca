"""Entry point: words to a command, a command to an exit code."""

from collections.abc import Sequence

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
    show,
    sweep,
    train,
    zoo,
)
from art_disc.cli.exits import DONE, exit_code_of
from art_disc.cli.options import Parser, as_typed

# in the order of the help; a command's own help is the docstring of its file
COMMANDS = (
    evaluate,
    certify,
    codebook,
    train,
    report,
    show,
    sweep,
    compare,
    reproduce,
    zoo,
    hardness,
    score,
)


def make_parser() -> Parser:
    """Return the parser of `art-disc` with all its commands."""
    parser = Parser(
        prog="art-disc",
        description="Discretise images as a defence, attack it with ART, certify it, report.",
    )
    parser.add_argument("--version", action="version", version=f"art-disc {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        # python -OO takes the docstrings away
        head, _, rest = (command.__doc__ or name).partition("\n\n")
        line = head[0].lower() + head[1:].rstrip(".")
        own = subparsers.add_parser(name, help=line, description=rest or head)
        command.add(own)
        own.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `art-disc` with these words (None: the process's own) and return its exit code."""

    def command() -> int:
        parser = make_parser()
        options = parser.parse_args(argv)
        with as_typed(parser.typed_options()):
            code: int | None = options.run(options)
        return DONE if code is None else code

    return exit_code_of(command)
