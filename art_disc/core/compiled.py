"""Loops that numba compiles, where it can be imported: the extra `fast`."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@cache
def compiler() -> Any:
    """Return numba, or None where loops are not to be compiled.

    It is not installed, cannot work with this NumPy, or `NUMBA_DISABLE_JIT=1` is set.
    """
    try:
        numba = import_module("numba")
    except ImportError:
        return None
    return None if numba.config.DISABLE_JIT else numba


def compiled(**options: Any) -> Callable[[F], F]:
    """Decorate a function that numba is to compile at its first call; it then lets go of the GIL.

    What was compiled is kept where numba finds a place for it, beside the module or in the user's
    cache, and otherwise for this process. Without a `compiler` the function stays as it is.
    """

    def decorated(function: F) -> F:
        numba = compiler()
        if numba is None:
            return function
        try:
            made: F = numba.njit(function, nogil=True, cache=True, error_model="numpy", **options)
        except RuntimeError:
            # there is no place
            made = numba.njit(function, nogil=True, error_model="numpy", **options)
        return made

    return decorated
