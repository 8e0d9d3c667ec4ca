"""Theorem 1 of Kyatham et al. 2020: how likely bits flip, as printed and as it should be asked."""

import math
from dataclasses import dataclass

from scipy import stats

from art_disc.core.checks import check_count, check_eps, check_positive
from art_disc.core.showing import Shown
from art_disc.networks.lqvae import QUARTILE


@dataclass(frozen=True, slots=True)
class FlipChance(Shown):
    """How likely bits flip, where every latent variable is standard normal and independent.

    Attributes:
        assumes: Of the perturbation.
        shift: By how much each latent variable moves.
        bit: Probability that a bit flips.
        exactly: That `flips` of all bits do.
        at_least: That `flips` or more do.
        flips: See `flip_chances`.
    """

    assumes: str
    shift: float
    bit: float
    exactly: float
    at_least: float
    flips: int


def flip_chances(
    eps: float = 0.3,
    *,
    lipschitz: float = 0.1,
    latent: int = 64,
    eta: float = QUARTILE,
    flips: int = 6,
    values: int = 784,
) -> tuple[FlipChance, ...]:
    """Return Theorem 1's probabilities as printed, and with two of its assumptions made honest.

    Printed: every latent variable moves by K eps, in one direction. But K is a constant of l2 and
    eps a budget in l_inf, whose l2 length is up to eps sqrt(values), spread here over all bits
    alike; and an adversary chooses the direction bit by bit, towards the nearer threshold, which
    doubles the probability. What stays assumed: latent variables that are independent, standard
    normal and not looked at by the adversary, and a K that is a bound, which a penalty is not. And
    few flips need not leave the label as it was.

    Args:
        eps: l_inf budget on the scale of `lipschitz`, which the paper does not name.
        lipschitz: K.
        latent: Bits.
        eta: Threshold of H.
        flips: Number of bits, 0..latent; the printed 6 are about 10 %.
        values: Values of an image.

    Returns:
        As printed; with signs chosen; in l2; both.

    Raises:
        InputError: A value does not fit.

    Source: Kyatham et al. 2020, theorem 1. Its 1.177e-3 is that of p cut to 0.01906; of the whole p
    it is 1.179e-3.
    """
    check_count(latent, "latent")
    check_count(flips, "flips", least=0, most=latent)
    linf = check_positive(lipschitz, "lipschitz") * check_eps(eps)
    l2 = linf * math.sqrt(check_count(values, "values") / latent)
    check_positive(eta, "eta")
    made = []
    for words, shift in (("every bit moved by K eps", linf), ("an l_inf budget in l2", l2)):
        for chosen in (False, True):
            bit = _flipped(shift, eta, chosen=chosen)
            how = ", each to its nearer threshold" if chosen else ", all in one direction"
            made.append(_chance(words + how, shift, bit, latent, flips))
    return tuple(made)


def _flipped(shift: float, eta: float, *, chosen: bool) -> float:
    """Return the probability that a standard normal variable that moves changes its bit."""
    outer = float(stats.norm.cdf(eta + shift))
    if chosen:
        # within `shift` of one of the two thresholds
        return 2 * (outer - float(stats.norm.cdf(max(eta - shift, 0.0))))
    # the printed formula: between the thresholds before and outside after, or the other way round
    return outer - float(stats.norm.cdf(eta - shift))


def _chance(words: str, shift: float, bit: float, latent: int, flips: int) -> FlipChance:
    exactly = float(stats.binom.pmf(flips, latent, bit))
    return FlipChance(
        words, shift, bit, exactly, float(stats.binom.sf(flips - 1, latent, bit)), flips
    )
