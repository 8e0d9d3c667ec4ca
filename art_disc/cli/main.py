"""Entry point: exit code 0 done, 2 bad input in one readable line, 130 on Ctrl-C."""

import os
import sys
from collections.abc import Sequence

from art_disc.cli.parser import make_parser
from art_disc.core.errors import ArtDiscError

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `art-disc` with these words (None: the process's own) and return its exit code."""
    try:
        options = make_parser().parse_args(argv)
        code: int = options.run(options)
    except SystemExit as stop:  # argparse: 0 after --help, 2 after a usage error
        return int(stop.code or 0)
    except ArtDiscError as error:
        print(f"art-disc: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("art-disc: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of a pipe went away; Python would complain once more while it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        print(f"art-disc: {error}", file=sys.stderr)
        return BAD_INPUT
    return code
