"""Cells of scalar codewords: closed intervals between midpoints."""

import numpy as np

from art_disc.core.checks import BoolArray, Float64Array


def cells(levels: Float64Array, tau: float) -> tuple[Float64Array, Float64Array]:
    """Lower and upper end of the closed cell of every codeword.

    A rival that is less than `tau` away does not bound a cell: rounding may hide the gap anywhere.

    Args:
        levels: Scalar codewords on the 255 scale, any order, shape (k,).
        tau: Distance by which a codeword may be farther than a rival and still count as nearest.

    Returns:
        Two arrays of shape (k,), with infinite ends.

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
    """Codewords whose cell meets an interval.

    Args:
        low: Lower ends, shape (m,).
        high: Upper ends, shape (m,).
        levels: Shape (k,).
        tau: Distance by which a codeword may be farther than a rival and still count as nearest.

    Returns:
        Shape (m, k).
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
