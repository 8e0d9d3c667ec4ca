r"""Divergence of noisy pixels that are replaced by their nearest fixed codeword.

For scalar codewords c_1 < ... < c_k the cells are intervals between midpoints, so a pixel x becomes
c_j with probability q_j(x) = Phi((b_j - x) / sigma) - Phi((a_j - x) / sigma): a categorical law in
closed form, independent from pixel to pixel and from channel to channel.

**Why the ends of the box are enough**, for D(clean || shifted) and convex cells of any dimension.
Let p = q(x) be the law of the clean pixel. A cell is convex and the Gaussian density log-concave,
so q_j(x + t) is log-concave in the shift t (Prekopa 1973). Then

- KL(clean || shifted) = sum_j p_j log p_j - sum_j p_j log q_j(x + t) is convex in t;
- for 1 < a < inf, sum_j p_j^a q_j(x + t)^(1 - a) is a sum of exponentials of convex functions,
  whose logarithm is convex, so D_a(clean || shifted) is convex;
- D_inf = max_j (log p_j - log q_j(x + t)) is a maximum of convex functions.

A convex function on a box is largest at a vertex.

**For intervals also D(shifted || clean).** The Gaussian density is totally positive of order 2, and
integrals over ordered intervals stay so (Karlin 1968): for t < t', q_j(x + t') / q_j(x + t) rises
in j. So by Neyman and Pearson the best tests of "clean" against "shifted by t > 0" reject for large
j, and their power at every level rises with t, since the larger shift puts more weight on large j.
A pair of laws that is easier to tell apart at every level has the larger f-divergence, of every f
and in both directions (Blackwell 1951), Renyi's among them. The same holds for t < 0. For cells
that are no intervals nothing like it is known, so the reverse direction is for scalar codewords.

Divergences of independent laws add up, and each pixel has an interval of its own, so the sum over
pixels of the larger end is the exact maximum for the image.

**Why a small p_j is not lost.** All probabilities stay logarithms, and `log ndtr` is exact in the
far tail; every step adds a bound of its own rounding to the result.

Source: Zhang, Liang 2019, section 4.1, whose argument for the vertices (a gradient) does not hold;
the conclusion does.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, logsumexp

from art_disc.certificates.divergence.gaussian import check_order
from art_disc.codebox import distinct
from art_disc.core.checks import Float64Array, check_positive
from art_disc.core.errors import InputError

# relative error granted to log_ndtr (measured: below 2^-46), and to a few float64 operations
_LOG_NDTR = 2.0**-44
_ULP = 2.0**-50
# the least order above 1 that rounding leaves something of
_LEAST = 1 + 1e-4
_VALUES_AT_ONCE = 1 << 20


def cell_ends(levels: ArrayLike) -> Float64Array:
    """Ends of the cells of scalar codewords, in any order: midpoints between infinities, (k + 1,).

    Raises:
        InputError: No codeword, or one that is not finite.

    >>> cell_ends([1.0, 0.0]).tolist()
    [-inf, 0.5, inf]
    """
    ordered = np.unique(np.asarray(levels, dtype=np.float64))
    if ordered.size == 0 or not np.isfinite(ordered).all():
        msg = f"expected finite codewords, at least one, got {levels!r}"
        raise InputError(msg)
    return np.concatenate([[-np.inf], (ordered[1:] + ordered[:-1]) / 2, [np.inf]])


def log_cell_probabilities(
    x: Float64Array, ends: Float64Array, sigma: float
) -> tuple[Float64Array, Float64Array]:
    """Log-probabilities (..., k) of the codewords of noisy values, and a bound of their error.

    `ends` come from `cell_ends`. A probability is minus infinity with an infinite bound where
    float64 does not tell a cell's ends apart.
    """
    below, above = ((e - x[..., None]) / sigma for e in (ends[:-1], ends[1:]))
    # from the tail in which the cell lies: there the two probabilities differ the most
    with np.errstate(invalid="ignore"):
        right = below + above > 0
    small = log_ndtr(np.where(right, -above, below))
    large = log_ndtr(np.where(right, -below, above))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        part = -np.expm1(small - large)
        logs = large + np.log(part)
        # the rounding of an end moves a log-probability by the density there over the probability
        reach = np.maximum(_finite(below), _finite(above))
        reach = reach + (np.abs(x[..., None]) + _finite(ends).max()) / sigma
        slope = np.exp(-(below**2) / 2 - logs) + np.exp(-(above**2) / 2 - logs)
        tails = _finite(large) + (1 - part) * _finite(small)
        error = _LOG_NDTR * (1 + tails / part + reach * slope)
    return logs, np.where(np.isfinite(logs), error, np.inf)


def _finite(values: Float64Array) -> Float64Array:
    """Absolute values, 0 for infinity."""
    return np.where(np.isfinite(values), np.abs(values), 0.0)


def categorical_divergence(
    log_p: Float64Array, log_q: Float64Array, order: float, error: ArrayLike = 0.0
) -> Float64Array:
    """Upper bound of the Renyi divergence D_order(p || q) of categorical laws, in nats, >= 0.

    Laws are log-probabilities (..., k); `error` bounds the error of each, broadcast to them. The
    rounding is added.

    Raises:
        InputError: The order is below 1.
    """
    order = check_order(order)
    if 1 < order < _LEAST:
        # rounding is divided by order - 1; the divergence rises with the order, so this bounds it
        order = _LEAST
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isneginf(log_p), -np.inf, log_p - log_q)
    slack = 2 * np.asarray(error) + _ULP * (1 + _finite(log_p) + _finite(log_q))
    slack = np.where(np.isneginf(log_p) & np.isfinite(slack), 0.0, slack)
    if np.isinf(order):
        with np.errstate(invalid="ignore"):
            found = (ratio + slack).max(axis=-1)
    elif order == 1:
        p = np.exp(log_p)
        with np.errstate(invalid="ignore"):
            terms = np.where(p > 0, p * ratio, 0.0)
            extra = np.where(p > 0, p * slack * (2 + np.abs(ratio)), 0.0)
        found = (terms + extra).sum(axis=-1) + _ULP
    else:
        found = _renyi(log_p, ratio, slack, order)
    unknown = np.isnan(found) | np.isinf(slack).any(axis=-1)
    return np.where(unknown, np.inf, np.maximum(0.0, found))


def _renyi(
    log_p: Float64Array, ratio: Float64Array, slack: Float64Array, order: float
) -> Float64Array:
    """log(sum_j p_j exp((order - 1) ratio_j)) / (order - 1), without cancellation near 0."""
    power = (order - 1) * ratio
    size = np.where(np.isfinite(power), np.abs(power), 0).max(axis=-1)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.log1p((np.exp(log_p) * np.expm1(np.minimum(power, 1.0))).sum(axis=-1))
        far = logsumexp(log_p + power, axis=-1)
    value = np.where((size < 1) & np.isfinite(power).all(axis=-1), near, far)
    # each exponent is off by at most order * slack, so the log of their sum by the largest of
    # them, weighted by its share of the sum
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.exp(log_p + power - far[..., None])
        extra = 4 * order * (share * slack).sum(axis=-1)
        extra = np.where((order * slack > 0.5).any(axis=-1), np.inf, extra)
    return np.asarray((value + extra + 4 * _ULP) / (order - 1))


def shift_divergence(  # noqa: PLR0913 - the law, the box, the order and the direction
    x: Float64Array,
    levels: ArrayLike,
    *,
    sigma: float,
    low: Float64Array,
    high: Float64Array,
    order: float = 1.0,
    reverse: bool = False,
) -> Float64Array:
    """Upper bound, in nats, of the largest divergence of single noisy values from shifted ones.

    The adversary moves clean values `x` to `low`..`high`, which are of any one shape; the rest is
    as for `codeword_divergence`.

    Raises:
        InputError: A number outside its range, or an interval that does not hold `x`.
    """
    sigma, order = check_positive(sigma, "sigma"), check_order(order)
    ends = cell_ends(levels)
    x, low, high = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (x, low, high)))
    if not ((low <= x) & (x <= high)).all():
        msg = "expected low <= x <= high and no NaN; give the box of the clean image"
        raise InputError(msg)
    flat = np.stack([v.reshape(-1) for v in (x, low, high)])
    rows = max(1, _VALUES_AT_ONCE // len(ends))
    chunks = [flat[:, i : i + rows] for i in range(0, flat.shape[1], rows)]
    parts = [_at_ends(chunk, ends, sigma, order, reverse=reverse) for chunk in chunks]
    return np.concatenate([*parts, np.zeros(0)]).reshape(x.shape)


def _at_ends(
    box: Float64Array, ends: Float64Array, sigma: float, order: float, *, reverse: bool
) -> Float64Array:
    """Larger divergence at the two ends; `box` holds x, low and high, shape (3, n)."""
    log_p, error_p = log_cell_probabilities(box[0], ends, sigma)
    worst = np.zeros(box.shape[1])
    for shifted in box[1:]:
        log_q, error_q = log_cell_probabilities(shifted, ends, sigma)
        error = np.maximum(error_p, error_q)
        laws = (log_q, log_p) if reverse else (log_p, log_q)
        found = categorical_divergence(*laws, order, error)
        worst = np.maximum(worst, np.where(shifted == box[0], 0.0, found))
    return worst


def codeword_divergence(  # noqa: PLR0913 - everything after the codewords is a keyword
    x: ArrayLike,
    levels: ArrayLike,
    *,
    sigma: float,
    eps: float,
    order: float = 1.0,
    reverse: bool = False,
    upper: float = 1.0,
) -> Float64Array:
    """Upper bound of the largest divergence of whole images from their shifted ones.

    Args:
        x: Images in [0, upper], shape (n, ...); every value is a grey pixel or a channel that is
            replaced by itself.
        levels: Scalar codewords, on the scale of `x`.
        sigma: Standard deviation of the noise on that scale, > 0.
        eps: l_inf budget on that scale, >= 0; the adversary stays in [0, upper].
        order: At least 1; 1 is KL.
        reverse: D_order(shifted || clean), not D_order(clean || shifted).
        upper: Top of the input range; infinite: the adversary may leave the range.

    Returns:
        Nats, shape (n,).

    Raises:
        InputError: A number outside its range.
    """
    images = np.asarray(x, dtype=np.float64)
    eps = check_positive(eps, "eps", zero=True)
    values, place = distinct(images.reshape(-1, 1))
    values = values[:, 0]
    floor = 0.0 if np.isfinite(upper) else -np.inf
    low = np.minimum(values, np.maximum(values - eps, floor))
    high = np.maximum(values, np.minimum(values + eps, upper))
    single = shift_divergence(
        values, levels, sigma=sigma, low=low, high=high, order=order, reverse=reverse
    )
    return np.asarray(single[place.reshape(len(images), -1)].sum(axis=1) * (1 + 2.0**-40))
