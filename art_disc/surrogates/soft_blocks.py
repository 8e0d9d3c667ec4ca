"""Softmax-weighted means of codewords and their slopes, worked on in the cache.

Some codewords of some pixels are looked at together, once, and nothing of the pairs is kept. One
code for NumPy and torch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from art_disc.codebooks import distance
from art_disc.core.threads import in_threads

# pairs of pixel and codeword at once, and pixels: fewer where weights reach few codewords
_PAIRS, _PIXELS, _FEWER = 1 << 15, 1 << 13, 1 << 9
# other devices than the CPU want longer vectors
_LONGER = 32
# how much farther codewords with weight are, in grey levels, where pixels are taken as they come
_FAR = 100.0
# exp of less has few digits in float32, or is 0
_LEAST = -60.0
# below this squared distance, in squared grey levels, the root has no usable slope
_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class SoftBlocks:
    """What `soft_mean` works out.

    Attributes:
        codes: The codewords on the 255 scale, shape (c, k), of the type of the pixels.
        metric: `l1`, `l2` or `l_inf`.
        rate: Inverse temperature, in 1 / grey levels.
        exact: Whether codewords are looked at whose weights are lost in rounding.
        sloped: Whether slopes are wanted.
        xp: The module whose arrays these are, `numpy` or `torch`.
    """

    codes: Any
    metric: str
    rate: float
    exact: bool
    sloped: bool
    xp: Any

    def of(self, pixels: Any, threads: int) -> tuple[Any, Any]:
        """Return the means (c, n) of pixels (c, n), and their slopes, (c, c, n) or (c, c, 0).

        Slopes are by the channel of the pixel, then by that of the mean.
        """
        channels, n = pixels.shape
        of_two = self.codes.shape == (1, 2)
        as_they_come = of_two or self._reach() > _FAR
        size = (_PIXELS if as_they_come else _FEWER) * (1 if self.xp is np else _LONGER)
        order = None if as_they_come or n <= size else _by_place(pixels, self.xp)
        block = self._between_two if of_two else self._block
        means = self.xp.empty_like(pixels)
        slopes = _zeros(pixels, channels, channels, n if self.sloped else 0)

        def work(start: int) -> None:
            part = slice(start, start + size) if order is None else order[start : start + size]
            # what is infinite or lost stays so
            with np.errstate(all="ignore"):
                means[:, part], made = block(pixels[:, part])
            for row, slope in zip(slopes, made, strict=False):
                row[:, part] = slope

        in_threads(work, range(0, n, size), threads)
        return means, slopes

    def _reach(self) -> float:
        """Return how much farther than the nearest codeword one that carries weight can be."""
        lost = self.xp.finfo(self.codes.dtype).eps / 2
        return math.inf if self.exact else math.log(self.codes.shape[1] / lost) / self.rate

    def _block(self, x: Any) -> tuple[Any, list[Any]]:
        """Return the means (c, m) of pixels (c, m), and their slopes for each channel of x."""
        xp, (channels, m) = self.xp, x.shape
        codes, least = self._in_reach(x)
        sums = _zeros(x, channels + 1, m)
        pulls = [_zeros(x, channels + 1, m) for _ in range(channels if self.sloped else 0)]
        for some, apart, away, weights in self._apart(x, codes):
            table = xp.vstack([some, xp.ones_like(some[:1])])
            if least is None:
                xp.multiply(away, -self.rate, out=weights)
            else:
                xp.subtract(least, away, out=weights)
                xp.multiply(weights, self.rate, out=weights)
            xp.exp(weights, out=weights)
            sums += table @ weights
            if self.sloped:
                self._turn_to_slopes(apart, away)
                xp.multiply(apart, weights, out=apart)
            for total, slope in zip(pulls, apart, strict=False):
                total += table @ slope  # noqa: PLW2901 - it is a view
        means = sums[:-1] / sums[-1]
        factor = -self.rate / sums[-1]
        return means, [(pull[:-1] - means * pull[-1]) * factor for pull in pulls]

    def _between_two(self, x: Any) -> tuple[Any, list[Any]]:
        """As `_block`, of two scalar codewords: their weights are a sigmoid, and its other half."""
        xp, (first, second) = self.xp, self.codes[0]
        from_first, from_second = x - first, x - second
        ahead = xp.abs(from_first) - xp.abs(from_second)
        odds = xp.exp(xp.abs(ahead) * -self.rate)
        larger = 1 / (1 + odds)
        smaller = odds * larger
        means = first + (second - first) * xp.where(ahead > 0, larger, smaller)
        if not self.sloped:
            return means, []
        factor = larger * smaller * ((second - first) * self.rate)
        return means, [factor * (xp.sign(from_first) - xp.sign(from_second))]

    def _in_reach(self, x: Any) -> tuple[Any, Any]:
        """Return the codewords that can carry weight, and what to take distances from.

        That is the least distance of each pixel, or None where weights lose no digits without it.
        """
        xp, codes = self.xp, self.codes
        low, high = xp.amin(x, axis=1)[:, None], xp.amax(x, axis=1)[:, None]
        nearest = xp.maximum(low - codes, codes - high).clip(min=0)
        farthest = xp.maximum(high - codes, codes - low)
        near, far = (self._norm(list(part)) for part in (nearest, farthest))
        # a lost pixel keeps all
        codes = codes[:, ~(near > far.min() + self._reach())]
        if -self.rate * float(far.max()) > _LEAST:
            return codes, None
        least = None
        for _, _, away, _ in self._apart(x, codes):
            here = xp.amin(away, axis=0)
            least = here if least is None else xp.minimum(least, here)
        return codes, least

    def _norm(self, differences: list[Any]) -> Any:
        away = distance(differences, [0.0] * len(differences), self.metric, self.xp)
        return self.xp.sqrt(away) if self.metric == "l2" and len(differences) > 1 else away

    def _apart(self, x: Any, codes: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yield some codewords (c, j) at a time, their differences (c, j, m) and distances (j, m).

        They are in the same memory each time, with room for weights (j, m).
        """
        xp, (channels, m) = self.xp, x.shape
        size = max(1, _PAIRS // m) * (1 if xp is np else _LONGER)
        room = None
        for start in range(0, codes.shape[1], size):
            some = codes[:, start : start + size]
            if room is None or room.shape[1] != some.shape[1]:
                room = _zeros(x, 2 * channels + 1, some.shape[1], m)
            apart, away, weights = room[:channels], room[channels:-1], room[-1]
            xp.subtract(x[:, None], some[:, :, None], out=apart)
            if self.metric == "l2" and channels > 1:
                xp.multiply(apart, apart, out=away)
            else:
                xp.abs(apart, out=away)
            total = away[0]
            for more in away[1:]:
                (xp.maximum if self.metric == "l_inf" else xp.add)(total, more, out=total)
            if self.metric == "l2" and channels > 1:
                xp.sqrt(total.clip(min=_FLOOR), out=total)
            yield some, apart, total, weights

    def _turn_to_slopes(self, apart: Any, away: Any) -> None:
        """Replace differences (c, j, m) by the slopes of distances (j, m)."""
        xp = self.xp
        if self.metric == "l1" or len(apart) == 1:
            xp.sign(apart, out=apart)
            return
        xp.divide(apart, away, out=apart)
        if self.metric == "l2":
            return
        # 1 or -1 in the farthest channels, exactly, and 0 in the others
        xp.trunc(apart, out=apart)
        flat = apart.reshape(-1)
        if flat @ flat != math.prod(away.shape):
            # several are as far, or all are at the codeword itself
            apart[:, away == 0] = 0
            apart /= xp.abs(apart).sum(0).clip(min=1)


def _zeros(like: Any, *shape: int) -> Any:
    return np.zeros(shape, like.dtype) if isinstance(like, np.ndarray) else like.new_zeros(shape)


def _by_place(pixels: Any, xp: Any) -> Any:
    """Return an order in which pixels (c, n) that follow one another are mostly alike."""
    with np.errstate(invalid="ignore"):
        bits = [xp.asarray(row.clip(0, 255), dtype=xp.uint8) for row in pixels[:5]]
    place = _zeros(pixels[0], pixels.shape[1])
    for bit in (7, 6, 5):
        for row in bits:
            place = 2 * place + ((row >> bit) & 1)
    return xp.argsort(xp.asarray(place, dtype=xp.int16), stable=True)
