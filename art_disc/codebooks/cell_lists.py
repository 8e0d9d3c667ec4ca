"""Which codewords can be nearest in each cell of a grid: in most cells one, elsewhere a few.

A codeword is left out of a cell only where another one is nearer in the whole of it, by more than
float32 can round. The nearest of those that are left is then what trying all of them finds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.nearest import distance
from art_disc.core.checks import Float64Array, IntArray

# cells a side to begin with, and the pairs of cell and codeword that are looked at together
_START, _TOGETHER = 8, 1 << 16
# pairs that are looked at to halve all cells that hold several codewords
_MOST_PAIRS = 1 << 22
# of the largest distance: what float32 may be off by in two of them, several times over
_ROUNDING = 2.0**-19


@dataclass(frozen=True, slots=True)
class Lists:
    """Cells, and the codewords that can be nearest in each, rising, one list after the other."""

    cells: IntArray
    lengths: IntArray
    codes: IntArray

    def begins(self) -> IntArray:
        """Return where each list begins."""
        return np.asarray(self.lengths.cumsum() - self.lengths)

    def of(self, chosen: Any) -> "Lists":
        """Return those of some cells, a slice or whole numbers."""
        lengths = self.lengths[chosen]
        before = lengths.cumsum() - lengths
        places = np.repeat(self.begins()[chosen] - before, lengths) + np.arange(lengths.sum())
        return Lists(self.cells[chosen], lengths, self.codes[places])

    def parts(self) -> Iterator["Lists"]:
        """Yield them a few at a time, so that what is worked out of each stays in the cache."""
        begins = self.begins()
        cuts = np.flatnonzero(np.diff(begins // _TOGETHER)) + 1
        for cells, lengths, codes in zip(
            np.split(self.cells, cuts),
            np.split(self.lengths, cuts),
            np.split(self.codes, begins[cuts]),
            strict=True,
        ):
            yield Lists(cells, lengths, codes)


@dataclass(frozen=True, slots=True)
class CellLists:
    """A cube of pixels in equal cells: the codeword of each, or the list of those to try.

    Attributes:
        start: Where the cube begins in each channel, on the 255 scale.
        side: Its length.
        n: Cells a side.
        table: int32 (n^c,): the only codeword that can be nearest, or -1 where there are several.
        several: Those, for the cells that have several.
    """

    start: float
    side: float
    n: int
    table: NDArray[np.int32]
    several: Lists


def cell_lists(
    codes: Float64Array, metric: str, *, start: float, side: float, finest: int
) -> CellLists:
    """Return which codewords can be nearest in each cell of a cube.

    Args:
        codes: Codewords on the 255 scale, shape (k, c), c at most 3.
        metric: As for `nearest`.
        start: Where the cube begins in each channel, on the 255 scale.
        side: Length of the cube, a power of two times `finest`, so that borders are exact.
        finest: Cells a side, a power of two times 8; fewer where the lists would grow too long.
    """
    k, channels = codes.shape
    n, table = _START, np.full(_START**channels, -1, dtype=np.int32)
    every = np.arange(len(table))
    lists = Lists(every, np.full(len(every), k), np.tile(np.arange(k), len(every)))
    while True:
        box = start, side / n, n
        rest = [_nearest_in(codes, metric, part, box) for part in lists.parts()]
        lists = Lists(
            *(np.concatenate([getattr(part, field) for part in rest]) for field in Lists.__slots__)
        )
        alone = lists.lengths == 1
        table[lists.cells[alone]] = lists.codes[lists.begins()[alone]]
        lists = lists.of(np.flatnonzero(~alone))
        if n >= finest or not 0 < len(lists.codes) << channels <= _MOST_PAIRS:
            return CellLists(start, side, n, table, lists)
        table, lists = _halved(table, lists, n, channels)
        n *= 2


def _nearest_in(
    codes: Float64Array, metric: str, lists: Lists, box: tuple[float, float, int]
) -> Lists:
    """Return the lists without what can be nearest nowhere in its cell."""
    start, width, n = box
    channels = codes.shape[1]
    group = np.repeat(np.arange(len(lists.cells)), lists.lengths)
    places = np.stack(np.unravel_index(lists.cells, (n,) * channels))
    low: Float64Array = start + width * places.astype(np.float64)
    own = codes[lists.codes].T
    away = np.asarray(distance(list((low + width / 2)[:, group]), list(own), metric, np))
    least = np.minimum.reduceat(away, lists.begins())
    nearest = np.flatnonzero(away == least[group])
    best = np.empty(len(lists.cells), dtype=np.int64)
    best[group[nearest]] = lists.codes[nearest]
    low = low[:, group]
    lead = most_lead(own, codes[best].T[:, group], low, low + width, metric)
    span = max(abs(start), abs(start + n * width), 256) + 256
    largest = distance([span] * channels, [0.0] * channels, metric, np)
    kept = lead >= -_ROUNDING * largest
    return Lists(
        lists.cells, np.add.reduceat(kept, lists.begins(), dtype=np.int64), lists.codes[kept]
    )


def most_lead(
    own: Float64Array, other: Float64Array, low: Float64Array, high: Float64Array, metric: str
) -> Float64Array:
    """By how much one codeword can be nearer than another one in a box, at most.

    The largest distance to the other less that to its own, squared for l2 with more than one
    channel, over all points of the box; below 0 where it is farther in all of it. All have shape
    (c, m).
    """
    if metric != "l_inf" and len(own) > 1:
        # each channel by itself, where it is largest at an end
        power = 2 if metric == "l2" else 1
        ends = [np.abs(x - other) ** power - np.abs(x - own) ** power for x in (low, high)]
        return np.asarray(np.maximum(*ends).sum(axis=0))
    # with the other's distance taken in one channel, the rest are best as near to its own as can be
    least = np.maximum(0, np.maximum(low - own, own - high))
    lead = np.full(own.shape[1], -np.inf)
    for i in range(len(own)):
        rest = np.delete(least, i, axis=0).max(axis=0, initial=0)
        for x in (low[i], high[i], own[i] - rest, own[i] + rest):
            inside = np.clip(x, low[i], high[i])
            ahead = np.abs(inside - other[i]) - np.maximum(np.abs(inside - own[i]), rest)
            lead = np.maximum(lead, ahead)
    return lead


def _halved(
    table: NDArray[np.int32], lists: Lists, n: int, channels: int
) -> tuple[NDArray[np.int32], Lists]:
    """Return what is known of cells half as wide: that of the cell that they lie in."""
    table = table.reshape((n,) * channels)
    for axis in range(channels):
        table = table.repeat(2, axis=axis)
    places = 2 * np.stack(np.unravel_index(lists.cells, (n,) * channels))[..., None]
    corners = np.indices((2,) * channels).reshape(channels, 1, -1)
    inner = np.ravel_multi_index(tuple(places + corners), (2 * n,) * channels).ravel()
    whole = lists.of(np.repeat(np.arange(len(lists.cells)), 2**channels))
    return table.ravel(), Lists(inner, whole.lengths, whole.codes)
