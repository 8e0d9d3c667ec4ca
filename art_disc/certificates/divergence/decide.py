"""From limits of vote probabilities and bounds of divergences to verdicts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from art_disc.certificates.divergence.gaussian import (
    check_order,
    smoothing_highest,
    smoothing_lowest,
)
from art_disc.certificates.divergence.invert import (
    divergence_needed,
    lowest_probability,
    pinsker_needed,
)
from art_disc.certificates.divergence.models import DivergenceModel
from art_disc.certificates.divergence.votes import VoteLimits
from art_disc.core.errors import InputError

Float64Array = NDArray[np.float64]

BOUNDS = ("tight", "pinsker", "smoothing")
# KL, its neighbourhood, and on to the largest log ratio; finer grids gain nothing visible
ORDERS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0, float("inf"))


@dataclass(frozen=True, slots=True)
class Decision:
    """What one bound proves of each image; arrays of shape (n,).

    Attributes:
        certified: Whether the label stays ahead of every other class.
        lowest: Lower bound of the label's probability under attack.
        gap: Lower bound of its lead over any other class, at least 0.
        kl: Bound of KL(clean || perturbed), in nats.
    """

    certified: NDArray[np.bool_]
    lowest: Float64Array
    gap: Float64Array
    kl: Float64Array


def check_orders(orders: Sequence[float]) -> tuple[float, ...]:
    """Return Renyi orders in ascending order, 1 among them.

    KL is always there, so that `tight` is never worse than Pinsker.

    Raises:
        InputError: One below 1.
    """
    return tuple(sorted({1.0, *(check_order(order) for order in orders)}))


def decide(
    model: DivergenceModel,
    images: Float64Array,
    budget: float,
    limits: VoteLimits,
    bound: str,
    orders: Sequence[float],
) -> Decision:
    """Decide every image by one bound.

    Args:
        model: Of the random defence.
        images: Shape (n, c, h, w) in [0, 1].
        budget: On that scale.
        limits: Of the vote probabilities of the clean images.
        bound: `tight`, `pinsker` or `smoothing`.
        orders: From `check_orders`.

    Raises:
        InputError: Another bound.
        CertificateError: The model refuses the images.
    """
    kl = model.divergence(images, budget, 1.0)
    if bound == "pinsker":
        lost = np.sqrt(kl / 2)
        lowest = np.maximum(0.0, limits.top - lost)
        gap = limits.top - limits.other - 2 * lost
        return _decision(kl < pinsker_needed(limits.top, limits.other), lowest, gap, kl)
    if bound == "smoothing":
        shift = model.shift(images, budget)
        lowest = smoothing_lowest(limits.top, shift)
        gap = lowest - smoothing_highest(limits.other, shift)
        return _decision(gap > 0, lowest, gap, kl)
    if bound != "tight":
        msg = f"bound must be one of {', '.join(BOUNDS)}, got {bound!r}"
        raise InputError(msg)
    return _tight(model, images, budget, limits, (kl, orders))


def _tight(
    model: DivergenceModel,
    images: Float64Array,
    budget: float,
    limits: VoteLimits,
    known: tuple[Float64Array, Sequence[float]],
) -> Decision:
    kl, orders = known
    certified = np.zeros(len(images), dtype=np.bool_)
    lowest, highest = np.zeros(len(images)), np.ones(len(images))
    for order, reverse in itertools.product(orders, (False, True)):
        first = order == 1 and not reverse
        far = kl if first else model.divergence(images, budget, order, reverse=reverse)
        needed = divergence_needed(limits.top, limits.other, order, reverse=reverse)
        certified |= far < needed
        both = np.stack([limits.top, 1 - limits.other])
        kept, lost = lowest_probability(both, far, order, reverse=reverse)
        lowest, highest = np.maximum(lowest, kept), np.minimum(highest, 1 - lost)
    gap = lowest - np.minimum(highest, 1 - lowest)
    return _decision(certified | (gap > 0), lowest, gap, kl)


def _decision(
    certified: NDArray[np.bool_], lowest: Float64Array, gap: Float64Array, kl: Float64Array
) -> Decision:
    return Decision(certified, lowest, np.clip(gap, 0.0, 1.0), kl)
