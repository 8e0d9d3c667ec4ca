"""Number of codewords that pixels reach, each distinct value looked at once."""

from typing import Any

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.cell_volume import MOST_CHANNELS, grid_reach, reached_counts
from art_disc.codebox.distinct import distinct
from art_disc.codebox.grid import as_pixels, is_on_grid
from art_disc.codebox.reachability import checked_units, unit_mask
from art_disc.codebox.rules import Threat
from art_disc.core.checks import Float32Array, IntArray

_MASK_BITS = 1 << 22
# looking at one colour costs about as much as the cells of so many colours of the cube
_WORTH = 500


def free_pixels(
    x: Any,
    codebook: Codebook,
    *,
    eps: float,
    rule: str = "exact",
    domain: str = "real",
    channels_first: bool = True,
) -> IntArray:
    """Count, for each of n images, the units that can reach more than one codeword, shape (n,).

    Arguments and errors are those of `reachable_codes`, whose masks need not fit into memory here.
    Each distinct colour is looked at once, and no further than to its second codeword.
    """
    units = checked_units(x, codebook, channels_first=channels_first)
    threat = Threat(eps, rule, domain)
    flat = units.reshape(-1, units.shape[-1])
    # telling scalars apart takes longer than looking at all of them
    values, where = distinct(flat) if flat.shape[1] > 1 else (flat, np.arange(len(flat)))
    free = _sizes(values, codebook, threat, enough=2) > 1
    return np.asarray(free[where].reshape(units.shape[:2]).sum(axis=1), dtype=np.int64)


def class_sizes(pixels: Float32Array, codebook: Codebook, threat: Threat) -> IntArray:
    """Count the codewords that each of some distinct pixels (m, c) in [0, 1] reaches, (m,)."""
    if has_volume(codebook, threat) and pixels.shape[1] > 1 and is_on_grid(pixels).all():
        levels = np.rint(255 * pixels.astype(np.float64)).astype(np.int64)
        low, high, reach = levels.min(axis=0), levels.max(axis=0), grid_reach(threat.eps)
        if (high - low + 1 + 2 * reach).prod() < _WORTH * len(levels):
            counts = reached_counts(codebook, reach, low, high, ties=threat.domain == "real")
            return np.asarray(counts[tuple((levels - low).T)], dtype=np.int64)
    return _sizes(pixels, codebook, threat)


def _sizes(
    pixels: Float32Array, codebook: Codebook, threat: Threat, *, enough: int | None = None
) -> IntArray:
    """`class_sizes` by masks; a number of `enough` or more says no more than that."""
    rows = max(1, _MASK_BITS // codebook.n_codes_)
    parts = [
        unit_mask(pixels[None, i : i + rows], codebook, threat, enough=enough).sum(axis=-1)
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
