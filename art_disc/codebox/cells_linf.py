"""Cells of the l_inf metric over several channels: a box against a union of cubes.

Let t0 be the distance of codeword c from the box, and x a point of the box at distance t > t0 from
c. Clip x to the cube of radius t0 around c: it stays in the box, and no coordinate moves by more
than t - t0, so no rival comes nearer by more than c does. Hence c is reachable iff the part of the
box at distance <= t0 from c is not covered by the open cubes of radius t0 - tau around the rivals.
"""

from collections.abc import Sequence

import numpy as np

from art_disc.core.checks import Float64Array

Point = list[float]
_ROUNDING = 1e-9


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
