"""What codewords are made of when they are given, and how far they are from one another."""

import numpy as np
from numpy.typing import ArrayLike

from art_disc.codebooks.nearest import distance
from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError


def as_codewords(codewords: ArrayLike) -> Float32Array:
    """Return codewords as a new float32 array (k, c), of a list of k numbers (k, 1).

    Raises:
        InputError: Another shape, no numbers, or values outside [0, 1].
    """
    # a float64 value must not come out above 1 through rounding, hence the check after the cast
    try:
        array = np.array(codewords, dtype=np.float32)
    except (TypeError, ValueError) as error:
        msg = f"codewords must be numbers of shape (k, c): {error}"
        raise InputError(msg) from error
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0:
        msg = f"codewords must have shape (k, c) with k, c >= 1, got {array.shape}"
        raise InputError(msg)
    # the 8-bit row of the bit-depth map ends at 255.5 / 255
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 256 / 255:
        hint = "; divide levels by 255" if array.max() > 2 else ""
        msg = f"codewords must be finite and in [0, 1], got {array.min()}..{array.max()}{hint}"
        raise InputError(msg)
    return array


def least_gap(levels: list[list[float]], metric: str) -> float:
    """Return the smallest distance between two codewords (k, c) on the 255 scale, on [0, 1].

    Infinite for a single one.
    """
    smallest, scaled = np.inf, np.asarray(levels, dtype=np.float64)
    for i in range(1, len(scaled)):
        gaps = distance(list(scaled[:i].T), scaled[i].tolist(), metric, np)
        smallest = min(smallest, float(gaps.min()))
    squared = metric == "l2" and scaled.shape[1] > 1
    return float(np.sqrt(smallest) if squared else smallest) / 255
