"""From one seed to independent streams, and the one place that may touch the global ones."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive_seed(seed: int, *names: object) -> int:
    """Return a seed in 0..2**32-1 that depends on `seed` and every name, and on nothing else."""
    text = "\0".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


@contextmanager
def global_numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global stream inside the block and restore it after.

    ART's attacks draw from that stream; nothing of ours does.
    """
    state = np.random.get_state()  # noqa: NPY002 - the stream that ART draws from
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
