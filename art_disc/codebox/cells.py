"""Which codewords are nearest somewhere in a box of values, and where: one way for each metric.

**Scalar codewords**: cells are closed intervals between midpoints.

**l1** needs no search. Moving one coordinate of x towards that of a codeword c lowers the distance
to c by the way made and to a rival by no more, so the projection of c onto the box wins by the
largest margin there is. (The same holds for any metric with one channel.)

**l2**: the squared distances to two codewords differ by a linear function of x, so the largest
margin over a box is one linear programme.

**l_inf**: a box against a union of cubes. Let t0 be the distance of codeword c from the box, and x
a point of the box at distance t > t0 from c. Clip x to the cube of radius t0 around c: it stays in
the box, and no coordinate moves by more than t - t0, so no rival comes nearer by more than c does.
Hence c is reachable iff the part of the box at distance <= t0 from c is not covered by the open
cubes of radius t0 - tau around the rivals.
"""

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import box, levels_of, slack
from art_disc.codebox.cubes import points_in_cells
from art_disc.codebox.grid import grid_shells, of_codes
from art_disc.codebox.margins import best_l2_margin
from art_disc.codebox.rules import paper_mask
from art_disc.core.checks import Float32Array, Float64Array


def cells_1d(levels: Float64Array, tau: float) -> tuple[Float64Array, Float64Array]:
    """Lower and upper end of the closed cell of every scalar codeword, two arrays (k,).

    A rival that is less than `tau` away does not bound a cell: rounding may hide the gap anywhere.

    >>> [ends.tolist() for ends in cells_1d(np.array([0.0, 253.0]), 0.0)]
    [[-inf, 126.5], [126.5, inf]]
    """
    ordered = np.sort(levels)
    padded = np.concatenate([[-np.inf], ordered, [np.inf]])
    above = padded[np.searchsorted(ordered, levels + tau, side="right") + 1]
    below = padded[np.searchsorted(ordered, levels - tau, side="left")]
    return (levels + below - tau) / 2, (levels + above + tau) / 2


def deepest_in_cell(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array, tau: float
) -> Float64Array | None:
    """Return the point of the box that wins by the largest margin, to about 1e-4 grey levels.

    None where even a margin of -`tau` cannot be had. `low`, `high` and `centre` have shape (c,),
    `rivals` shape (m, c).
    """
    best = _point_in_cell(low, high, centre, rivals, -tau)
    least, most = -tau, 256.0
    while best is not None and most - least > 1e-4:
        margin = (least + most) / 2
        point = _point_in_cell(low, high, centre, rivals, margin)
        if point is None:
            most = margin
        else:
            best, least = point, margin
    return best


def _point_in_cell(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array, margin: float
) -> Float64Array | None:
    box = low[:, None], high[:, None], centre[:, None]
    point = points_in_cells(*box, rivals.T[:, :, None], margin)[:, 0]
    return None if np.isnan(point[0]) else point


def point_for(
    pixel: Float32Array, code: int, codebook: Codebook, eps: float, domain: str
) -> Float32Array | None:
    """Return a changed unit (d,), float32, within the budget, that `assign` gives to `code`.

    None if none was found, where a tie goes elsewhere. The budget is not widened here; in the
    domain `8bit` levels v/255 are tried.
    """
    if domain == "real":
        point = _real_point(pixel, code, codebook, eps)
        return point if int(codebook.assign(point[None]).item()) == code else None
    # no other codeword wins within the budget
    codes = np.flatnonzero(paper_mask(pixel[None], codebook, eps)[0])
    few = of_codes(codebook, codes)
    for points in grid_shells(pixel, eps):
        hits = np.flatnonzero(codes[few.assign(points).reshape(-1)] == code)
        if len(hits):
            return np.asarray(points[hits[0]])
    return None


def _real_point(pixel: Float32Array, code: int, codebook: Codebook, eps: float) -> Float32Array:
    low, high = box(pixel, eps, widen=0.0)
    levels = levels_of(codebook)
    if codebook.n_channels_ == 1:
        start, end = cells_1d(levels[:, 0], 0.0)
        # as deep inside the cell as the budget allows, or as near to it
        middle = (np.maximum(low, start[code]) + np.minimum(high, end[code])) / 2
        return np.asarray(np.clip(middle, low, high) / 255, dtype=np.float32)
    others = np.flatnonzero(paper_mask(pixel[None], codebook, eps)[0])
    rivals = levels[others[others != code]]
    if codebook.nearest_metric == "l_inf":
        found = deepest_in_cell(low, high, levels[code], rivals, slack(codebook))
        point = np.clip(levels[code] if found is None else found, low, high)
    elif codebook.nearest_metric == "l2":
        point = np.clip(best_l2_margin(low, high, levels[code], rivals)[1], low, high)
    else:
        point = np.clip(levels[code], low, high)
    return np.asarray(point / 255, dtype=np.float32)
