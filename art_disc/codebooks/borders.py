"""The nearest of a few scalar codewords: one border between each two neighbours."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from art_disc.codebooks.nearest import nearest, picked
from art_disc.core.checks import Float32Array, IntArray

# within the limit, distances to codewords that are so far apart are never equal by rounding
_LIMIT, _APART = 4096.0, 2.0**-9
# float32 numbers around a midpoint among which the border lies
_AROUND = 8


@dataclass(frozen=True, slots=True)
class Borders:
    """Where float32 distances prefer the next codeword.

    Attributes:
        first: The least value that goes to the next codeword, rising.
        order: Indices of the codewords, rising by their value; None where that is 0, 1, 2, ...
        limit: How large values may be.
    """

    first: tuple[float, ...]
    order: IntArray | None
    limit: float = _LIMIT

    def on_unit(self) -> "Borders":
        """Return those, of borders on the 255 scale, of values on [0, 1] before they are scaled."""
        first = np.array(self.first)
        near = _beside((first / 255).astype(np.float32))
        # a product rises with what is multiplied, so the first that reaches the border is it
        places = (np.float32(255) * near >= first[:, None]).argmax(axis=1)
        own = near[np.arange(len(first)), places].tolist()
        return replace(self, first=tuple(own), limit=_LIMIT / 256)

    def hold(self, values: Any) -> bool:
        """Whether they hold for all of these values: none far outside, and no NaN."""
        return bool((values.min() >= -self.limit) & (values.max() <= self.limit))

    def find(self, values: Any, xp: Any) -> Any:
        """Return the index of the codeword nearest to each value, uint8 or int64; see `nearest`."""
        rank = self.rank(values, xp)
        if self.order is None:
            return rank
        order = self.order if xp is np else xp.as_tensor(self.order, device=values.device)
        return picked(order, xp.asarray(rank, dtype=xp.int64))

    def rank(self, values: Any, xp: Any) -> Any:
        """Return how many codewords are smaller than the one nearest to each value, uint8."""
        if not self.first:
            return xp.zeros_like(values, dtype=xp.uint8)
        # bytes, which are added fastest
        rank = (values >= self.first[0]).view(xp.uint8)
        for border in self.first[1:]:
            rank += (values >= border).view(xp.uint8)
        return rank


def _beside(values: Float32Array) -> Float32Array:
    """Return the float32 numbers around positive ones (m,), rising, (m, 2 * _AROUND + 1)."""
    steps = np.arange(-_AROUND, _AROUND + 1, dtype=np.int32)
    return (values.view(np.int32)[:, None] + steps).view(np.float32)


def borders(levels: Float32Array, ties: str) -> Borders | None:
    """Return the borders between scalar codewords (k,) on the 255 scale.

    None where two are too close for float32 distances to tell them apart at all values, or one is
    negative.
    """
    order = levels.argsort()
    rising = levels[order]
    # only of positive float32 numbers neighbours are neighbouring whole numbers, in one direction
    if rising[0] < 0 or (np.diff(rising) < _APART).any():
        return None
    first = []
    for i, near in enumerate(_beside((rising[:-1] + rising[1:]) / np.float32(2))):
        pair = order[i : i + 2]
        lower, upper = sorted(pair)
        chosen = nearest([near], levels[[lower, upper], None].tolist(), "l1", ties, np)
        goes_up = np.array([lower, upper])[chosen] == pair[1]
        first.append(float(near[goes_up.argmax()]))
    in_order = np.array_equal(order, np.arange(len(order)))
    return Borders(tuple(first), None if in_order else order)
