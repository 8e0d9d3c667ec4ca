"""Adversarial images as 8-bit files hold them."""

import numpy as np

from art_disc.core.budget import BUDGET_TOLERANCE, Budget
from art_disc.core.checks import BoolArray, Float32Array, Float64Array


def round_to_grid(
    adversarial: Float32Array, x: Float32Array, budget: Budget
) -> tuple[Float32Array, BoolArray]:
    """Round images to the 256 levels of an 8-bit file, inside the budget.

    In l_inf every value goes to the nearest level within the budget of the clean one. In l_2 to the
    nearest level; where that leaves the ball, to the next level towards the clean image.

    Args:
        adversarial: Shape (n, ...), in [0, upper].
        x: Clean images, on the grid or not.
        budget: Whose tolerance counts here as it does for the images themselves.

    Returns:
        The rounded images, and for each whether it lies within the budget; a clean image off the
        grid may have no level near enough.
    """
    eps, scale = budget.eps, 255 / budget.upper
    wanted, clean = adversarial.astype(np.float64) * scale, x.astype(np.float64) * scale
    slack = BUDGET_TOLERANCE * 255
    if budget.norm == "inf":
        low = np.ceil(np.maximum(clean - eps * scale - slack, 0))
        high = np.floor(np.minimum(clean + eps * scale + slack, 255))
        levels = np.clip(np.rint(wanted), np.minimum(low, high), high)
        inside = (low <= high).reshape(len(x), -1).all(axis=1)
    else:
        levels = np.rint(wanted)
        towards = np.where(wanted > clean, np.floor(wanted), np.ceil(wanted))
        far = _size(levels - clean) > eps * scale + slack
        levels[far] = towards[far]
        inside = _size(levels - clean) <= eps * scale + slack
    return (levels / scale).astype(np.float32), np.asarray(inside)


def _size(change: Float64Array) -> Float64Array:
    return np.asarray(np.linalg.norm(change.reshape(len(change), -1), axis=1))
