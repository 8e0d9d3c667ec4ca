"""Exit codes and words of what commands raise and warn of."""

import os
import subprocess
import sys
import warnings

import pytest

from art_disc.cli.exits import exit_code_of
from art_disc.core.errors import CertificateError, InputError, InputWarning


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError("eps must be positive, got -1"), 2, "art-disc: eps must be positive, got -1\n"),
        (CertificateError("it draws"), 2, "art-disc: it draws\n"),
        (PermissionError(13, "Permission denied", "out"), 2, "Permission denied: 'out'\n"),
        (KeyboardInterrupt(), 130, "art-disc: interrupted\n"),
        (SystemExit(), 0, ""),
        (SystemExit(2), 2, ""),
    ],
)
def test_what_is_raised_is_one_line_and_a_code(capsys, error, code, told):
    assert exit_code_of(raising(error)) == code
    out, err = capsys.readouterr()
    assert not out
    assert err.endswith(told)
    assert err.count("\n") == bool(told)


def test_faults_of_ours_are_no_bad_input():
    with pytest.raises(ZeroDivisionError):
        exit_code_of(raising(ZeroDivisionError()))


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_that_ends_has_its_own_code(code):
    assert exit_code_of(lambda: code) == code


def test_warnings_of_what_was_typed_are_for_people_and_others_as_python_does(capsys):
    before = warnings.showwarning

    def command():
        warnings.simplefilter("always")
        warnings.warn("pixels above 1", InputWarning, stacklevel=1)
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
        return 0

    assert exit_code_of(command) == 0
    assert warnings.showwarning is before
    typed, *other = capsys.readouterr().err.splitlines()
    assert typed == "art-disc: pixels above 1"
    assert "test_exits.py" in other[0]
    assert other[0].endswith("DeprecationWarning: old name")


def test_a_reader_that_goes_away_is_no_fault():
    """`art-disc ... | head`: what is left to write at the end is no complaint either."""
    told = "import sys; print('x'); sys.stdout.flush()"
    code = (
        "from art_disc.cli.exits import exit_code_of\n"
        f"sys_exit = exit_code_of(lambda: exec({told!r}) or 1)\n"
        "print('more')\nraise SystemExit(sys_exit)"
    )
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writes, stderr=subprocess.PIPE, check=False
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, b"")
