"""Codewords of several channels that a box can reach: cheap answers first, then exact ones."""

import itertools

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import box, distances_to, levels_of, slack
from art_disc.codebox.cells_linear import l2_reachable, projection_margin
from art_disc.codebox.cells_linf import point_in_cell
from art_disc.codebox.rules import paper_mask
from art_disc.core.checks import BoolArray, Float32Array, Float64Array

_CHUNK = 1 << 16
_CORNERS_UP_TO = 4


def colour_mask(pixels: Float32Array, codebook: Codebook, eps: float) -> BoolArray:
    """Codewords (m, k) that pixels (m, c > 1) in [0, 1] reach in the real domain.

    Only codewords that the paper's rule lets through are looked at, as wanted ones and as rivals:
    any other is beaten everywhere in the box.
    """
    parts = [
        _mask(pixels[i : i + _CHUNK], codebook, eps) for i in range(0, max(1, len(pixels)), _CHUNK)
    ]
    return np.concatenate(parts)


def _mask(pixels: Float32Array, codebook: Codebook, eps: float) -> BoolArray:
    allowed = paper_mask(pixels, codebook, eps)
    low, high = box(pixels, eps)
    levels, tau = levels_of(codebook), slack(codebook)
    mask: BoolArray = allowed & (allowed.sum(axis=1, keepdims=True) == 1)
    if codebook.nearest_metric != "l1":
        _accept_corners(mask, low, high, levels, codebook.nearest_metric)
    row, code = np.nonzero(allowed & ~mask)
    if not len(row):
        return mask
    margin = projection_margin(low[row], high[row], levels[code], levels, codebook.nearest_metric)
    mask[row, code] = margin >= -tau
    if codebook.nearest_metric == "l1":
        return mask
    for i, j in zip(*np.nonzero(allowed & ~mask), strict=True):
        others = np.flatnonzero(allowed[i])
        rivals = levels[others[others != j]]
        mask[i, j] = _decide(low[i], high[i], levels[j], rivals, codebook.nearest_metric, tau)
    return mask


def _accept_corners(
    mask: BoolArray, low: Float64Array, high: Float64Array, levels: Float64Array, metric: str
) -> None:
    """Mark the codes of the centre and, for few channels, of the corners of every box."""
    shares = [np.full(low.shape[1], 0.5)]
    if low.shape[1] <= _CORNERS_UP_TO:
        shares += [np.array(c) for c in itertools.product((0.0, 1.0), repeat=low.shape[1])]
    rows = np.arange(len(low))
    for share in shares:
        points = low + share * (high - low)
        best = np.stack([distances_to(points, level, metric) for level in levels])
        mask[rows, best.argmin(axis=0)] = True


def _decide(
    low: Float64Array,
    high: Float64Array,
    centre: Float64Array,
    rivals: Float64Array,
    metric: str,
    tau: float,
) -> bool:
    if metric == "l2":
        return l2_reachable(low, high, centre, rivals, tau)
    return point_in_cell(low, high, centre, rivals, -tau) is not None
