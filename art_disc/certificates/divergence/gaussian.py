"""Divergences of Gaussian noise in closed form, and l2 randomised smoothing beside them.

x + sigma N and x + delta + sigma N are Gaussian laws whose means differ by |delta|_2 / sigma
standard deviations, at most r = eps sqrt(d) / sigma for an l_inf budget and d values. Hence
KL = r^2 / 2 and, of order a, D_a = a r^2 / 2 (Renyi 1961; van Erven, Harremoes 2014, eq. 10).

A divergence keeps one number of the two laws. For Gaussian laws the whole trade-off is known: the
likelihood ratio depends on the projection to delta alone, so by the lemma of Neyman and Pearson no
event of probability p becomes rarer than Phi(Phi^-1(p) - r) (Cohen, Rosenfeld, Kolter 2019,
theorem 1). This bound is therefore never worse than one by divergences of the same noise; what
divergences add is the step after the noise, which only they can take into account.

**Proposition 1: the centres, too, are drawn from the noisy image.** The output is then made of two
noisy copies of the image alone: x + tau N at s random positions, from which the centres come, and
x + sigma N at all n pixels, which are assigned to them. Positions do not depend on the image. By
the chain rule and data processing

    KL(clean || shifted) <= s q eps^2 / (2 tau^2) + sum_i max_t E_u KL(r(x_i | u) || r(x_i + t | u))

for q channels; where a position drawn twice brings the same noise again, the first term is smaller.
Each KL of the second sum is at most q eps^2 / (2 sigma^2), again by data processing: that is what
`proposition1_kl` puts in, so that nothing has to be estimated. With all of it Gaussian, orders
above 1 and the bound of randomised smoothing apply with the distance sqrt(2 KL).

The first term alone ends the certificate early: Pinsker needs sqrt(2 KL) below the margin, which is
at most 1, so from eps = tau / sqrt(s q) on nothing is certified, whatever the network. Inverted
divergences of higher orders end later; where depends on the votes.

Source: Zhang, Liang 2019, Proposition 1 and eq. (5).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from art_disc.core.checks import Float64Array, check_count, check_positive, number_of
from art_disc.core.errors import InputError

# by which a probability is moved outward: far above the rounding of SciPy's functions
OUTWARD = 1e-12


def check_order(order: Any) -> float:
    """Return a Renyi order >= 1; 1 is the KL divergence, infinity the largest log ratio.

    Raises:
        InputError: Below 1, where the maximum over a box need not lie at a vertex, or no number.
    """
    number = number_of(order)
    if not number >= 1:
        msg = f"the order of a Renyi divergence must be >= 1 here (1 is KL), got {order!r}"
        raise InputError(msg)
    return number


def check_probability(p: ArrayLike, name: str = "p") -> Float64Array:
    """Return probabilities as float64.

    Raises:
        InputError: NaN, truth values, or outside [0, 1].
    """
    given = np.asarray(p)
    values = given.astype(np.float64)
    if given.dtype.kind == "b" or not ((values >= 0) & (values <= 1)).all():
        msg = f"{name} must hold probabilities in [0, 1], got {given}"
        raise InputError(msg)
    return values


def complement_below(p: Float64Array) -> Float64Array:
    """Return 1 - p, rounded down: a tiny p is not lost, as it would be next to 1."""
    return np.where(p > 0, np.nextafter(1 - p, 0.0), 1.0)


def gaussian_shift(eps: float, sigma: float, d: int) -> float:
    """Largest distance of the two means, eps sqrt(d) / sigma standard deviations, for d values.

    Raises:
        InputError: A number outside its range.
    """
    check_positive(eps, "eps", zero=True)
    check_positive(sigma, "sigma")
    return eps * math.sqrt(check_count(d, "d")) / sigma


def gaussian_kl(eps: float, sigma: float, d: int) -> float:
    """Largest KL divergence of noisy images within `eps`, d eps^2 / (2 sigma^2), in nats.

    Args:
        eps: l_inf budget >= 0, on the scale of `sigma`.
        sigma: Standard deviation of the noise, > 0.
        d: Values of an image.

    Raises:
        InputError: A number outside its range.

    Source: Zhang, Liang 2019, eq. (4).

    >>> round(gaussian_kl(0.1, 0.15, 784), 2)
    174.22
    """
    return gaussian_shift(eps, sigma, d) ** 2 / 2


def gaussian_renyi(shift: float, order: float) -> float:
    """Order times shift^2 / 2: the Renyi divergence of Gaussian laws, in nats.

    The shift is that of `gaussian_shift`; infinite orders give infinity, or 0 without a shift.

    Raises:
        InputError: A number outside its range.
    """
    kl, order = check_positive(shift, "shift", zero=True) ** 2 / 2, check_order(order)
    return order * kl if kl else 0.0


def smoothing_lowest(p: ArrayLike, shift: ArrayLike) -> Float64Array:
    """Phi(Phi^-1(p) - shift): the least that an event of probability p keeps, rounded down.

    Exact for Gaussian noise. `p` holds (lower limits of) probabilities under the clean image, of
    any shape, `shift` distances of the means in standard deviations, >= 0.

    Raises:
        InputError: `p` is outside [0, 1].

    Source: Cohen, Rosenfeld, Kolter 2019, theorem 1.
    """
    kept = ndtr(ndtri(check_probability(p)) - np.asarray(shift, dtype=np.float64))
    lowest: Float64Array = np.maximum(0.0, kept - OUTWARD)
    return lowest


def smoothing_highest(p: ArrayLike, shift: ArrayLike) -> Float64Array:
    """Phi(Phi^-1(p) + shift): the most that it can reach, rounded up; as `smoothing_lowest`.

    Raises:
        InputError: `p` is outside [0, 1].
    """
    return 1 - smoothing_lowest(complement_below(check_probability(p)), shift)


def smoothing_radius(p_top: float, p_other: float, *, sigma: float, d: int) -> float:
    """l_inf radius below which the top class stays ahead under Gaussian noise.

    The l2 radius R = sigma / 2 (Phi^-1(p_top) - Phi^-1(p_other)) of Cohen et al., divided by
    sqrt(d): the largest cube within the ball.

    Args:
        p_top: Probability of the top class, a lower limit.
        p_other: The largest of another class, an upper limit.
        sigma: Standard deviation of the noise, > 0.
        d: Values of an image.

    Returns:
        The radius on the scale of `sigma`; 0 where the top class is not ahead.

    Raises:
        InputError: A number outside its range.

    Source: Cohen, Rosenfeld, Kolter 2019, theorem 1.

    >>> round(smoothing_radius(0.99, 0.01, sigma=0.15, d=784), 5)
    0.01246
    """
    top, other = ndtri(check_probability([p_top, p_other]))
    if not top > other:
        return 0.0
    radius = float(check_positive(sigma, "sigma") / 2 * (top - other))
    return radius / math.sqrt(check_count(d, "d"))


def centre_term(eps: float, *, n_samples: int, tau: float, channels: int = 1) -> float:
    """What the centres add to the KL divergence, s q eps^2 / (2 tau^2), in nats.

    Args:
        eps: l_inf budget >= 0, on the scale of `tau`.
        n_samples: s, noisy pixels among which the centres are chosen.
        tau: Standard deviation of their noise, > 0.
        channels: q, values of a pixel.

    Raises:
        InputError: A number outside its range.

    >>> round(centre_term(0.015, n_samples=100, tau=0.15), 12)
    0.5
    """
    each = check_count(n_samples, "n_samples") * check_count(channels, "channels")
    shift = check_positive(eps, "eps", zero=True) / check_positive(tau, "tau")
    return each * shift**2 / 2


def proposition1_kl(
    eps: float, *, pixels: int, n_samples: int, tau: float, sigma: float, channels: int = 1
) -> float:
    """Upper bound of KL(clean || shifted) for adaptive centres, in nats; never estimated.

    Args:
        eps: l_inf budget >= 0, on the scale of `tau` and `sigma`.
        pixels: n, pixels that are assigned.
        n_samples: s, noisy pixels among which the centres are chosen.
        tau: Standard deviation of their noise, > 0.
        sigma: Standard deviation of the noise before the assignment, > 0.
        channels: q, values of a pixel.

    Raises:
        InputError: A number outside its range.
    """
    centres = centre_term(eps, n_samples=n_samples, tau=tau, channels=channels)
    return centres + centre_term(eps, n_samples=pixels, tau=sigma, channels=channels)


def vacuous_from(*, n_samples: int, tau: float, channels: int = 1) -> float:
    """Budget from which Proposition 1 by Pinsker certifies nothing, by its centre term alone.

    Args:
        n_samples: s, noisy pixels among which the centres are chosen.
        tau: Standard deviation of their noise, > 0.
        channels: q, values of a pixel.

    Returns:
        eps on the scale of `tau`; below it the pixels' own terms still count.

    Raises:
        InputError: A number outside its range.

    >>> round(vacuous_from(n_samples=100, tau=0.15), 12)
    0.015
    """
    each = centre_term(1.0, n_samples=n_samples, tau=tau, channels=channels)
    return math.sqrt(0.5 / each)
