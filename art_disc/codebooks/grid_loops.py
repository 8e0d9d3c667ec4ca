"""The nearest colour by the cells of a grid, compiled: a few pixels at a time.

Where the tables are read, nothing waits for what they say, and what few pixels need is done after.
"""

from typing import Any

import numpy as np

from art_disc.codebooks.nearest import METRICS
from art_disc.core.compiled import compiled

_L1, _L2 = METRICS.index("l1"), METRICS.index("l2")
_INF = np.float32(np.inf)
# pixels whose cells are looked up together, and the type of places in tables: of signed ones numba
# asks whether they count from the end
_TOGETHER, _PLACE = 1 << 11, np.uint32
# no fast mathematics: distances are those of `nearest` to the last bit
_loop = compiled()


@_loop
def _at(columns: tuple[Any, Any, Any], i: Any) -> tuple[Any, Any, Any]:
    return columns[0][i], columns[1][i], columns[2][i]


@_loop
def _cell(values: tuple[Any, Any, Any], box: tuple[Any, Any, int]) -> Any:
    """Return the cell of a pixel, or the last place of the table outside the cube."""
    start, width, n = box
    end, scale, first = start + width * n, np.float32(1) / width, np.int32(start / width)
    cell: Any = np.int32(0)
    inside: Any = True
    for value in values:
        inside &= (value >= start) & (value < end)
        cell = cell * np.int32(n) + np.int32(np.floor(value * scale)) - first
    return _PLACE(cell if inside else n * n * n)


@_loop
def _away(values: tuple[Any, Any, Any], code: tuple[Any, Any, Any], metric: int) -> Any:
    """Return a distance, or its square; see `nearest.distance`."""
    x, y, z = abs(values[0] - code[0]), abs(values[1] - code[1]), abs(values[2] - code[2])
    if metric == _L1:
        return x + y + z
    if metric == _L2:
        return x * x + y * y + z * z
    x = x if x > y else y
    return x if x > z else z


@_loop
def _find(
    pixel: tuple[Any, Any, Any], box: tuple[Any, Any, int], tables: Any, rule: Any, index: Any
) -> None:
    table, begins, listed, columns = tables
    metric, highest = rule
    cells, several = np.empty(_TOGETHER, _PLACE), np.empty(_TOGETHER, _PLACE)
    for first in range(0, len(pixel[0]), _TOGETHER):
        many = min(_TOGETHER, len(pixel[0]) - first)
        for i in range(many):
            cells[i] = _cell(_at(pixel, first + i), box)
        for i in range(many):
            index[first + i] = table[cells[i]]
        count: Any = 0
        for i in range(many):
            several[count] = first + i
            count += np.int32(index[first + i] < -1)
        for number in range(count):
            i = several[number]
            values, row = _at(pixel, i), _PLACE(-2 - index[i])
            best, found = _INF, np.int32(0)
            # indices rise
            for place in range(begins[row], begins[row + _PLACE(1)]):
                code = listed[place]
                away = _away(values, _at(columns, code), metric)
                nearer = away <= best if highest else away < best
                best = away if nearer else best
                found = np.int32(code) if nearer else found
            index[i] = found


def find_colours(
    pixel: tuple[Any, Any, Any], box: tuple[float, float, int], tables: Any, metric: str, ties: str
) -> Any:
    """Return the nearest codeword of each pixel, int32 (n,), or -1 where its cell does not tell.

    Args:
        pixel: Three arrays (n,), float32 on the 255 scale.
        box: Begin of the cube, width and number of its cells.
        tables: Those of a `Grid`: of cells, where its lists begin, their codewords, and `columns`.
        metric: As for `nearest`.
        ties: As for `nearest`.
    """
    start, width, n = box
    index = np.empty(len(pixel[0]), dtype=np.int32)
    rule = METRICS.index(metric), ties == "highest"
    _find(pixel, (np.float32(start), np.float32(width), n), tables, rule, index)
    return index
