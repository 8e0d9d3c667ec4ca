"""Number of codewords that each distinct pixel value reaches, each value looked at once."""

from typing import Any

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import IntArray
from art_disc.codebox.cell_volume import MOST_CHANNELS, grid_reach, is_whole, reached_counts
from art_disc.codebox.grid import as_pixels, is_on_grid
from art_disc.codebox.reachability import unit_mask
from art_disc.codebox.threat import Threat
from art_disc.core.checks import Float32Array

_MASK_BITS = 1 << 22
# looking at one colour costs about as much as the cells of so many colours of the cube
_WORTH = 500


def grid_levels(pixels: Float32Array) -> IntArray | None:
    """Levels 0..255 of pixels that are 8-bit values, or None where one is not."""
    levels = np.rint(255 * pixels.astype(np.float64)).astype(np.int64)
    return levels if is_on_grid(pixels).all() else None


def distinct(pixels: Float32Array) -> tuple[Float32Array, IntArray]:
    """Distinct pixels (m, c) of pixels (n, c), and for each of the n its row among them."""
    levels = grid_levels(pixels) if pixels.shape[1] <= 7 else None
    if levels is None:
        values, where = np.unique(pixels, axis=0, return_inverse=True)
        return values, where.reshape(-1)
    keys = levels @ (256 ** np.arange(levels.shape[1])[::-1])
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    return pixels[first], where.reshape(-1)


def class_sizes(pixels: Float32Array, codebook: Codebook, threat: Threat) -> IntArray:
    """Count the codewords that each of some distinct pixels reaches.

    Args:
        pixels: Shape (m, c), values in [0, 1], c as the codewords have it.
        codebook: A fitted codebook.
        threat: Budget, rule and domain.

    Returns:
        Shape (m,), each >= 1.
    """
    levels = grid_levels(pixels) if has_volume(codebook, threat) else None
    if levels is not None and levels.shape[1] > 1:
        low, high, reach = levels.min(axis=0), levels.max(axis=0), grid_reach(threat.eps)
        if (high - low + 1 + 2 * reach).prod() < _WORTH * len(levels):
            counts = reached_counts(codebook, reach, low, high, ties=threat.domain == "real")
            sizes: IntArray = counts[tuple((levels - low).T)].astype(np.int64)
            return sizes
    rows = max(1, _MASK_BITS // codebook.n_codes_)
    parts = [
        unit_mask(pixels[None, i : i + rows], codebook, threat).sum(axis=-1)
        for i in range(0, len(pixels), rows)
    ]
    return np.concatenate(parts, axis=None).astype(np.int64)


def has_volume(codebook: Codebook, threat: Threat) -> bool:
    """Whether the cells on the 8-bit cube give the counts that were asked for."""
    if threat.rule != "exact" or codebook.n_channels_ > MOST_CHANNELS:
        return False
    return threat.domain == "8bit" or is_whole(codebook, threat.eps)


def cube_counts(codebook: Codebook, threat: Threat) -> Any:
    """Counts for every 8-bit colour, shape (256,) * c, or None if dear."""
    if codebook.n_channels_ == 1:
        return class_sizes(as_pixels(np.arange(256)[:, None]), codebook, threat)
    if not has_volume(codebook, threat):
        return None
    whole = np.zeros(codebook.n_channels_, dtype=np.int64), np.full(codebook.n_channels_, 255)
    reach = grid_reach(threat.eps)
    return reached_counts(codebook, reach, *whole, ties=threat.domain == "real")
