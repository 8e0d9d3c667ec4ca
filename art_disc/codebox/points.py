"""Back from codes to pixels: a change within a budget that the codebook gives to a wanted code.

First an end is sought: a point of the budget's box in the codeword's cell. The codeword's
projection onto the box is one in most cases; with scalar codewords and in l1 whenever there is any
(see `codebox.cells`). Then the first point on the straight way from the pixel to that end is taken
which the codebook, in float32, gives to the code: of scalar codewords none is nearer to the pixel.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from art_disc.codebooks import Codebook, distance
from art_disc.codebox.boxes import levels_of, slack
from art_disc.codebox.cells import point_for
from art_disc.codebox.cubes import points_in_cells
from art_disc.codebox.grid import is_on_grid
from art_disc.codebox.rules import Threat
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray
from art_disc.core.showing import Shown

# of the input range: what adding a budget in float32 may add to it
_ROUNDING = 2.0**-23
# halvings that tell 255 levels apart, and float32 values
_LEVELS, _BITS = 9, 26
_CORNERS_UP_TO = 4
# a level that wins nowhere
_FAR = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Reach(Shown):
    """Pixels in [0, upper] with what a budget allows each of them.

    Attributes:
        codebook: Whose codes are wanted: of d channels, of d = 1 where it works `per_channel`.
        threat: Budget, kept up to one float32 rounding (2^-23 of the range), and domain.
        upper: Top of the input range, 1 or 255, by which a defence divides.
        pixels: Shape (m, d), float32.
        low, high: The least and the largest value of each channel, shape (m, d), float32.
        codes: All codes that a pixel may get in its box, rising, shape (m, r); the last again where
            there are fewer.
    """

    codebook: Codebook
    threat: Threat
    upper: float
    pixels: Float32Array
    low: Float32Array
    high: Float32Array
    codes: IntArray

    @classmethod
    def of(
        cls,
        pixels: Float32Array,
        codes: IntArray,
        codebook: Codebook,
        threat: Threat,
        *,
        upper: float = 1.0,
        free: BoolArray | np.bool_ = np.True_,
    ) -> Self:
        """Return the reach of pixels whose channels may move where `free` (m, d) is true."""
        reach = free * (threat.eps + _ROUNDING) * upper
        low = np.maximum(pixels.astype(np.float64) - reach, 0)
        high = np.minimum(pixels.astype(np.float64) + reach, upper)
        return cls(codebook, threat, upper, pixels, _up(low), -_up(-high), codes)

    def take(self, rows: BoolArray | IntArray) -> Self:
        """Return the reach of some of the pixels."""
        names = ("pixels", "low", "high", "codes")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def codes_of(self, points: Float32Array) -> IntArray:
        """Return what `codebook.assign` does for points (m, d) within the boxes, shape (m,)."""
        unit = points if self.upper == 1 else points / np.float32(self.upper)
        scaled = list((np.float32(255) * unit).T)
        levels = np.asarray(self.codebook.levels, dtype=np.float32)
        best, code = np.full(len(points), np.inf, dtype=np.float32), self.codes[:, 0]
        for tried in self.codes.T:
            away = distance(scaled, list(levels[tried].T), self.codebook.nearest_metric, np)
            nearer = away < best if self.codebook.ties == "lowest" else away <= best
            best, code = np.where(nearer, away, best), np.where(nearer, tried, code)
        return code

    def nearest(self, codes: IntArray) -> tuple[Float32Array, BoolArray]:
        """Return points (m, d) with the wanted codes (m,), and for which pixels there are any.

        A pixel that has its code already stays as it is, unless the domain is `8bit` and it is off
        the grid. One that is an 8-bit colour becomes another one where that will do.
        """
        ends, found = self.ends(codes)
        points = self.pixels.copy()
        coarse = found & self._has_levels
        if self.threat.domain == "real":
            coarse &= is_on_grid(self.pixels / np.float32(self.upper)).all(axis=1)
        for rows, levels in ((coarse, True), (found & ~coarse, False)):
            some = self.take(rows)
            points[rows] = some._first(ends[rows], codes[rows], levels=levels)
        again = np.flatnonzero(coarse)[self.take(coarse).codes_of(points[coarse]) != codes[coarse]]
        points[again] = self.take(again)._first(ends[again], codes[again], levels=False)
        return points, found

    def _first(self, ends: Float32Array, codes: IntArray, *, levels: bool) -> Float32Array:
        """Return the first point with the code on each way from a pixel to an end, (m, d)."""

        def at(share: Float64Array) -> Float32Array:
            points = self.pixels + share[:, None] * (ends.astype(np.float64) - self.pixels)
            return self._placed(points, levels=levels)

        near, far = np.zeros(len(codes)), np.ones(len(codes))
        far[self.codes_of(at(near)) == codes] = 0
        for _ in range(_LEVELS if levels else _BITS):
            middle = (near + far) / 2
            hit = self.codes_of(at(middle)) == codes
            near, far = np.where(hit, near, middle), np.where(hit, middle, far)
        return at(far)

    def ends(self, codes: IntArray) -> tuple[Float32Array, BoolArray]:
        """Return any points (m, d) with the wanted codes (m,), and whether there are any.

        They are 8-bit colours in the domain `8bit`.
        """
        ends, found = self.pixels.copy(), np.zeros(len(codes), dtype=bool)
        for tried in self._tries(codes):
            points = self._placed(tried, levels=self.threat.domain == "8bit")
            hit = ~found & (self.codes_of(points) == codes)
            ends[hit], found = points[hit], found | hit
        if self.codebook.n_channels_ > 1:
            cubes = self.threat.domain == "real" and self.codebook.nearest_metric == "l_inf"
            (self._search_cubes if cubes else self._search)(codes, ends, found)
        return ends, found

    def _tries(self, codes: IntArray) -> Iterator[Float64Array]:
        """Yield the pixels, the codewords' projections, and of colours more that may do."""
        yield self.pixels.astype(np.float64)
        wanted = (self.codebook.codewords_[codes] * np.float32(self.upper)).astype(np.float64)
        yield wanted
        if 1 < self.codebook.n_channels_ <= _CORNERS_UP_TO:
            # of the part of the box that is as near to the codeword as the projection
            gap = np.maximum(self.low - wanted, wanted - self.high).max(axis=1, keepdims=True)
            start, end = np.maximum(self.low, wanted - gap), np.minimum(self.high, wanted + gap)
            for corner in itertools.product((False, True), repeat=self.codebook.n_channels_):
                yield np.where(corner, end, start)

    def _search_cubes(self, codes: IntArray, ends: Float32Array, found: BoolArray) -> None:
        """Look for the ends in l_inf that are not found yet: clear of ties, then on them."""
        levels = np.vstack([levels_of(self.codebook), np.full(self.codebook.n_channels_, _FAR)])
        scale = 255 / self.upper
        for margin in (slack(self.codebook), 0.0):
            rows = np.flatnonzero(~found)
            rest, wanted = self.take(rows), codes[rows]
            rivals = np.where(rest.codes == wanted[:, None], len(levels) - 1, rest.codes)
            low, high = (end.T.astype(np.float64) * scale for end in (rest.low, rest.high))
            among = np.moveaxis(levels[rivals], -1, 0).swapaxes(1, 2)
            points = points_in_cells(low, high, levels[wanted].T, among, margin).T / scale
            points = np.where(np.isnan(points), rest.pixels, points)
            ends[rows] = rest._placed(points, levels=False)
            found[rows] = rest.codes_of(ends[rows]) == wanted

    def _search(self, codes: IntArray, ends: Float32Array, found: BoolArray) -> None:
        """Look for the ends that are not found yet by an exact search, once for equal pixels."""
        rows = np.flatnonzero(~found)
        unit = self.pixels[rows] / np.float32(self.upper)
        asked = np.column_stack([unit, codes[rows]]).astype(np.float64)
        cases, which = np.unique(asked, axis=0, return_inverse=True)
        for i, (*colour, code) in enumerate(cases.tolist()):
            pixel = np.array(colour, dtype=np.float32)
            point = point_for(pixel, int(code), self.codebook, self.threat.eps, self.threat.domain)
            if point is not None:
                ends[rows[which.reshape(-1) == i]] = point * np.float32(self.upper)
        rest = self.take(rows)
        ends[rows] = rest._placed(ends[rows], levels=self.threat.domain == "8bit")
        found[rows] = rest.codes_of(ends[rows]) == codes[rows]

    def _placed(self, points: Float64Array | Float32Array, *, levels: bool) -> Float32Array:
        """Return the nearest points in the boxes, or 8-bit colours there if there are any."""
        if not levels:
            return np.clip(points.astype(np.float32), self.low, self.high)
        nearest = np.rint(points * (255 / self.upper)).astype(np.int64)
        return self._levels[np.clip(nearest, *self._level_range)]

    @property
    def _levels(self) -> Float32Array:
        return (np.arange(256) * self.upper / 255).astype(np.float32)

    @property
    def _level_range(self) -> tuple[IntArray, IntArray]:
        levels = self._levels
        return levels.searchsorted(self.low), levels.searchsorted(self.high, side="right") - 1

    @property
    def _has_levels(self) -> BoolArray:
        low, high = self._level_range
        return np.asarray((low <= high).all(axis=1))


def _up(values: Float64Array) -> Float32Array:
    """Return the least float32 values that are no less."""
    rounded = values.astype(np.float32)
    return np.where(rounded < values, np.nextafter(rounded, np.float32(np.inf)), rounded)
