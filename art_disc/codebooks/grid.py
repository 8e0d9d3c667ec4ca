"""The nearest codeword by the cells of a grid, one code for NumPy and torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np

from art_disc.codebooks.cell_lists import CellLists, Lists
from art_disc.codebooks.nearest import distance, nearer, picked, places
from art_disc.core.checks import Float32Array, IntArray

# up to how many codewords of a list are tried together; where more can be nearest, all are tried
_STEPS = (0, 2, 4, 8, 16, 32)
# what a cell holds that has neither codeword nor list; less than that stands for a list
_OPEN = -1


@dataclass(frozen=True, slots=True)
class Step:
    """Some more codewords of the lists from one on, `size` of each one after the other."""

    first: int
    begin: int
    size: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A cube of pixels in equal cells, and the codewords to try in each.

    Attributes:
        start: Where the cube begins in each channel, on the 255 scale.
        width: Of a cell, a power of two.
        n: Cells a side.
        metric: As for `nearest`.
        table: For each cell its only codeword, or -1 (try all), or -2 - the number of its list;
            one more -1 at the end, for what lies in none.
        listed: The codewords of all lists, in the order of `steps`.
        columns: Values of the codewords on the 255 scale, one vector (k,) a channel.
        steps: Which of them belong to which list.
        is_open: Whether there are cells where all have to be tried.
        in_a_row: Where each list begins, and the codewords of one list after the other: what
            compiled loops read, for colours in NumPy; None elsewhere.
    """

    start: float
    width: float
    n: int
    metric: str
    table: Any
    listed: Any
    columns: tuple[Any, ...]
    steps: tuple[Step, ...]
    is_open: bool
    in_a_row: tuple[Any, Any] | None

    @classmethod
    def of(
        cls, made: CellLists, levels: Float32Array, metric: str, *, in_loops: bool = False
    ) -> Self:
        """Return the grid of cells whose codewords are known, (k, c) on the 255 scale.

        `in_loops`: compiled loops are to go through it, which is for colours in NumPy alone.
        """
        table, several = made.table.copy(), made.several
        lists: list[IntArray] = []
        count = 0
        for shorter, longest in pairwise(_STEPS):
            rows = np.flatnonzero((several.lengths <= longest) & (several.lengths > shorter))
            distinct, which = _distinct(several, rows, longest)
            table[several.cells[rows]] = _OPEN - 1 - count - which
            lists.append(distinct)
            count += len(distinct)
        steps, listed = _in_steps(lists)
        return cls(
            made.start,
            made.side / made.n,
            made.n,
            metric,
            _small(np.append(table, np.int32(_OPEN))),
            listed.astype(np.int32),
            tuple(np.ascontiguousarray(column) for column in levels.T),
            steps,
            bool((table == _OPEN).any()),
            _in_a_row(lists) if in_loops else None,
        )

    def placed(self, like: Any, xp: Any) -> Self:
        """Return it where an array or tensor is."""
        if xp is np:
            return self
        table, listed, *columns = (
            xp.as_tensor(part, device=like.device)
            for part in (self.table, self.listed, *self.columns)
        )
        return replace(self, table=table, listed=listed, columns=tuple(columns))

    def find(self, pixel: Sequence[Any], ties: str, xp: Any) -> tuple[Any, Any]:
        """Return the nearest codeword of each pixel, and which pixels it does not know.

        Args:
            pixel: One array or tensor (n,) a channel, float32 on the 255 scale.
            ties: As for `nearest`.
            xp: `numpy` or `torch`.

        Returns:
            Integers (n,), int32, and the places of those that mean nothing.
        """
        if self.in_a_row is not None:
            from art_disc.codebooks.grid_loops import find_colours

            tables = self.table, *self.in_a_row, self.columns
            box = self.start, self.width, self.n
            index = find_colours(tuple(pixel), box, tables, self.metric, ties)
            return index, places(index == _OPEN, xp)
        end, within = self.start + self.n * self.width, None
        if not all(bool((v.min() >= self.start) & (v.max() < end)) for v in pixel):
            within = (pixel[0] >= self.start) & (pixel[0] < end)
            for values in pixel[1:]:
                within &= (values >= self.start) & (values < end)
            pixel = [xp.where(within, values, self.start) for values in pixel]
        index = xp.asarray(picked(self.table, self._cells(pixel, xp)), dtype=xp.int32)
        if within is not None:
            index = xp.where(within, index, _OPEN)
        several = places(index < _OPEN, xp)
        if len(several):
            some = [picked(values, several) for values in pixel]
            index[several] = self._of_lists(some, _OPEN - 1 - picked(index, several), ties, xp)
        if within is None and not self.is_open:
            return index, ()
        return index, places(index == _OPEN, xp)

    def _cells(self, pixel: Sequence[Any], xp: Any) -> Any:
        """Return the cell of each pixel, int32; every number on the way is exact in float32."""
        cell = xp.floor(pixel[0] * (1 / self.width))
        for values in pixel[1:]:
            cell *= self.n
            cell += xp.floor(values * (1 / self.width))
        if self.start:
            cell -= self.start / self.width * sum(self.n**i for i in range(len(pixel)))
        return xp.asarray(cell, dtype=xp.int32)

    def _of_lists(self, pixel: Sequence[Any], row: Any, ties: str, xp: Any) -> Any:
        """Return the nearest codewords of pixels whose cells have the lists of these numbers."""
        found: Any = None
        nearest: Any = None
        best: Any = None
        where: Any = None
        for step in self.steps:
            if where is not None:
                here = places(row >= step.first, xp)
                if not len(here):
                    break
                row, nearest, best, where, *pixel = (
                    picked(part, here) for part in (row, nearest, best, where, *pixel)
                )
            place = (row - step.first) * step.size + step.begin
            for _ in range(step.size):
                code = picked(self.listed, place)
                centre = [picked(column, code) for column in self.columns]
                away = distance(pixel, centre, self.metric, xp)
                if best is None:
                    nearest, best = code, away
                else:
                    nearest, best = nearer(nearest, best, code, away, ties, xp)
                place = place + 1
            if where is None:
                # all of them, on the device that they are on
                found, where = nearest, places(row >= 0, xp)
            else:
                found[where] = nearest
        return found


def _distinct(several: Lists, rows: IntArray, longest: int) -> tuple[IntArray, IntArray]:
    """Return lists without repetitions, the last codeword repeated, and which each row has."""
    inside = np.minimum(np.arange(longest), several.lengths[rows, None] - 1)
    padded = several.codes[several.begins()[rows, None] + inside]
    key = np.zeros(len(rows), dtype=np.int64)
    for column in padded.T:
        key = np.unique(key * (several.codes.max(initial=0) + 1) + column, return_inverse=True)[1]
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return padded[first], which


def _small(table: IntArray) -> IntArray:
    """Return whole numbers in 16 bits where they fit, which more of a cache holds."""
    held = np.iinfo(np.int16)
    fit = table.min() >= held.min and table.max() <= held.max
    return table.astype(np.int16 if fit else np.int32)


def _in_a_row(lists: Sequence[IntArray]) -> tuple[Any, Any]:
    """Return where each list begins, and the codewords of all without the repeated ones."""
    # codewords of a list rise
    own = [np.diff(rows, axis=1, prepend=-1) > 0 for rows in lists]
    lengths = np.concatenate([kept.sum(axis=1) for kept in own])
    begins = np.append(0, lengths.cumsum()).astype(np.uint32)
    codes = np.concatenate([rows[kept] for rows, kept in zip(lists, own, strict=True)])
    return begins, codes.astype(np.uint16 if codes.max(initial=0) < 1 << 16 else np.uint32)


def _in_steps(lists: Sequence[IntArray]) -> tuple[tuple[Step, ...], IntArray]:
    """Return the first two codewords of all lists, then the next two of those that have more."""
    steps, listed, first, begin = [], [], 0, 0
    for i, (start, end) in enumerate(pairwise(_STEPS)):
        # the longer ones come last
        part = np.concatenate([longer[:, start:end].reshape(-1) for longer in lists[i:]])
        if len(part):
            steps.append(Step(first, begin, end - start))
        listed.append(part)
        first, begin = first + len(lists[i]), begin + len(part)
    return tuple(steps), np.concatenate(listed)
