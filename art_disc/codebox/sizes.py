"""Number of codewords that each distinct pixel value reaches, each value looked at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks import Codebook
from art_disc.codebox.cell_volume import MOST_CHANNELS, grid_reach, reached_counts
from art_disc.codebox.grid import as_pixels, is_on_grid
from art_disc.codebox.reachability import unit_mask
from art_disc.codebox.rules import Threat
from art_disc.core.checks import Float32Array, IntArray

_MASK_BITS = 1 << 22
# looking at one colour costs about as much as the cells of so many colours of the cube
_WORTH = 500
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


def class_sizes(pixels: Float32Array, codebook: Codebook, threat: Threat) -> IntArray:
    """Count the codewords that each of some distinct pixels (m, c) in [0, 1] reaches, (m,)."""
    if has_volume(codebook, threat) and pixels.shape[1] > 1 and is_on_grid(pixels).all():
        levels = np.rint(255 * pixels.astype(np.float64)).astype(np.int64)
        low, high, reach = levels.min(axis=0), levels.max(axis=0), grid_reach(threat.eps)
        if (high - low + 1 + 2 * reach).prod() < _WORTH * len(levels):
            counts = reached_counts(codebook, reach, low, high, ties=threat.domain == "real")
            return np.asarray(counts[tuple((levels - low).T)], dtype=np.int64)
    rows = max(1, _MASK_BITS // codebook.n_codes_)
    parts = [
        unit_mask(pixels[None, i : i + rows], codebook, threat).sum(axis=-1)
        for i in range(0, len(pixels), rows)
    ]
    return np.concatenate(parts, axis=None).astype(np.int64)


def has_volume(codebook: Codebook, threat: Threat) -> bool:
    """Whether the cells on the 8-bit cube give the counts asked for; see `codebox.cell_volume`."""
    if threat.rule != "exact" or codebook.n_channels_ > MOST_CHANNELS:
        return False
    if threat.domain == "8bit":
        return True
    levels, grey = np.asarray(codebook.levels), 255 * threat.eps
    whole = bool((levels == np.rint(levels)).all() and (levels <= 255).all())
    return whole and codebook.nearest_metric != "l2" and abs(grey - round(grey)) < 1e-4


def cube_counts(codebook: Codebook, threat: Threat) -> Any:
    """Counts for every 8-bit colour, shape (256,) * c, or None if dear."""
    if codebook.n_channels_ == 1:
        return class_sizes(as_pixels(np.arange(256)[:, None]), codebook, threat)
    if not has_volume(codebook, threat):
        return None
    whole = np.zeros(codebook.n_channels_, dtype=np.int64), np.full(codebook.n_channels_, 255)
    reach = grid_reach(threat.eps)
    return reached_counts(codebook, reach, *whole, ties=threat.domain == "real")
