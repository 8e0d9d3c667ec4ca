"""Exit codes: 0 done, 1 flawed, 2 bad input in one readable line, 130 on Ctrl-C.

Flawed is a run to its end of which a planned part is missing (an attack of an evaluation or a cell
of a sweep that failed), a zoo with a flaw, and a run that falls short in a comparison. What the
checks say of an evaluation is a result, which the verdict tells: the exit code is 0.
"""

import os
import sys
import warnings
from collections.abc import Callable
from typing import TextIO

from art_disc.core.errors import ArtDiscError, InputWarning

DONE, FLAWED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def exit_code_of(command: Callable[[], int]) -> int:
    """Run a command; return its exit code, or that of what it raised. Warnings are one line too."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show
            return command()
    except SystemExit as stop:  # argparse: 0 after --help, 2 after a usage error
        return int(stop.code or DONE)
    except BrokenPipeError:
        # the reader of a pipe went away; Python would complain once more while it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (ArtDiscError, OSError) as error:
        print(f"art-disc: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("art-disc: interrupted", file=sys.stderr)
        return INTERRUPTED


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of what was typed as a line for people, others as Python does."""
    text = f"art-disc: {message}\n"
    if not issubclass(category, InputWarning):
        text = warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(text)
