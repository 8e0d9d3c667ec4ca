"""From limits of vote probabilities and bounds of divergences to verdicts."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from art_disc.certificates.divergence.colour_images import Asked
from art_disc.certificates.divergence.gaussian import (
    check_order,
    complement_below,
    smoothing_highest,
    smoothing_lowest,
)
from art_disc.certificates.divergence.invert import (
    divergence_needed,
    lowest_probability,
    pinsker_needed,
)
from art_disc.certificates.divergence.models import DivergenceModel
from art_disc.certificates.divergence.shared import divergences
from art_disc.certificates.divergence.votes import VoteLimits
from art_disc.certificates.spend import Spend
from art_disc.core.checks import BoolArray, Float64Array, check_choice

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
        spent: For each image what was spent before the divergences that decide it were as small as
            they can be.

    Images whose votes have lost already are not looked at: they have `lowest` 0 and `kl` infinite.
    """

    certified: BoolArray
    lowest: Float64Array
    gap: Float64Array
    kl: Float64Array
    spent: list[str]


def check_orders(orders: Sequence[float]) -> tuple[float, ...]:
    """Return Renyi orders in ascending order, 1 among them.

    KL is always there, so that `tight` is never worse than Pinsker.

    Raises:
        InputError: One below 1.
    """
    return tuple(sorted({1.0, *(check_order(order) for order in orders)}))


@dataclass(frozen=True, slots=True)
class Case:
    """What `decide` is given, and bounds `far` (asked, n) of the divergences `asked`, KL first."""

    model: DivergenceModel
    images: Float64Array
    budget: float
    limits: VoteLimits
    asked: Sequence[Asked]
    far: Float64Array


# `certified`, `lowest` and the lead, which may be negative, of a `Decision`
Found = tuple[BoolArray, Float64Array, Float64Array]


def decide(  # noqa: PLR0913 - what is decided, and apart from it whether a bar is shown
    model: DivergenceModel,
    images: Float64Array,
    budget: float,
    limits: VoteLimits,
    bound: str,
    orders: Sequence[float],
    *,
    spend: Spend | None = None,
    verbose: bool = False,
) -> Decision:
    """Decide every image (n, c, h, w) in [0, 1] under a budget on that scale by one of `BOUNDS`.

    Limits are those of the clean images' vote probabilities, orders come from `check_orders`; what
    may be spent on an image is for those models that heed it. With `verbose` a bar shows progress.

    Raises:
        InputError: Another bound.
        CertificateError: The model refuses the images.
    """
    by_bound = BOUNDS[check_choice(bound, "bound", BOUNDS)]
    n, ahead = len(images), np.flatnonzero(limits.top > limits.other)
    result = Decision(
        np.zeros(n, dtype=np.bool_), np.zeros(n), np.zeros(n), np.full(n, np.inf), [""] * n
    )
    if not len(ahead):
        return result
    asked = list(itertools.product(orders, (False, True))) if bound == "tight" else [(1.0, False)]
    images, limits = images[ahead], VoteLimits(limits.top[ahead], limits.other[ahead])
    far, spent = divergences(model, images, budget, asked, spend=spend, verbose=verbose)
    case = Case(model, images, budget, limits, asked, far)
    result.certified[ahead], result.lowest[ahead], gap = by_bound(case)
    result.gap[ahead], result.kl[ahead] = np.clip(gap, 0.0, 1.0), far[0]
    if bound != "smoothing":
        for image, why in zip(ahead, spent, strict=True):
            result.spent[image] = why
    return result


def _pinsker(case: Case) -> Found:
    limits, kl = case.limits, case.far[0]
    lost = np.sqrt(kl / 2)
    lowest = np.maximum(0.0, limits.top - lost)
    gap = limits.top - limits.other - 2 * lost
    return kl < pinsker_needed(limits.top, limits.other), lowest, gap


def _smoothing(case: Case) -> Found:
    shift = case.model.shift(case.images, case.budget)
    lowest = smoothing_lowest(case.limits.top, shift)
    gap = lowest - smoothing_highest(case.limits.other, shift)
    return gap > 0, lowest, gap


def _tight(case: Case) -> Found:
    n, limits = len(case.images), case.limits
    certified, lowest, highest = np.zeros(n, dtype=np.bool_), np.zeros(n), np.ones(n)
    for (order, reverse), far in zip(case.asked, case.far, strict=True):
        certified |= far < divergence_needed(limits.top, limits.other, order, reverse=reverse)
        both = np.stack([limits.top, complement_below(limits.other)])
        kept, lost = lowest_probability(both, far, order, reverse=reverse)
        lowest, highest = np.maximum(lowest, kept), np.minimum(highest, 1 - lost)
    gap = lowest - np.minimum(highest, 1 - lowest)
    return certified | (gap > 0), lowest, gap


BOUNDS: dict[str, Callable[[Case], Found]] = {
    "tight": _tight,
    "pinsker": _pinsker,
    "smoothing": _smoothing,
}
