"""Loops that numba compiles, and what becomes of them without it."""

import sys

import numpy as np
import pytest

from art_disc.core.compiled import compiled, compiler
from art_disc.core.records import Environment

LOOP = "def total(row):\n    found = 0.0\n    for x in row:\n        found += x\n    return found\n"


@pytest.fixture
def anew():
    """What was found out of numba before the test, and in it, is forgotten."""
    compiler.cache_clear()
    yield
    compiler.cache_clear()


def total():
    """A function without a file, so that nothing that is compiled of it can be kept."""
    made = {}
    exec(LOOP, made)  # noqa: S102
    return made["total"]


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(anew):
    numba = pytest.importorskip("numba")
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(total(), cache=True)
    loop = compiled()(total())
    assert loop(np.arange(4.0)) == 6
    assert loop.signatures


def test_records_say_by_which_numba_loops_are_compiled(anew):
    numba = pytest.importorskip("numba")
    assert Environment.here().packages["numba"] == numba.__version__


@pytest.mark.parametrize("why", ["missing", "switched off"])
def test_without_numba_a_function_stays_as_it_is(anew, monkeypatch, why):
    if why == "missing":
        monkeypatch.setitem(sys.modules, "numba", None)
    else:
        monkeypatch.setattr(pytest.importorskip("numba").config, "DISABLE_JIT", 1)
    assert compiler() is None
    loop = total()
    assert compiled(fastmath=True)(loop) is loop
    assert "numba" not in Environment.here().packages
