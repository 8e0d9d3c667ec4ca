"""From limits of vote probabilities and bounds of divergences to verdicts."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

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
from art_disc.certificates.divergence.votes import VoteLimits
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

    Images whose votes have lost already are not looked at: they have `lowest` 0 and `kl` infinite.
    """

    certified: BoolArray
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


@dataclass(frozen=True, slots=True)
class Case:
    """What `decide` is given, and for each image a bound of KL(clean || perturbed), in nats.

    `advance` is told of each order and direction that is done.
    """

    model: DivergenceModel
    images: Float64Array
    budget: float
    limits: VoteLimits
    orders: Sequence[float]
    kl: Float64Array
    advance: Callable[[], object]


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
    verbose: bool = False,
) -> Decision:
    """Decide every image (n, c, h, w) in [0, 1] under a budget on that scale by one of `BOUNDS`.

    Limits are those of the clean images' vote probabilities, orders come from `check_orders`. With
    `verbose` a bar shows how many orders and directions are done.

    Raises:
        InputError: Another bound.
        CertificateError: The model refuses the images.
    """
    by_bound = BOUNDS[check_choice(bound, "bound", BOUNDS)]
    n, ahead = len(images), np.flatnonzero(limits.top > limits.other)
    result = Decision(np.zeros(n, dtype=np.bool_), np.zeros(n), np.zeros(n), np.full(n, np.inf))
    if not len(ahead):
        return result
    steps = 1 + (2 * len(orders) if bound == "tight" else 0)
    images, limits = images[ahead], VoteLimits(limits.top[ahead], limits.other[ahead])
    with tqdm(total=steps, desc=f"{bound} bound", leave=False, disable=not verbose) as bar:
        kl = model.divergence(images, budget, 1.0)
        case = Case(model, images, budget, limits, orders, kl, bar.update)
        result.certified[ahead], result.lowest[ahead], gap = by_bound(case)
        result.gap[ahead], result.kl[ahead] = np.clip(gap, 0.0, 1.0), kl
        bar.update()
    return result


def _pinsker(case: Case) -> Found:
    limits, lost = case.limits, np.sqrt(case.kl / 2)
    lowest = np.maximum(0.0, limits.top - lost)
    gap = limits.top - limits.other - 2 * lost
    return case.kl < pinsker_needed(limits.top, limits.other), lowest, gap


def _smoothing(case: Case) -> Found:
    shift = case.model.shift(case.images, case.budget)
    lowest = smoothing_lowest(case.limits.top, shift)
    gap = lowest - smoothing_highest(case.limits.other, shift)
    return gap > 0, lowest, gap


def _tight(case: Case) -> Found:
    n, limits = len(case.images), case.limits
    certified, lowest, highest = np.zeros(n, dtype=np.bool_), np.zeros(n), np.ones(n)
    for order, reverse in itertools.product(case.orders, (False, True)):
        far = case.kl
        if order > 1 or reverse:
            far = case.model.divergence(case.images, case.budget, order, reverse=reverse)
        certified |= far < divergence_needed(limits.top, limits.other, order, reverse=reverse)
        both = np.stack([limits.top, complement_below(limits.other)])
        kept, lost = lowest_probability(both, far, order, reverse=reverse)
        lowest, highest = np.maximum(lowest, kept), np.minimum(highest, 1 - lost)
        case.advance()
    gap = lowest - np.minimum(highest, 1 - lowest)
    return certified | (gap > 0), lowest, gap


BOUNDS: dict[str, Callable[[Case], Found]] = {
    "tight": _tight,
    "pinsker": _pinsker,
    "smoothing": _smoothing,
}
