"""Cells of scalar codewords: closed intervals between midpoints."""

import numpy as np

from art_disc.core.checks import BoolArray, Float64Array


def cells(levels: Float64Array, tau: float) -> tuple[Float64Array, Float64Array]:
    """Lower and upper end of the closed cell of every scalar codeword, two arrays (k,).

    A rival that is less than `tau` away does not bound a cell: rounding may hide the gap anywhere.

    >>> [ends.tolist() for ends in cells(np.array([0.0, 253.0]), 0.0)]
    [[-inf, 126.5], [126.5, inf]]
    """
    ordered = np.sort(levels)
    padded = np.concatenate([[-np.inf], ordered, [np.inf]])
    above = padded[np.searchsorted(ordered, levels + tau, side="right") + 1]
    below = padded[np.searchsorted(ordered, levels - tau, side="left")]
    return (levels + below - tau) / 2, (levels + above + tau) / 2


def reachable_1d(
    low: Float64Array, high: Float64Array, levels: Float64Array, tau: float
) -> BoolArray:
    """Codewords whose cell meets each closed interval low..high (m,), shape (m, k).

    `tau` is how much farther than a rival a codeword may be and still count as nearest.
    """
    start, end = cells(levels, tau)
    return (high[:, None] >= start) & (low[:, None] <= end)


def middle_1d(low: float, high: float, levels: Float64Array, code: int) -> float:
    """A point of the interval as deep inside the cell as the interval allows.

    An empty intersection gives the nearest point of the interval.
    """
    start, end = cells(levels, 0.0)
    middle = (max(low, start[code]) + min(high, end[code])) / 2
    return float(np.clip(middle, low, high))
