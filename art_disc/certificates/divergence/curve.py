"""Certified accuracy over budgets, beside what an attack leaves."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from art_disc.attacks import AttackFactory
from art_disc.certificates.divergence.decide import BOUNDS, ORDERS, check_orders, decide
from art_disc.certificates.divergence.models import DivergenceModel
from art_disc.certificates.divergence.shared import check_model_spend, spend_settings
from art_disc.certificates.divergence.task import Ballot, Poll, Task
from art_disc.certificates.divergence.votes import vote_limits
from art_disc.certificates.spend import Spend
from art_disc.core.budget import Budget, each_budget
from art_disc.core.checks import BoolArray, check_choice, check_count, check_eps
from art_disc.core.errors import InputError
from art_disc.core.records.certificate import (
    AttackedPoint,
    CertifiedCurve,
    CurvePoint,
    corrected_limit,
)
from art_disc.core.seeds import derive_seed
from art_disc.estimators.describe import environment_of
from art_disc.trials import Trial, run_trial

# the votes on attacked images must not call a certificate wrong by chance
_DOUBT = 1e-6


def certified_accuracy_curve(  # noqa: PLR0913 - everything after the labels is a keyword
    classifier: Any,
    x: Any,
    y: Any,
    *,
    eps: float | Sequence[float],
    draws: int = 1000,
    confidence: float = 0.999,
    bounds: Sequence[str] = tuple(BOUNDS),
    orders: Sequence[float] = ORDERS,
    model: DivergenceModel | None = None,
    spend: Spend | None = None,
    attack: AttackFactory | None = None,
    attack_draws: int = 100,
    seed: int = 0,
    batch_size: int = 128,
    verbose: bool = True,
) -> CertifiedCurve:
    """Certified accuracy over budgets and bounds, all from one set of votes.

    With an attack it also tells what that leaves at each budget (right when clean and when
    attacked, by most of fresh draws), and whether those votes contradict a certificate. Images that
    the attack moves out of the budget count as if it had left them alone.

    >>> from art.attacks.evasion import ProjectedGradientDescent
    >>> def pgd(classifier, eps):
    ...     return ProjectedGradientDescent(classifier, eps=eps, eps_step=eps / 10, max_iter=40)

    Args:
        classifier: A `RandomizedClassifier`, or anything with `predict_draws(x, n, seed)`.
        x: Images in its layout and input range, floats, or uint8.
        y: True labels; for a classifier's own choices there is `kl_certify`.
        eps: One or several l_inf budgets in the classifier's input range; a repeated one counts
            once.
        draws: Votes an image.
        confidence: With which each single verdict holds, in (0, 1).
        bounds: Which of `tight`, `pinsker` and `smoothing`, as `kl_certify` has them.
        orders: Renyi orders >= 1 that `tight` tries; infinity is one.
        model: How far the law can move; None: found from the classifier's defences.
        spend: What each bound of an image at each budget may take, as for `kl_certify`.
        attack: Makes an ART attack for (classifier, eps); None: no empirical line.
        attack_draws: Votes an attacked image, >= 1.
        seed: Of the draws and the attack.
        batch_size: Images at once.
        verbose: Show a progress bar.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers.
    """
    start, orders = time.perf_counter(), check_orders(orders)
    eps = _asked(eps, bounds, y)
    task = Task.of(classifier, x, model)
    budgets = [task.budget(value) for value in eps]
    check_model_spend(spend, task.model)
    poll = Poll(draws, confidence, seed, batch_size, verbose)
    votes = poll.ballot(task, y)
    limits = vote_limits(votes.counts, votes.labels, confidence)
    again = replace(poll, draws=check_count(attack_draws, "attack_draws"), verbose=False)
    points, attacked, stopped = [], [], 0
    for value, budget in zip(eps, budgets, strict=True):
        proved = np.zeros(len(votes.labels), bool)
        for bound in bounds:
            decision = decide(
                task.model, task.images, budget, limits, bound, orders, spend=spend, verbose=verbose
            )
            found, stopped = decision.certified, stopped + sum(map(bool, decision.spent))
            proved |= found
            number, total = int(found.sum()), len(found)
            limit = corrected_limit(number, total, confidence, 0.99)
            points.append(CurvePoint(float(value), bound, number, total, limit))
        if attack is not None:
            fresh = _attacked(task, attack, float(value), votes, again)
            attacked.append(_point(float(value), votes.right, fresh, proved))
    return CertifiedCurve(
        points=tuple(points),
        clean=int(votes.right.sum()),
        total=len(votes.labels),
        confidence=float(confidence),
        draws=draws,
        assumes=task.assumes,
        settings=poll.settings(task, votes, orders) | spend_settings(spend, stopped),
        vacuous=tuple(filter(None, (task.vacuous(bound)[1] for bound in bounds))),
        seconds=time.perf_counter() - start,
        environment=environment_of(classifier),
        attacked=tuple(attacked),
        attack=f"{attack_draws} votes" if attacked else "",
    )


def _asked(eps: float | Sequence[float], bounds: Sequence[str], y: Any) -> list[float]:
    """Return the budgets, each once, where there is something to count."""
    for bound in bounds:
        check_choice(bound, "bound", BOUNDS)
    if not bounds:
        msg = f"a curve needs at least one bound of {', '.join(BOUNDS)}, got none"
        raise InputError(msg)
    budgets = list(dict.fromkeys(check_eps(value, most=np.inf) for value in each_budget(eps)))
    if y is None:
        msg = "certified accuracy needs true labels; kl_certify(y=None) certifies votes as they are"
        raise InputError(msg)
    return budgets


def _attacked(task: Task, attack: AttackFactory, eps: float, clean: Ballot, poll: Poll) -> Ballot:
    """Votes on what an attack makes of the images; one that leaves the budget has made nothing."""
    budget = Budget(eps, upper=task.upper)
    trial = Trial(
        partial(attack, task.classifier, eps),
        task.classifier,
        task.given,
        clean.labels,
        budget,
        seeds=lambda _: derive_seed(poll.seed, "attack", eps),
        nan_is_clean=True,
        # what draws need not say how many classes it has; its votes do
        nb_classes=clean.counts.shape[1],
    )
    images = run_trial(trial).images
    outside = ~budget.holds(images, task.given)
    images[outside] = task.given[outside]
    counts = poll.counts(task, images, derive_seed(poll.seed, "attacked votes"), poll.draws)
    return Ballot(counts, clean.labels, given=True)


def _point(eps: float, clean: BoolArray, fresh: Ballot, proved: BoolArray) -> AttackedPoint:
    classes = fresh.counts.shape[1]
    winners = fresh.counts.argmax(axis=1)
    # the winner is found in the same votes, so the limits must hold for every class
    limits = vote_limits(fresh.counts, winners, 1 - _DOUBT / classes)
    won = (limits.top > limits.other) & (winners != fresh.labels)
    right = int((clean & fresh.right).sum())
    return AttackedPoint(eps, right, len(fresh.labels), int((won & proved).sum()))
