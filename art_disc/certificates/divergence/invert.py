r"""From a divergence of two laws to the probability of an event, without Pinsker's inequality.

P is the law of the defended clean image, Q that of a perturbed one, and D_a(P || Q) <= D for an
order a >= 1, or D_a(Q || P) <= D ("reverse"). A vote maps the image to a class, so its law is a
coarser one, and no map raises a Renyi divergence (data processing; van Erven, Harremoes 2014,
theorem 9):

**One class.** With p = P(vote = y) and q = Q(vote = y), the binary divergence d_a(p || q) <= D, or
d_a(q || p) <= D. Both fall in q on [0, p] and rise on [p, 1], and at fixed q < p they rise in p. So
the smallest q is the root below p, the largest the root above p; both rise with p, and a lower
(upper) limit of p gives a lower (upper) limit of q.

**Two classes at once.** If class j draws level with y under Q, then Q lies in {q_y <= q_j}. The law
there that is nearest to (p_y, p_j, rest) has q_y = q_j; setting the derivative to zero gives, with
the power mean M_s = ((p_y^s + p_j^s) / 2)^(1/s) and R(M) = log(1 - p_y - p_j + 2 M),

    least D_a(P || Q) = a / (a - 1) R(M_a),     least D_a(Q || P) = -R(M_(1 - a)).

The limits a -> 1 are p_y log(2 p_y / s) + p_j log(2 p_j / s) with s = p_y + p_j, and -R of the
geometric mean. All rise in p_y and fall in p_j while p_y > p_j, so limits of them may be put in. A
divergence below them proves that y stays ahead of j, and gives away nothing that the order knows of
the three probabilities. (The reverse form is theorem 2 of Li, Chen, Wang, Carin 2019.)

**Why both directions.** Where the clean vote is all but sure, D_a(P || Q) hardly counts what P
excludes: no divergence above log 2 certifies anything, however sure the vote. D_a(Q || P) does, and
its limit grows without bound as p_y -> 1.

All of it is deterministic, so the best over any set of orders and directions holds as each of them
does. Pinsker's inequality is the weakening kl(p || q) >= 2 (p - q)^2 of the first, with a = 1.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr, xlogy

from art_disc.certificates.divergence.gaussian import (
    OUTWARD,
    check_order,
    check_probability,
    complement_below,
)
from art_disc.core.checks import Float64Array
from art_disc.core.errors import InputError

# far above the rounding of a binary divergence, far below any that matters
_SLACK_FACTOR, _SLACK = 1 + 1e-12, 1e-13
# below it the sum of powers is computed by its excess over 1, which is exact however near the order
_NEAR = 1.5
# the least order above 1 at which rounding leaves something of the power means
_LEAST = 1.01
_HALVINGS = 50


def binary_divergence(p: ArrayLike, q: ArrayLike, order: float = 1.0) -> Float64Array:
    """D_order of a coin of probability p from one of probability q, in nats.

    Args:
        p: In [0, 1], any shape.
        q: In [0, 1], broadcast to `p`.
        order: At least 1; 1 is KL.

    Raises:
        InputError: A number outside its range.

    >>> round(float(binary_divergence(0.75, 0.5)), 4)
    0.1308
    """
    order = check_order(order)
    p, q = np.broadcast_arrays(check_probability(p), check_probability(q, "q"))
    if order == 1:
        found = rel_entr(p, q) + rel_entr(1 - p, 1 - q)
    else:
        shares, pairs = (p, 1 - p), ((p, q), (1 - p, 1 - q))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = [np.where(a > 0, np.log(a) - np.log(b), -np.inf) for a, b in pairs]
            weighted = zip(shares, ratio, strict=True)
            if np.isinf(order):
                found = np.maximum(*ratio)
            elif order < _NEAR:
                first, second = (a * np.expm1((order - 1) * r) for a, r in weighted)
                found = np.log1p(first + second) / (order - 1)
            else:
                first, second = (np.log(a) + (order - 1) * r for a, r in weighted)
                found = np.logaddexp(first, second) / (order - 1)
    nats: Float64Array = np.maximum(0.0, found)
    return nats


def lowest_probability(
    p: ArrayLike, divergence: ArrayLike, order: float = 1.0, *, reverse: bool = False
) -> Float64Array:
    """Smallest q within a divergence of p: what an event of probability p must keep.

    Args:
        p: Probability under the clean image, or a lower limit of it, any shape.
        divergence: Upper bound of D_order(clean || perturbed) in nats, >= 0, broadcast to `p`.
        order: At least 1; 1 is KL.
        reverse: The bound is of D_order(perturbed || clean).

    Returns:
        In [0, p], rounded down by about 1e-12, or by 1e-7 where the divergence is next to 0.

    Raises:
        InputError: A number outside its range.

    >>> round(float(lowest_probability(0.99, 0.5)), 4)
    0.5752
    """
    p, limit = np.broadcast_arrays(check_probability(p), np.asarray(divergence, np.float64))
    if not (limit >= 0).all():
        msg = f"a divergence is >= 0, got {limit}"
        raise InputError(msg)
    limit = limit * _SLACK_FACTOR + _SLACK
    low, high = np.zeros(p.shape), p.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        first, second = (middle, p) if reverse else (p, middle)
        beyond = binary_divergence(first, second, order) > limit
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return np.maximum(0.0, low - OUTWARD)


def highest_probability(
    p: ArrayLike, divergence: ArrayLike, order: float = 1.0, *, reverse: bool = False
) -> Float64Array:
    """Largest q within a divergence of p, or of an upper limit of it, in [p, 1], rounded up.

    Arguments and errors are those of `lowest_probability`.
    """
    left = complement_below(check_probability(p))
    return 1 - lowest_probability(left, divergence, order, reverse=reverse)


def divergence_needed(
    p_top: ArrayLike, p_other: ArrayLike, order: float = 1.0, *, reverse: bool = False
) -> Float64Array:
    """Smallest divergence at which another class may draw level with the top class.

    Args:
        p_top: Probability of the top class under the clean image, or a lower limit, any shape.
        p_other: Probability of the other class, or an upper limit, broadcast to it; what exceeds
            1 - `p_top` is cut off, since it cannot be.
        order: At least 1; 1 is KL.
        reverse: Of D_order(perturbed || clean), not of D_order(clean || perturbed).

    Returns:
        Nats, rounded down; 0 where the top class is not ahead. A smaller divergence proves that
        the top class stays ahead.

    Raises:
        InputError: A number outside its range.

    Source: the module's head.
    """
    order = check_order(order)
    if 1 < order < _LEAST:
        # KL is the smaller divergence, so that what is needed of it is enough
        order = 1.0
    top, other = np.broadcast_arrays(
        check_probability(p_top, "p_top"), check_probability(p_other, "p_other")
    )
    other = np.minimum(other, 1 - top)
    rest = 1 - top - other
    with np.errstate(divide="ignore"):
        if reverse:
            least = -np.log(rest + 2 * _power_mean(top, other, 1 - order))
        elif order == 1:
            both = np.where(top + other > 0, top + other, 1.0)
            least = xlogy(top, 2 * top / both) + xlogy(other, 2 * other / both)
        else:
            factor = 1.0 if np.isinf(order) else order / (order - 1)
            least = factor * np.log(rest + 2 * _power_mean(top, other, order))
    # the sum under the logarithm may be off by a few last bits, and the factor multiplies them
    bits = 10 * _SLACK if np.isinf(order) or order == 1 else _SLACK * max(10.0, order / (order - 1))
    doubt = bits * np.maximum(1.0, np.exp(np.minimum(least, 30.0)))
    return np.where(top > other, np.maximum(0.0, least - doubt), 0.0)


def _power_mean(top: Float64Array, other: Float64Array, power: float) -> Float64Array:
    """((top^s + other^s) / 2)^(1/s) for top >= other and any s, without overflow."""
    if power == 0:
        return np.sqrt(top * other)
    if np.isinf(power):
        return top if power > 0 else other
    # from the one that weighs more
    base = top if power > 0 else other
    less = other if power > 0 else top
    with np.errstate(over="ignore"):
        ratio = np.where(base > 0, less / np.where(base > 0, base, 1.0), 0.0)
        share = (1 + np.where(base > 0, ratio, 1.0) ** power) / 2
    return base * share ** (1 / power)


def pinsker_needed(p_top: ArrayLike, p_other: ArrayLike) -> Float64Array:
    """(p_top - p_other)^2 / 2: the KL divergence below which Pinsker keeps the top class ahead.

    Eq. (11) of the paper with its sign put right: margin > sqrt(2 KL). Arguments are those of
    `divergence_needed`, the result is in nats, 0 where the top class is not ahead.

    Raises:
        InputError: A number outside its range.

    Source: Zhang, Liang 2019, section 4.2, the line above eq. (11).
    """
    top, other = check_probability(p_top, "p_top"), check_probability(p_other, "p_other")
    margin = np.maximum(0.0, top - np.minimum(other, 1 - top))
    return margin**2 / 2
