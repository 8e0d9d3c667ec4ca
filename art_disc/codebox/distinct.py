"""Equal pixels once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import IntArray

# channels whose levels fit one number of 64 bits, and keys for which a table of all pays
_KEYED, _FEW = 7, 256


def distinct(pixels: NDArray[Any]) -> tuple[NDArray[Any], IntArray]:
    """Distinct pixels (m, c) of pixels (n, c), and for each of the n its row among them."""
    levels = np.rint(255 * pixels).astype(np.int64)
    if pixels.shape[1] <= _KEYED and ((levels >= 0) & (levels <= 255)).all():
        # 8-bit colours are told apart as whole numbers, which spares sorting rows
        first, place = _first_of(levels @ (256 ** np.arange(pixels.shape[1])[::-1]))
        if np.array_equal(pixels[first][place], pixels):
            return pixels[first], place
    values, where = np.unique(pixels, axis=0, return_inverse=True)
    return values, where.reshape(-1)


def _first_of(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Where each different key, rising, occurs, and for each key its place among them."""
    if keys.max() >= _FEW:
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        return first, place.reshape(-1)
    # far quicker than sorting
    seen = np.zeros(_FEW, dtype=bool)
    seen[keys] = True
    place = (seen.cumsum() - 1)[keys]
    first = np.empty(int(seen.sum()), dtype=np.int64)
    first[place] = np.arange(len(keys))
    return first, place
