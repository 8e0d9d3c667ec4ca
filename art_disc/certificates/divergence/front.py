"""Certified robustness of a classifier whose defence draws, by divergences or by smoothing."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from art_disc.certificates.divergence.decide import BOUNDS, ORDERS, Decision, check_orders, decide
from art_disc.certificates.divergence.models import DivergenceModel
from art_disc.certificates.divergence.shared import check_model_spend, spend_settings
from art_disc.certificates.divergence.task import Poll, Task
from art_disc.certificates.divergence.votes import VoteLimits, vote_limits
from art_disc.certificates.spend import Spend
from art_disc.core.checks import check_choice
from art_disc.core.records.certificate import DivergenceRecord
from art_disc.estimators.describe import environment_of

BEHIND = "the votes do not put the label ahead of every other class"
TOO_FAR = "the perturbed law may lie too far from the clean one for this lead"


def kl_certify(  # noqa: PLR0913 - everything after the labels is a keyword
    classifier: Any,
    x: Any,
    y: Any = None,
    *,
    eps: float,
    draws: int = 1000,
    confidence: float = 0.999,
    bound: str = "tight",
    orders: Sequence[float] = ORDERS,
    model: DivergenceModel | None = None,
    spend: Spend | None = None,
    seed: int = 0,
    batch_size: int = 128,
    verbose: bool = True,
) -> DivergenceRecord:
    """Decide for each image whether its label keeps the most votes under any change within `eps`.

    `certified` means: with probability `confidence` over the draws, each perturbed image within the
    budget is classified as the label by a single draw more often than as any other class, so a
    majority of enough draws is right (`votes_for_gap`). Nothing is ever falsified.

    Args:
        classifier: A `RandomizedClassifier`, or anything with `predict_draws(x, n, seed)`.
        x: Images in its layout and input range, floats, or uint8.
        y: True labels, indices or one-hot. None: the classifier's own votes choose a label, by
            100 draws that are not used again.
        eps: l_inf budget in the classifier's input range.
        draws: Votes an image.
        confidence: With which each single verdict holds, in (0, 1).
        bound: `tight` (inverted divergences, the best order), `pinsker` (the paper's, corrected) or
            `smoothing` (Cohen et al. 2019, translated to l_inf).
        orders: Renyi orders >= 1 that `tight` tries; infinity is one.
        model: How far the law can move; None: found from the classifier's defences.
        spend: What the divergences of an image may take, where the defence has fixed colours that
            form no grid: `seconds`, and as many different colours as `nodes`. The bound at which it
            stops is larger, so fewer images are certified, and none wrongly. None: no limit.
            Refused for other defences, whose divergences take no time.
        seed: Of the draws.
        batch_size: Images at once.
        verbose: Show a progress bar.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers.

    Source: Zhang, Liang 2019, section 4, corrected; the inversions in `divergence.invert`.
    """
    check_choice(bound, "bound", BOUNDS)
    start, orders = time.perf_counter(), check_orders(orders)
    task = Task.of(classifier, x, model)
    budget = task.budget(eps)
    check_model_spend(spend, task.model)
    poll = Poll(draws, confidence, seed, batch_size, verbose)
    votes = poll.ballot(task, y)
    limits = vote_limits(votes.counts, votes.labels, confidence)
    decision = decide(
        task.model, task.images, budget, limits, bound, orders, spend=spend, verbose=verbose
    )
    rows, stopped = np.arange(len(votes.labels)), sum(map(bool, decision.spent))
    return DivergenceRecord(
        bound=bound,
        eps=float(eps),
        confidence=float(confidence),
        draws=draws,
        assumes=task.assumes,
        settings=poll.settings(task, votes, orders) | spend_settings(spend, stopped),
        verdicts=tuple("certified" if ok else "undecided" for ok in decision.certified),
        reasons=_reasons(task, decision, limits, float(eps), bound),
        votes=tuple(votes.counts[rows, votes.labels].tolist()),
        lowest=tuple(decision.lowest.tolist()),
        divergence=tuple(v if np.isfinite(v) else None for v in decision.kl.tolist()),
        gap=tuple(decision.gap.tolist()),
        seconds=time.perf_counter() - start,
        environment=environment_of(classifier),
    )


def _reasons(
    task: Task, decision: Decision, limits: VoteLimits, eps: float, bound: str
) -> tuple[str, ...]:
    least, vacuous = task.vacuous(bound)
    far = vacuous if eps >= least * (1 - 1e-12) else TOO_FAR
    return tuple(
        "" if ok else (_after(spent, far) if ahead else BEHIND)
        for ok, ahead, spent in zip(
            decision.certified, limits.top > limits.other, decision.spent, strict=True
        )
    )


def _after(spent: str, why: str) -> str:
    return f"{spent} spent; {why}" if spent else why
