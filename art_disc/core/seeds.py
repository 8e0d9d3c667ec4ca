"""From one seed to independent streams, and the one place that may touch the global ones."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from art_disc.core.checks import check_count
from art_disc.core.errors import InputError


def check_seed(seed: Any) -> int:
    """Return a seed, a whole number of any size and sign, as Python's.

    Raises:
        InputError: It is none; a truth value is none.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        msg = f"seed must be a whole number, got {seed!r}; write seed=0"
        raise InputError(msg)
    return int(seed)


def derive_seed(seed: int, *names: object) -> int:
    """Return a seed in 0..2**32-1 that depends on `seed` and every name, and on nothing else.

    Raises:
        InputError: `seed` is no whole number.
    """
    text = "\0".join([str(check_seed(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def generator_of(seed: int) -> np.random.Generator:
    """Return NumPy's generator of a seed; NumPy itself takes none below 0.

    Raises:
        InputError: `seed` is no whole number.
    """
    number = check_seed(seed)
    return np.random.default_rng(number if number >= 0 else derive_seed(number, "below 0"))


def as_generator(state: int | np.random.Generator | None) -> np.random.Generator:
    """Return a generator: of a seed >= 0, the one given, or a fresh one for None.

    Raises:
        InputError: No such seed.
    """
    if state is not None and not isinstance(state, np.random.Generator):
        state = check_count(state, "random_state", least=0)
    return np.random.default_rng(state)


@contextmanager
def global_seeds(seed: int) -> Iterator[None]:
    """Seed NumPy's and Python's global streams inside the block and restore them after.

    ART's attacks draw from them; nothing of ours does.
    """
    python_state = random.getstate()
    random.seed(seed)
    state = np.random.get_state()  # noqa: NPY002 - the stream that ART draws from
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(state)  # noqa: NPY002
