"""What the papers print or coded and does not hold, kept to reproduce their tables."""

import math

import numpy as np
from numpy.typing import ArrayLike

from art_disc.core.checks import BoolArray, check_count, number_of
from art_disc.core.errors import InputError


def printed_proposition2_limit(s_hat: float, m: int, delta: float) -> float:
    """(1 - sqrt(ln(1/delta) / (2 m))) * s_hat, as printed; this is NOT a lower limit.

    Hoeffding's inequality gives s_hat - h with h = sqrt(ln(1/delta) / (2 m)); the printed
    (1 - h) s_hat is larger for every s_hat < 1 and fails too often: at a true share of .04 and
    m = 10,000 it lies above the truth in 36.7 % of samples where delta = 1 % is promised. Use
    `CertificateRecord.lower_limit` (Clopper-Pearson), which holds.

    Args:
        s_hat: Certified share of the sample, 0 to 1.
        m: Size of the sample, >= 1.
        delta: Promised probability of failure, between 0 and 1.

    Raises:
        InputError: A number outside its range.

    Source: Chen et al. 2018, Proposition 2.

    >>> round(printed_proposition2_limit(0.96, 10_000, 0.01), 4)
    0.9454
    """
    check_count(m, "m")
    if not (0 <= number_of(s_hat) <= 1 and 0 < number_of(delta) < 1):
        msg = f"expected 0 <= s_hat <= 1 and 0 < delta < 1, got {s_hat} and {delta}"
        raise InputError(msg)
    return (1 - math.sqrt(math.log(1 / delta) / (2 * m))) * s_hat


def printed_rule(margin: ArrayLike, kl: ArrayLike) -> BoolArray:
    """KL - margin^2 / 2 > 0, as printed in eq. (11); this certifies NOTHING.

    The line above it in the paper asks for KL < margin^2 / 2, so the printed sign picks exactly the
    images that are not certified. Use `pinsker_needed` or `divergence_needed`.

    Args:
        margin: Probability of the label less the largest of another class.
        kl: Upper bound of KL(clean || perturbed), in nats.

    Source: Zhang, Liang 2019, eq. (11).
    """
    return np.asarray(kl) - np.asarray(margin, dtype=np.float64) ** 2 / 2 > 0


def reference_rule(margin: ArrayLike, kl: ArrayLike) -> BoolArray:
    """Margin > sqrt(KL), as in the authors' code; this certifies images that are not safe.

    Pinsker's inequality gives margin > sqrt(2 KL). Arguments are those of `printed_rule`.

    Source: zhangyuc/randomized-discretization, kl_divergence.py.
    """
    return np.asarray(margin, dtype=np.float64) > np.sqrt(np.asarray(kl, dtype=np.float64))
