"""The exact nearest codeword, in a time that hardly grows with the number of codewords.

What comes out is what `nearest` finds by trying all of them, ties and rounding included:

- up to eight scalar codewords: one border between each two, where float32 changes its mind;
- pixels of up to three channels in 0..256: a cell of a grid says which codewords can be nearest,
  mostly one, and distances to the few others are compared as `nearest` does;
- the same on a coarser grid around that cube, for what attacks and noise push out of it;
- all else (more channels, far outside, NaN): all codewords are tried.

A grid is made after 2^25 distances, less than what one of thousands of colours costs. Its cells and
lists are bounded (`cell_lists`); a search holds at most 16 MB a thread beside them, its pixels and
indices. Pixels of torch are shared among as many threads as torch's own work.
"""

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from art_disc.codebooks.borders import Borders, borders
from art_disc.codebooks.cell_lists import cell_lists
from art_disc.codebooks.grid import Grid
from art_disc.codebooks.nearest import nearest, picked
from art_disc.core.checks import Float32Array
from art_disc.core.compiled import compiler
from art_disc.core.showing import Shown
from art_disc.core.threads import in_threads

# pixels at once, some 60 bytes of each; of fewer, threads would mostly wait for one another
_CHUNK = 1 << 16
# scalar codewords whose borders are compared with one after the other
_FEW = 8
_MOST_CHANNELS = 3
# begin and length of the cubes, and the distances after which their grid is made
_CUBES = ((0.0, 256.0), (-384.0, 1024.0))
_WORTH = 1 << 25
# cells a side of the inner grid for each number of channels, with many colours and with few
_FINEST = {1: 2048, 2: 512, 3: 128}
_FEW_COLOURS, _COARSE = 64, 64
# compiled loops go through longer lists faster than through a table that no cache holds
_FEW_IN_LOOPS = 1000
_AROUND = 64


class Search(Shown):
    """Finds the nearest of some codewords; copies share its tables, pickles hold none.

    Args:
        codewords: Float32, shape (k, c), on the [0, 1] scale.
        metric: `l1`, `l2` or `l_inf`.
        ties: `lowest` or `highest`: the index that wins where distances are equal.
    """

    def __init__(self, codewords: Float32Array, metric: str, ties: str) -> None:
        # its own, lest someone writes to the codebook's
        self.codewords, self.metric, self.ties = codewords.copy(), metric, ties
        self._levels = np.float32(255) * codewords
        self._spent = [0] * len(_CUBES)
        self._grids: dict[Any, Grid] = {}
        # only one thread makes a grid
        self._making = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.codewords, self.metric, self.ties)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def is_of(self, codewords: Float32Array, metric: str, ties: str) -> bool:
        """Whether it is that of these codewords and rules."""
        return (self.metric, self.ties) == (metric, ties) and np.array_equal(
            self.codewords, codewords
        )

    def find(self, pixel: Sequence[Any], xp: Any) -> Any:
        """Return the index of the nearest codeword of every pixel.

        Args:
            pixel: One array or tensor a channel, float32 on the 255 scale, all of one shape.
            xp: The module whose arrays these are, `numpy` or `torch`.

        Returns:
            Integers 0..k-1 of the pixels' shape (int64).
        """
        flat = [values.reshape(-1) for values in pixel]
        if xp is not np and flat[0].device.type == "cpu":
            # NumPy has less to do before it begins, and never waits for other threads
            flat = [values.detach().numpy() for values in flat]
            index = xp.from_numpy(self._all_found(flat, np, xp.get_num_threads()))
        else:
            index = self._all_found(flat, xp)
        return index.reshape(pixel[0].shape)

    def replaced(self, values: Any, xp: Any) -> Any | None:
        """Return the codeword nearest to each value, of a few scalar codewords.

        None where borders do not tell it for all values: `find` does.

        Args:
            values: A tensor on the [0, 1] scale, as what is returned; None of another type than
                float32 either.
            xp: `torch`.
        """
        few = self._unit_borders
        if few is None or values.device.type != "cpu" or values.dtype != xp.float32:
            return None
        flat = values.detach().reshape(-1).numpy()
        made, held = np.empty_like(flat), []

        def work(start: int) -> None:
            part = slice(start, start + _CHUNK)
            holds = few.hold(flat[part])
            held.append(holds)
            if holds:
                # ranks are within the table: to check that costs a copy
                self._rising.take(few.rank(flat[part], np), out=made[part], mode="clip")

        in_threads(work, range(0, len(flat), _CHUNK), xp.get_num_threads())
        return xp.from_numpy(made).view(values.shape) if all(held) else None

    @cached_property
    def _unit_borders(self) -> Borders | None:
        return None if self._borders is None else self._borders.on_unit()

    @cached_property
    def _rising(self) -> Float32Array:
        return np.sort(self.codewords[:, 0])

    def _all_found(self, pixel: Sequence[Any], xp: Any, threads: int = 1) -> Any:
        index = xp.empty_like(pixel[0], dtype=xp.int64)

        def work(start: int) -> None:
            part = slice(start, start + _CHUNK)
            some = [values[part] for values in pixel]
            if xp is np:
                some = [np.ascontiguousarray(values) for values in some]
            index[part] = self._found(some, xp)

        in_threads(work, range(0, len(index), _CHUNK), threads)
        return index

    def _found(self, pixel: Sequence[Any], xp: Any, cube: int = 0) -> Any:
        few = self._borders
        if few is not None and few.hold(pixel[0]):
            return few.find(pixel[0], xp)
        grid = self._grid(cube, pixel[0], xp)
        if grid is None:
            return nearest(pixel, self._levels.tolist(), self.metric, self.ties, xp)
        index, left = grid.find(pixel, self.ties, xp)
        if len(left):
            rest = [picked(values, left) for values in pixel]
            # the grid's own type of integers
            index[left] = xp.asarray(self._found(rest, xp, cube + 1), dtype=index.dtype)
        return index

    @cached_property
    def _borders(self) -> Borders | None:
        scalars = self._levels.shape[1] == 1 and len(self._levels) <= _FEW
        return borders(self._levels[:, 0], self.ties) if scalars else None

    def _grid(self, cube: int, values: Any, xp: Any) -> Grid | None:
        """Return the grid of a cube where `values` are, or None where there is none yet."""
        channels = self._levels.shape[1]
        if cube == len(_CUBES) or channels > _MOST_CHANNELS:
            return None
        self._spent[cube] += len(values) * len(self._levels)
        if self._spent[cube] < _WORTH:
            return None
        place = cube, None if xp is np else str(values.device)
        with self._making:
            if place not in self._grids:
                self._grids[place] = self._made(cube, self._in_loops(xp)).placed(values, xp)
        return self._grids[place]

    def _in_loops(self, xp: Any) -> bool:
        """Whether compiled loops go through the grids: of colours, in NumPy."""
        colours = self._levels.shape[1] == _MOST_CHANNELS
        return colours and xp is np and compiler() is not None

    def _made(self, cube: int, in_loops: bool) -> Grid:
        finest = _FINEST[self._levels.shape[1]]
        if len(self._levels) <= (_FEW_IN_LOOPS if in_loops else _FEW_COLOURS):
            finest = min(finest, _COARSE) if self._levels.shape[1] == 3 else finest
        start, side = _CUBES[cube]
        made = cell_lists(
            self._levels.astype(np.float64),
            self.metric,
            start=start,
            side=side,
            finest=_AROUND if cube else finest,
        )
        return Grid.of(made, self._levels, self.metric, in_loops=in_loops)
