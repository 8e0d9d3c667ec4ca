"""The largest margin by which a codeword wins in a box: what decides l2 (see `codebox.cells`)."""

import numpy as np

from art_disc.codebox.lists import alike, listed
from art_disc.codebox.programmes import has_point_above
from art_disc.core.checks import BoolArray, Float64Array


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
) -> BoolArray:
    """Whether `centre` wins, or loses by at most `tau`, somewhere in each box, shape (m,).

    The margin over a rival is slope . x + offset. A programme is solved only where two rivals or
    more matter: one alone is decided by the corner of the box that is best against it. `low`,
    `high` and `centre` have shape (c, m), `rivals` (c, r, m), and may hold `centre` itself.
    """
    slope = 2 * (centre[:, None] - rivals)
    offset = (rivals**2).sum(axis=0) - (centre**2).sum(axis=0)
    ends = slope * high[:, None], slope * low[:, None]
    upper = np.maximum(*ends).sum(axis=0) + offset
    matter = np.minimum(*ends).sum(axis=0) + offset < -tau
    reachable: BoolArray = (upper >= -tau).all(axis=0)
    several = np.flatnonzero(reachable & (matter.sum(axis=0) > 1))
    for part in alike(matter[:, several].sum(axis=0), len(low)):
        rows = several[part]
        slots = listed(matter[:, rows], pad=-1)
        # padding repeats a rival that matters, which does no harm
        slots = np.where(slots < 0, slots[0], slots)
        box = low[:, rows], high[:, rows]
        answers = has_point_above(*box, slope[:, slots, rows], offset[slots, rows], -tau)
        for i in np.flatnonzero(answers == 0):
            one, among = rows[i], rivals[:, slots[:, i], rows[i]].T
            margin = best_l2_margin(low[:, one], high[:, one], centre[:, one], among)[0]
            answers[i] = 1 if margin >= -tau else -1
        reachable[rows] = answers > 0
    return reachable
