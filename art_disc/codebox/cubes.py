"""Boxes against unions of open cubes, many at once: what decides l_inf (see `codebox.cells`).

Arrays have the boxes last and channels first: boxes (c, m), centres of cubes (c, r, m).
"""

import numpy as np

from art_disc.codebox.lists import alike, listed
from art_disc.core.checks import BoolArray, Float64Array

_ROUNDING = 1e-9
# points of boxes that are looked at together
_POINTS = 1 << 16


def linf_reachable(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array, tau: float
) -> BoolArray:
    """Whether `centre` wins, or loses by at most `tau` > 0, somewhere in each box, shape (m,).

    Here `centre` may be among the rivals: its own cube is too small by `tau` to meet the box.
    """
    return np.asarray(~np.isnan(points_in_cells(low, high, centre, rivals, -tau)[0]))


def points_in_cells(
    low: Float64Array, high: Float64Array, centre: Float64Array, rivals: Float64Array, margin: float
) -> Float64Array:
    """Points of boxes that are nearer to `centre` than to every rival by `margin`, shape (c, m).

    NaN where there is none. A negative margin says how much farther the codeword may be. `low`,
    `high` and `centre` have shape (c, m), `rivals` (c, r, m).
    """
    gap = np.maximum(0.0, np.maximum(low - centre, centre - high).max(axis=0))
    start = np.maximum(low, centre - gap)
    end = np.maximum(np.minimum(high, centre + gap), start)
    radius = gap + margin
    points = np.clip(centre, low, high)
    near = np.repeat(radius[None] > _ROUNDING, rivals.shape[1], axis=0)
    alone = near.copy()
    for cube, first, last in zip(rivals, start, end, strict=True):
        near &= (cube + radius > first) & (cube - radius < last)
        inner = radius - 2 * _ROUNDING
        alone &= (np.abs(first - cube) < inner) & (np.abs(last - cube) < inner)
    covered = alone.any(axis=0)
    points[:, covered] = np.nan
    rest = np.flatnonzero(near.any(axis=0) & ~covered)
    for part in alike(near[:, rest].sum(axis=0), len(low), power=2):
        rows = rest[part]
        slots = listed(near[:, rows], pad=-1)
        cubes = rivals[:, slots, rows]
        points[:, rows] = _uncovered(start[:, rows], end[:, rows], cubes, slots >= 0, radius[rows])
    return points


def _uncovered(
    low: Float64Array,
    high: Float64Array,
    cubes: Float64Array,
    real: BoolArray,
    radius: Float64Array,
) -> Float64Array:
    """Points of closed boxes (c, m) outside all open cubes, shape (c, m), NaN where they cover it.

    Exact: a point outside can be moved down, one coordinate after the other, to the end of the box
    or to the upper face of a cube, and stays outside; only those values are tried. A coordinate
    keeps only the cubes that it has not left yet, so most branches end at once. `radius` > 0 is
    half the side of the cubes (c, r, m) of a box, of which `real` (r, m) are no padding.
    """
    faces = cubes + radius
    values = np.concatenate([low[:, None], np.minimum(faces, high[:, None])], axis=1)
    usable = (low[:, None] < faces) & (faces <= high[:, None] + _ROUNDING)
    inside = np.abs(values[:, :, None] - cubes[:, None]) < radius - 2 * _ROUNDING
    bits = np.moveaxis(np.packbits(inside, axis=2), 2, 0)
    points = np.full(low.shape, np.nan)
    # places among `values` chosen so far, the box, and the cubes not left yet as bits
    branches = [
        (np.empty((0, len(radius)), int), np.arange(len(radius)), np.packbits(real, axis=0))
    ]
    while branches:
        path, box, left = branches.pop()
        axis, out = len(path), ~left.any(axis=0)
        points[:, box[out]] = low[:, box[out]]
        points[:axis, box[out]] = values[np.arange(axis)[:, None], path[:, out], box[out]]
        rest = np.flatnonzero(np.isnan(points[0, box]))
        if axis == len(low) or not len(rest):
            continue
        size = max(1, _POINTS // len(values[0]))
        for part in np.split(rest, range(size, len(rest), size)):
            meets = np.unpackbits(left[:, part], axis=0, count=len(real)).astype(bool)
            tried = np.ones((len(values[0]), len(part)), dtype=bool)
            tried[1:] = usable[axis][:, box[part]] & meets
            place, index = np.nonzero(tried)
            index = part[index]
            still = left[:, index] & bits[:, axis, place, box[index]]
            branches.append((np.vstack([path[:, index], place]), box[index], still))
    return points
