"""A point of the budget's box that is assigned to a wanted codeword, for witnesses."""

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import box, levels_of, slack
from art_disc.codebox.cells import best_l2_margin, deepest_in_cell, middle_1d
from art_disc.codebox.grid import grid_points
from art_disc.codebox.rules import paper_mask
from art_disc.core.checks import Float32Array


def point_for(
    pixel: Float32Array, code: int, codebook: Codebook, eps: float, domain: str
) -> Float32Array | None:
    """Return a changed unit (d,), float32, within the budget, that `assign` gives to `code`.

    None if none was found, where a tie goes elsewhere. The budget is not widened here; in the
    domain `8bit` levels v/255 are tried.
    """
    if domain == "8bit":
        points = grid_points(pixel, eps)
    else:
        points = _real_point(pixel, code, codebook, eps)[None]
    hits = np.flatnonzero(codebook.assign(points).reshape(-1) == code)
    return points[hits[0]] if len(hits) else None


def _real_point(pixel: Float32Array, code: int, codebook: Codebook, eps: float) -> Float32Array:
    low, high = box(pixel, eps, widen=0.0)
    levels = levels_of(codebook)
    if codebook.n_channels_ == 1:
        middle = middle_1d(float(low[0]), float(high[0]), levels[:, 0], code)
        return np.array([middle / 255], dtype=np.float32)
    others = np.flatnonzero(paper_mask(pixel[None], codebook, eps)[0])
    rivals = levels[others[others != code]]
    if codebook.nearest_metric == "l_inf":
        found = deepest_in_cell(low, high, levels[code], rivals, slack(codebook))
        point = np.clip(levels[code] if found is None else np.array(found), low, high)
    elif codebook.nearest_metric == "l2":
        point = np.clip(best_l2_margin(low, high, levels[code], rivals)[1], low, high)
    else:
        point = np.clip(levels[code], low, high)
    return np.asarray(point / 255, dtype=np.float32)
