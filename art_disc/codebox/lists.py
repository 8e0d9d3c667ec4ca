"""Lists of unlike lengths as columns of one array, with little padding."""

from collections.abc import Iterator

import numpy as np

from art_disc.core.checks import BoolArray, IntArray

# numbers that one array of a step holds, so that it stays in the cache
ROOM = 1 << 18


def alike(counts: IntArray, weight: int, *, power: int = 1) -> Iterator[IntArray]:
    """Yield all indices, those of like counts together, so that little of a list is padding.

    A step holds `weight` * count ** `power` numbers for each index.
    """
    order = np.argsort(counts, kind="stable")
    while len(order):
        ordered = counts[order]
        held = weight * ordered**power * np.arange(1, len(order) + 1)
        # the last of a part has at most twice as many as the first
        sizes = np.searchsorted(ordered, 2 * ordered[0], "right"), np.searchsorted(held, ROOM)
        size = max(1, int(min(sizes)))
        yield order[:size]
        order = order[size:]


def listed(chosen: BoolArray, pad: int) -> IntArray:
    """Indices along the first axis where (k, m) is true, rising, as columns (most, m)."""
    column, index = np.nonzero(chosen.T)
    counts = chosen.sum(axis=0)
    place = np.arange(len(column)) - np.repeat(counts.cumsum() - counts, counts)
    result = np.full((int(counts.max(initial=0)), chosen.shape[1]), pad)
    result[place, column] = index
    return result
