"""Codewords whose boundaries have few pixels near them, so that a budget frees few."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.counts import PixelCounts
from art_disc.codebooks.learned import LearnedCodebook
from art_disc.codebooks.objective import unit
from art_disc.core.checks import number_of
from art_disc.core.errors import InputError

_Sums = NDArray[np.float64]
_LEVELS = np.arange(256)
# twice the boundary between two levels: their sum
_SUMS = _LEVELS[:, None] + _LEVELS


@dataclass(eq=False, repr=False)
class MarginCodebook(LearnedCodebook):
    """The k scalar codewords whose boundaries the fewest pixels come across within a budget.

    A boundary lies halfway between neighbouring codewords. A pixel within `eps` of it is free: an
    attack chooses its codeword, and a certificate has to hold for both. Of all codewords on the
    8-bit grid these leave the fewest free pixels, each counted for every boundary that it comes
    across; among equals, those of least squared distance to the pixels. Exact, by dynamic
    programming over pairs of neighbours.

    Pixels are counted alike, whatever a network makes of them: what a free pixel costs a
    certificate is not asked.

    Args:
        n_codes: Codewords k asked for, >= 1.
        eps: l_inf budget on the [0, 1] scale, > 0, for which the codewords are.
        least_share: Share of the pixels, in [0, 1), that each codeword stands for at least. With 0
            a boundary may move to where it tells nothing apart.
        per_channel: Learn scalar codewords from all channels together, for each channel by itself.

    Attributes:
        codewords_: Shape (k', 1), rising; k' < k, with a `CodebookWarning`, if no k codewords leave
            each its share.
        free_share_: Boundaries that `eps` reaches, a mean over the pixels that were learned from;
            with `per_channel` over all channel values.
        cost_: Mean squared distance to the nearest codeword, on the [0, 1] scale, over the same.

    Raises:
        InputError: In `fit`: a colour's channels together; take `per_channel=True`.

    >>> x = np.array([0, 0, 90, 150, 200, 255], dtype=np.uint8).reshape(1, 1, 2, 3)
    >>> book = MarginCodebook(2, eps=0.1).fit(x)
    >>> np.rint(book.levels).ravel().tolist(), book.free_share_
    ([30.0, 202.0], 0.0)
    """

    metric = "l_inf"

    n_codes: int = 2
    eps: float = 0.1
    _: KW_ONLY
    least_share: float = 0.02
    per_channel: bool = False

    def _check(self) -> None:
        super()._check()
        if not 0 < number_of(self.eps) <= 1:
            msg = f"eps must be a budget in (0, 1], got {self.eps!r}; write 8/255 for 8 levels"
            raise InputError(msg)
        if not 0 <= number_of(self.least_share) < 1:
            msg = f"least_share must be a share in [0, 1), got {self.least_share!r}"
            raise InputError(msg)

    def _learn(self, counts: PixelCounts) -> None:
        if counts.n_channels > 1 and not self.per_channel:
            msg = (
                f"margin codewords are scalars, got pixels of {counts.n_channels} channels; take "
                "per_channel=True"
            )
            raise InputError(msg)
        pixels = _Pixels(counts.per_channel().sum(axis=0), self.eps, self.least_share)
        codes = pixels.codewords(min(self.n_codes, 256))
        self._warn_of_few(
            len(codes), f"no more leave each {self.least_share:g} of the pixels; lower least_share"
        )
        self._adopt((codes / 255).astype(np.float32)[:, None])
        sums = codes[1:] + codes[:-1]
        total = pixels.histogram.sum()
        self.free_share_ = float(pixels.near[sums].sum() / total)
        away = np.abs(_LEVELS[:, None] - codes).min(axis=1)
        self.cost_ = float(pixels.histogram @ away**2 / total / unit("sqeuclidean"))


class _Pixels:
    """What the search asks of a histogram (256,), of boundaries by their double, the codes' sum."""

    def __init__(self, histogram: NDArray[np.int64], eps: float, least_share: float) -> None:
        self.histogram = histogram
        self.least = least_share * histogram.sum()
        doubles = 2 * _LEVELS
        reach = int(np.floor(510 * eps + 1e-6))
        # how many pixels lie within eps, and how many at the boundary or below, for sums 0..510
        gaps = doubles - np.arange(511)[:, None]
        self.near = (np.abs(gaps) <= reach) @ histogram
        self.below = (gaps <= 0) @ histogram
        # squared distances to what is nearer of two codewords, of pixels between them
        self.between = np.zeros((256, 256))
        squares = (_LEVELS[:, None] - _LEVELS).astype(np.float64) ** 2
        for low in range(256):
            nearer = np.minimum(squares[low], squares)
            inside = (low < _LEVELS) & (_LEVELS[:, None] > _LEVELS)
            self.between[low] = (nearer * inside) @ histogram
        # how many of the first a leave the codeword b its share in (a, b, c), for each b and c
        rows, enough = self.below[_SUMS], int(np.ceil(self.least))
        self.first = np.stack([row.searchsorted(row - enough, side="right") for row in rows])
        self.left = (squares * (_LEVELS[:, None] < _LEVELS)).T @ histogram
        self.right = (squares * (_LEVELS[:, None] > _LEVELS)).T @ histogram

    def codewords(self, k: int) -> NDArray[np.int64]:
        """Return codewords of fewest free pixels, rising: k, or as many as have their share."""
        best = np.array([np.argmin(self.left + self.right)])
        total = self.histogram.sum()
        pairs = np.triu(np.ones((256, 256), dtype=bool), 1)
        near = np.where(pairs, self.near[_SUMS], np.inf)
        free = np.where(self.below[_SUMS] >= self.least, near, np.inf)
        away = self.left[:, None] + self.between
        before: list[NDArray[np.int64]] = []
        for length in range(2, k + 1):
            ends = np.where(total - self.below[_SUMS] >= self.least, free, np.inf)
            if np.isfinite(ends).any():
                best = _followed(ends, away + self.right, before)
            if length == k or not np.isfinite(free).any():
                break
            free, away, chosen = self._longer(free, away)
            before.append(chosen)
            free, away = free + near, away + self.between
        return best

    def _longer(self, free: _Sums, away: _Sums) -> tuple[_Sums, _Sums, NDArray[np.int64]]:
        """Return, of pairs (b, c), the best of all that ends with (a, b), and that a."""
        every = np.arange(256)
        # places of a for each b, from the best on; the lower a where two are as good
        order = np.lexsort((away, free), axis=0)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, every[:, None], axis=0)
        best = np.take_along_axis(order, np.minimum.accumulate(rank, axis=0), axis=0)
        # b has the more pixels the lower a is, so that it has its share with the first of them
        first = self.first
        chosen = best[np.maximum(first - 1, 0), every[:, None]]
        there = first > 0
        least = np.where(there, free[chosen, every[:, None]], np.inf)
        return least, np.where(there, away[chosen, every[:, None]], np.inf), chosen


def _followed(free: _Sums, away: _Sums, before: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the codewords that end with the best pair, each found from the two after it."""
    best = np.where(free == free.min(), away, np.inf)
    codes = [int(i) for i in np.unravel_index(int(best.argmin()), best.shape)]
    for chosen in reversed(before):
        codes.insert(0, int(chosen[codes[0], codes[1]]))
    return np.array(codes)
