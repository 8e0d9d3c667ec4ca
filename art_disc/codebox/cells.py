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

import itertools
from collections.abc import Sequence
from functools import reduce

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import box, distances_to, levels_of, slack
from art_disc.codebox.grid import grid_points
from art_disc.codebox.rules import paper_mask
from art_disc.core.checks import BoolArray, Float32Array, Float64Array

Point = list[float]
_ROUNDING = 1e-9
_CHUNK = 1 << 16
_CORNERS_UP_TO = 4


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


def colour_mask(pixels: Float32Array, codebook: Codebook, eps: float) -> BoolArray:
    """Codewords (m, k) that pixels (m, c > 1) in [0, 1] reach in the real domain.

    Only codewords that the paper's rule lets through are looked at, as wanted ones and as rivals:
    any other is beaten everywhere in the box. Cheap answers come first, then exact ones.
    """
    starts = range(0, max(1, len(pixels)), _CHUNK)
    return np.concatenate([_mask(pixels[i : i + _CHUNK], codebook, eps) for i in starts])


def _mask(pixels: Float32Array, codebook: Codebook, eps: float) -> BoolArray:
    allowed = paper_mask(pixels, codebook, eps)
    low, high = box(pixels, eps)
    levels, tau, metric = levels_of(codebook), slack(codebook), codebook.nearest_metric
    mask: BoolArray = allowed & (allowed.sum(axis=1, keepdims=True) == 1)
    if metric != "l1":
        _accept_corners(mask, low, high, levels, metric)
    row, code = np.nonzero(allowed & ~mask)
    if not len(row):
        return mask
    # each wanted codeword at its own projection: the nearest distance less that to itself
    points = np.clip(levels[code], low[row], high[row])
    own = distances_to(points - levels[code], np.zeros(points.shape[1]), metric)
    nearest = reduce(np.minimum, (distances_to(points, level, metric) for level in levels))
    mask[row, code] = nearest - own >= -tau
    if metric == "l1":
        return mask
    for i, j in zip(*np.nonzero(allowed & ~mask), strict=True):
        others = np.flatnonzero(allowed[i])
        rivals = levels[others[others != j]]
        if metric == "l2":
            mask[i, j] = l2_reachable(low[i], high[i], levels[j], rivals, tau)
        else:
            mask[i, j] = point_in_cell(low[i], high[i], levels[j], rivals, -tau) is not None
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


def best_l2_margin(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array
) -> tuple[float, Float64Array]:
    """Largest margin, in squared distance, by which `centre` wins in a box, and the point (c,).

    The margin is infinite where there is no rival or the solver gave no answer, which counts as
    reachable: sound. `low`, `high` and `centre` have shape (c,), `rivals` shape (m, c).
    """
    from scipy.optimize import linprog

    projected = np.clip(centre, low, high)
    if not len(rivals):
        return np.inf, projected
    origin = (low + high) / 2
    # z + D_centre(x) <= D_rival(x) with x = origin + v
    rows = np.column_stack([2 * (rivals - centre), np.ones(len(rivals))])
    limits = ((rivals - origin) ** 2).sum(axis=1) - ((centre - origin) ** 2).sum()
    bounds = [*zip(low - origin, high - origin, strict=True), (None, None)]
    answer = linprog(np.append(np.zeros(len(low)), -1.0), A_ub=rows, b_ub=limits, bounds=bounds)
    if answer.status != 0 or answer.x is None:
        return np.inf, projected
    return float(answer.x[-1]), origin + answer.x[:-1]


def l2_reachable(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array, tau: float
) -> bool:
    """Whether `centre` wins, or loses by at most `tau`, somewhere in a box.

    The programme is solved only where two rivals or more matter: one alone is decided by the corner
    of the box that is best against it. Arguments as for `best_l2_margin`.
    """
    slope = 2 * (centre - rivals)
    offset = (rivals**2).sum(axis=1) - (centre**2).sum()
    upper = np.where(slope > 0, slope * high, slope * low).sum(axis=1) + offset
    lower = np.where(slope > 0, slope * low, slope * high).sum(axis=1) + offset
    if (upper < -tau).any():
        return False
    matter = lower < -tau
    if matter.sum() < 2:
        return True
    return best_l2_margin(low, high, centre, rivals[matter])[0] >= -tau


def uncovered(
    low: Sequence[float], high: Sequence[float], centres: list[Point], radius: float
) -> Point | None:
    """Return a point of a closed box outside all open cubes, or None if they cover it.

    Exact: a point outside can be moved down, one coordinate after the other, to the end of the box
    or to the upper face of a cube, and stays outside; only those values are tried. A coordinate
    keeps only the cubes that it has not left yet, so most branches end at once. `radius` > 0 is
    half the side of a cube.

    >>> uncovered([0, 0], [2, 2], [[0, 0], [2, 2]], 1.5)
    [0, 1.5]
    >>> uncovered([0, 0], [2, 2], [[1, 1]], 1.5) is None
    True
    """
    if not centres:
        return list(low)
    if not low:
        return None
    faces = {centre[0] + radius for centre in centres}
    within = (min(face, high[0]) for face in faces if low[0] < face <= high[0] + _ROUNDING)
    for value in (low[0], *within):
        inside = [c[1:] for c in centres if abs(value - c[0]) < radius - 2 * _ROUNDING]
        rest = uncovered(low[1:], high[1:], inside, radius)
        if rest is not None:
            return [value, *rest]
    return None


def point_in_cell(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array, margin: float
) -> Point | None:
    """Return a point of a box that is nearer to `centre` than to every rival by `margin`.

    A negative margin says how much farther the codeword may be. `low`, `high` and `centre` have
    shape (c,), `rivals` shape (m, c).
    """
    gap = max(0.0, float((low - centre).max()), float((centre - high).max()))
    start = np.maximum(low, centre - gap)
    end = np.maximum(np.minimum(high, centre + gap), start)
    radius = gap + margin
    if radius <= _ROUNDING:
        return [float(v) for v in np.clip(centre, low, high)]
    near = ((rivals + radius > start) & (rivals - radius < end)).all(axis=1)
    return uncovered(start.tolist(), end.tolist(), rivals[near].tolist(), radius)


def deepest_in_cell(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array, tau: float
) -> Point | None:
    """Return the point of the box that wins by the largest margin, to about 1e-4 grey levels.

    None where even a margin of -`tau` cannot be had. Arguments as for `point_in_cell`.
    """
    best = point_in_cell(low, high, centre, rivals, -tau)
    least, most = -tau, 256.0
    while best is not None and most - least > 1e-4:
        margin = (least + most) / 2
        point = point_in_cell(low, high, centre, rivals, margin)
        if point is None:
            most = margin
        else:
            best, least = point, margin
    return best


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
        start, end = cells_1d(levels[:, 0], 0.0)
        # as deep inside the cell as the budget allows, or as near to it
        middle = (np.maximum(low, start[code]) + np.minimum(high, end[code])) / 2
        return np.asarray(np.clip(middle, low, high) / 255, dtype=np.float32)
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
