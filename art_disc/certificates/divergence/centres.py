"""Proposition 1: the divergence where the centres, too, are drawn from the noisy image.

With adaptive centres the output is made of two noisy copies of the image alone: x + tau N at s
random positions, from which the centres come, and x + sigma N at all n pixels, which are assigned
to them. Positions do not depend on the image. By the chain rule and data processing

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

from art_disc.core.checks import check_count, check_positive


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
