"""The exact nearest codeword, one code for NumPy and torch.

Distances are taken on the 255 scale from differences: 8-bit values are exact integers there in
float32, so that a tie on the 8-bit grid is a real tie and both libraries break it alike. Products
(`cdist`, an l2 expansion) would break such ties by rounding.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from art_disc.core.checks import check_choice

METRICS = ("l1", "l2", "l_inf")
TIES = ("lowest", "highest")


def distance(pixel: Sequence[Any], codeword: Sequence[float], metric: str, xp: Any) -> Any:
    """Distance of every pixel to one codeword, squared for l2 with more than one channel.

    Args:
        pixel: One array or tensor a channel, float32 on the 255 scale, all of one shape.
        codeword: One number a channel, on the 255 scale.
        metric: `l1`, `l2` or `l_inf`; with one channel they agree.
        xp: The module whose arrays these are, `numpy` or `torch`.
    """
    check_choice(metric, "metric", METRICS)
    total: Any = None
    for values, centre in zip(pixel, codeword, strict=True):
        difference = xp.abs(values - centre)
        if metric == "l2" and len(codeword) > 1:
            difference = difference * difference
        if total is None:
            total = difference
        elif metric == "l_inf":
            total = xp.maximum(total, difference)
        else:
            total = total + difference
    return total


def nearest(
    pixel: Sequence[Any], levels: Sequence[Sequence[float]], metric: str, ties: str, xp: Any
) -> Any:
    """Index of the nearest codeword of every pixel, by a running minimum over the codewords.

    Args:
        pixel: One array or tensor a channel, float32 on the 255 scale, all of one shape.
        levels: The codewords, k rows of c numbers on the 255 scale.
        metric: `l1`, `l2` or `l_inf`.
        ties: `lowest` or `highest`: the index that wins where distances are equal.
        xp: The module whose arrays these are, `numpy` or `torch`.

    Returns:
        Integers 0..k-1 of the pixels' shape (int64).
    """
    best = distance(pixel, levels[0], metric, xp)
    index = xp.zeros_like(best, dtype=xp.int64)
    for j, codeword in enumerate(levels[1:], start=1):
        index, best = nearer(index, best, j, distance(pixel, codeword, metric, xp), ties, xp)
    return index


def nearer(index: Any, best: Any, code: Any, away: Any, ties: str, xp: Any) -> tuple[Any, Any]:
    """Return the nearest so far and its distance, after codewords of a higher index."""
    closer = away < best if ties == "lowest" else away <= best
    return xp.where(closer, code, index), xp.where(closer, away, best)


def picked(table: Any, index: Any) -> Any:
    """Return the entries of a vector at whole numbers, faster than by torch's own indexing."""
    return table.take(index) if isinstance(table, np.ndarray) else table.index_select(0, index)


def places(mask: Any, xp: Any) -> Any:
    """Return where a vector is true."""
    return np.flatnonzero(mask) if xp is np else xp.nonzero(mask)[:, 0]
