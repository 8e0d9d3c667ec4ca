"""Cells of l1 and l2: where a projection decides, and where a linear programme does.

l1 needs no programme. Moving one coordinate of x towards that of a codeword c lowers the distance
to c by the way made and to a rival by no more, so the projection of c onto the box wins by the
largest margin there is. (The same holds for any metric with one channel.)

l2: the squared distances to two codewords differ by a linear function of x, so the largest margin
over a box is one linear programme.
"""

import numpy as np

from art_disc.codebox.boxes import distances_to, nearest_distance
from art_disc.core.checks import Float64Array


def projection_margin(
    low: Float64Array, high: Float64Array, codes: Float64Array, levels: Float64Array, metric: str
) -> Float64Array:
    """By how much each wanted codeword wins at its own projection onto a box, at most 0, (m,).

    It is the nearest distance less that to the wanted codeword; 0: it wins or ties. `low`, `high`
    and the wanted `codes` have shape (m, c), `levels` (all codewords) shape (k, c).
    """
    points = np.clip(codes, low, high)
    own = sum_of(points, codes, metric)
    return nearest_distance(points, levels, metric) - own


def sum_of(points: Float64Array, codes: Float64Array, metric: str) -> Float64Array:
    """Distance of each point to a codeword of its own, both (m, c); squared for l2 with c > 1."""
    shifted = points - codes
    return distances_to(shifted, np.zeros(points.shape[1]), metric)


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
