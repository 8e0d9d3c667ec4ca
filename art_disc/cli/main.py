"""Entry point: words to a command, a command to an exit code."""

from argparse import Namespace
from collections.abc import Sequence

from art_disc.cli.exits import exit_code_of
from art_disc.cli.parser import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `art-disc` with these words (None: the process's own) and return its exit code."""

    def command() -> int:
        options: Namespace = make_parser().parse_args(argv)
        code: int = options.run(options)
        return code

    return exit_code_of(command)
