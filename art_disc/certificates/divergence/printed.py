"""The rules that were printed and coded for the KL certificate, kept to show what they accept."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def printed_rule(margin: ArrayLike, kl: ArrayLike) -> NDArray[np.bool_]:
    """KL - margin^2 / 2 > 0, as printed in eq. (11); this certifies NOTHING.

    The line above it in the paper asks for KL < margin^2 / 2, so the printed sign picks exactly the
    images that are not certified. Use `pinsker_needed` or `divergence_needed`.

    Args:
        margin: Probability of the label less the largest of another class.
        kl: Upper bound of KL(clean || perturbed), in nats.

    Source: Zhang, Liang 2019, eq. (11).
    """
    return np.asarray(kl) - np.asarray(margin, dtype=np.float64) ** 2 / 2 > 0


def reference_rule(margin: ArrayLike, kl: ArrayLike) -> NDArray[np.bool_]:
    """Margin > sqrt(KL), as in the authors' code; this certifies images that are not safe.

    Pinsker's inequality gives margin > sqrt(2 KL).

    Args:
        margin: As for `printed_rule`.
        kl: As for `printed_rule`.

    Source: zhangyuc/randomized-discretization, kl_divergence.py.
    """
    return np.asarray(margin, dtype=np.float64) > np.sqrt(np.asarray(kl, dtype=np.float64))
