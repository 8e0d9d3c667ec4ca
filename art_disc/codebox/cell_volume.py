"""How many codewords a budget reaches from every colour of the 8-bit cube, without a loop over it.

The cube is cut into blocks of 16 levels a side; only codewords that can win somewhere in a block
are tried there. Then the cell of each codeword is widened by the budget, and the widened cells are
added up: a colour reaches as many codewords as widened cells hold it.

Ties that count for both sides make this exact for real-valued changes too, where the metric is
l_inf or l1 and codewords, colours and budget are whole grey levels. l_inf: by `codebox.cells`
a codeword is reachable iff a box with whole ends is not covered by open cubes with whole faces, and
a point left uncovered can be moved to one whose coordinates are ends or faces, a colour of the
grid. l1: by the same text the codeword's projection onto the box decides, a colour too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from art_disc.codebooks import Codebook, distance
from art_disc.codebox.boxes import WIDEN
from art_disc.codebox.rules import paper_mask
from art_disc.core.checks import BoolArray, Float32Array, IntArray

_SIDE = 16
MOST_CHANNELS = 3


def grid_reach(eps: float) -> int:
    """Whole grey levels within a budget, the last one included where it is hit up to rounding.

    >>> grid_reach(8 / 255), grid_reach(0.3)
    (8, 76)
    """
    return int(np.floor(255 * eps + WIDEN))


@dataclass(frozen=True, slots=True)
class _Cells:
    """The nearest codewords of all colours of a box of the cube.

    Attributes:
        low: Lowest level of the box in each channel, shape (c,).
        codes: Nearest codeword as the codebook breaks ties, shape of the box.
        nearest: Distance to it, squared for l2, shape of the box; empty unless ties count.
        first: First block, in levels above `low`, that each codeword may win in, shape (k, c).
        stop: End of the last such block, shape (k, c); 0 where a codeword wins nowhere.
    """

    low: IntArray
    codes: NDArray[Any]
    nearest: Float32Array
    first: IntArray
    stop: IntArray


def reached_counts(
    codebook: Codebook, reach: int, low: IntArray, high: IntArray, *, ties: bool = False
) -> NDArray[np.int32]:
    """Count the codewords that each colour of a box reaches when its channels move by `reach`.

    Changed colours stay on the grid and in 0..255. Memory: about 11 bytes for each colour of the
    widened box, 190 MB for the whole cube of three channels, 4 more each where `ties`.

    Args:
        codebook: A fitted codebook of 1 to 3 channels.
        reach: Grey levels, >= 0.
        low: Lowest level of the box in each channel, shape (c,).
        high: Highest level, inclusive.
        ties: Count all codewords at the smallest distance; otherwise the one that the codebook
            takes.

    Returns:
        Shape high - low + 1.

    >>> reached_counts(Codebook([0.0, 1.0]), 8, np.array([118]), np.array([137])).tolist()
    [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]
    """
    cells = _cells(codebook, np.maximum(low - reach, 0), np.minimum(high + reach, 255), ties=ties)
    total = np.zeros(cells.codes.shape, dtype=np.int32)
    for code in range(codebook.n_codes_):
        if not cells.stop[code].any():
            continue
        begin = np.maximum(cells.first[code] - reach, 0)
        end = np.minimum(cells.stop[code] + reach, total.shape)
        window = tuple(slice(a, b) for a, b in zip(begin.tolist(), end.tolist(), strict=True))
        total[window] += _widened(_cell(cells, codebook, code, window, ties=ties), reach)
    inner = zip((low - cells.low).tolist(), (high - cells.low + 1).tolist(), strict=True)
    return total[tuple(slice(a, b) for a, b in inner)]


def _cells(codebook: Codebook, low: IntArray, high: IntArray, *, ties: bool) -> _Cells:
    shape = tuple((high - low + 1).tolist())
    k, c = codebook.n_codes_, len(shape)
    codes = np.zeros(shape, dtype=np.int16 if k < 1 << 15 else np.int32)
    nearest = np.zeros(shape if ties else (0,) * c, dtype=np.float32)
    first, stop = np.full((k, c), 256), np.zeros((k, c), dtype=np.int64)
    for begin, end, tried in _blocks(codebook, low, shape):
        window = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
        away = _distances(codebook, tried, begin + low, end + low)
        least = away.min(axis=0)
        if codebook.ties == "lowest":
            codes[window] = tried[away.argmin(axis=0)]
        else:
            codes[window] = tried[len(tried) - 1 - away[::-1].argmin(axis=0)]
        if ties:
            nearest[window] = least
        won = tried[(away == least).reshape(len(tried), -1).any(axis=1)]
        first[won] = np.minimum(first[won], begin)
        stop[won] = np.maximum(stop[won], end)
    return _Cells(low, codes, nearest, first, stop)


def _blocks(
    codebook: Codebook, low: IntArray, shape: tuple[int, ...]
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Yield start and end of each block, in levels above `low`, and the codewords to try there."""
    corners = np.array(list(product(*(range(0, width, _SIDE) for width in shape))))
    ends = np.minimum(corners + _SIDE, shape)
    middles = (low + (corners + ends - 1) / 2) / 255
    for i in range(0, len(corners), _SIDE):
        part = slice(i, i + _SIDE)
        # what is within half a block of the middle is within the paper's rule for that budget
        masks = paper_mask(middles[part].astype(np.float32), codebook, _SIDE / 2 / 255)
        for corner, end, mask in zip(corners[part], ends[part], masks, strict=True):
            yield corner, end, np.flatnonzero(mask)


def _distances(codebook: Codebook, codes: IntArray, low: IntArray, high: IntArray) -> Float32Array:
    """Distance of all colours low <= v < high to some codewords, as `assign` takes it."""
    axes = [np.arange(a, b, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    shape = (len(codes), *(len(axis) for axis in axes))
    away = np.empty(shape, dtype=np.float32)
    levels = codebook.levels
    for row, code in zip(away, codes.tolist(), strict=True):
        row[...] = distance(grid, levels[code], codebook.nearest_metric, np)
    return away


def _cell(
    cells: _Cells, codebook: Codebook, code: int, window: tuple[slice, ...], *, ties: bool
) -> BoolArray:
    if not ties:
        return np.asarray(cells.codes[window] == code)
    low = cells.low + np.array([part.start for part in window])
    high = cells.low + np.array([part.stop for part in window])
    away = _distances(codebook, np.array([code]), low, high)[0]
    return np.asarray(away == cells.nearest[window])


def _widened(cell: BoolArray, reach: int) -> NDArray[np.uint8]:
    """Mark all colours within `reach` of a cell in l_inf: a maximum along each channel in turn."""
    wide = cell.astype(np.uint8)
    for axis in range(wide.ndim) if reach else ():
        wide = ndimage.maximum_filter1d(wide, 2 * reach + 1, axis=axis, mode="constant", cval=0)
    return wide
