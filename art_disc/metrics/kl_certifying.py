"""Certified accuracy of a classifier whose defence draws, by divergences or by smoothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_count, check_eps, check_images, check_labels
from art_disc.core.errors import CertificateError, InputError
from art_disc.core.record_base import Environment, Setting
from art_disc.core.seeds import derive_seed
from art_disc.metrics.enumeration import FORGIVEN
from art_disc.metrics.kl_centres import vacuous_from
from art_disc.metrics.kl_decide import BOUNDS, ORDERS, Decision, check_orders, decide
from art_disc.metrics.kl_finding import divergence_model
from art_disc.metrics.kl_models import AdaptiveModel, DivergenceModel
from art_disc.metrics.kl_record import CertifiedCurve, CurvePoint, DivergenceRecord, corrected_limit
from art_disc.metrics.kl_votes import VoteLimits, count_votes, vote_limits
from art_disc.metrics.reachability import check_choice

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

# votes by which a label is chosen where none is given; what is certified are other votes
_CHOOSING = 100
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
        seed: Of the draws.
        batch_size: Images at once.
        verbose: Show a progress bar.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers.

    Source: Zhang, Liang 2019, section 4, corrected; the inversions in `kl_invert`.
    """
    check_choice(bound, "bound", BOUNDS)
    start, orders = time.perf_counter(), check_orders(orders)
    task = _Task.of(classifier, x, model)
    budget = task.budget(eps)
    votes = _vote(task, y, (draws, seed, batch_size), confidence, verbose=verbose)
    limits = vote_limits(votes.counts, votes.labels, confidence)
    decision = decide(task.model, task.images, budget, limits, bound, orders)
    rows = np.arange(len(votes.labels))
    return DivergenceRecord(
        bound=bound,
        eps=float(eps),
        confidence=float(confidence),
        draws=draws,
        assumes=_assumes(task.model),
        settings=_settings(votes, orders, seed, batch_size),
        verdicts=tuple("certified" if ok else "undecided" for ok in decision.certified),
        reasons=_reasons(task, decision, limits, float(eps), bound),
        votes=tuple(votes.counts[rows, votes.labels].tolist()),
        lowest=tuple(decision.lowest.tolist()),
        divergence=tuple(v if np.isfinite(v) else None for v in decision.kl.tolist()),
        gap=tuple(decision.gap.tolist()),
        seconds=time.perf_counter() - start,
        environment=_environment(classifier),
    )


def certified_accuracy_curve(  # noqa: PLR0913 - everything after the labels is a keyword
    classifier: Any,
    x: Any,
    y: Any,
    *,
    eps: Sequence[float],
    draws: int = 1000,
    confidence: float = 0.999,
    bounds: Sequence[str] = BOUNDS,
    orders: Sequence[float] = ORDERS,
    model: DivergenceModel | None = None,
    seed: int = 0,
    batch_size: int = 128,
    verbose: bool = True,
) -> CertifiedCurve:
    """Certified accuracy over budgets and bounds, all from one set of votes.

    Args:
        classifier: As for `kl_certify`, as are the rest.
        x: See there.
        y: True labels.
        eps: l_inf budgets in the classifier's input range.
        draws: See there.
        confidence: See there.
        bounds: Which of its bounds.
        orders: See there.
        model: See there.
        seed: See there.
        batch_size: See there.
        verbose: See there.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers.
    """
    for bound in bounds:
        check_choice(bound, "bound", BOUNDS)
    start, orders = time.perf_counter(), check_orders(orders)
    task = _Task.of(classifier, x, model)
    budgets = [task.budget(value) for value in eps]
    votes = _vote(task, y, (draws, seed, batch_size), confidence, verbose=verbose)
    limits = vote_limits(votes.counts, votes.labels, confidence)
    points = []
    for value, budget in zip(eps, budgets, strict=True):
        for bound in bounds:
            found = decide(task.model, task.images, budget, limits, bound, orders).certified
            number, total = int(found.sum()), len(found)
            limit = corrected_limit(number, total, confidence, 0.99)
            points.append(CurvePoint(float(value), bound, number, total, limit))
    return CertifiedCurve(
        points=tuple(points),
        clean=int(votes.right.sum()),
        total=len(votes.labels),
        confidence=float(confidence),
        draws=draws,
        assumes=_assumes(task.model),
        settings=_settings(votes, orders, seed, batch_size),
        vacuous=tuple(filter(None, (task.vacuous(bound) for bound in bounds))),
        seconds=time.perf_counter() - start,
        environment=_environment(classifier),
    )


@dataclass(frozen=True, slots=True)
class _Task:
    """A classifier found fit, its model, and the images in both scales."""

    classifier: Any
    model: DivergenceModel
    given: NDArray[np.float32]
    images: Float64Array
    upper: float

    @classmethod
    def of(cls, classifier: Any, x: Any, model: DivergenceModel | None) -> "_Task":
        found = divergence_model(classifier) if model is None else model
        clip = getattr(classifier, "clip_values", None)
        low, high = (np.asarray(v) for v in clip) if clip is not None else (np.asarray(-1.0),) * 2
        if low.any() or np.unique(high).tolist() not in ([1.0], [255.0]):
            msg = f"a certificate needs clip_values (0, 1) or (0, 255), got {clip!r}"
            raise CertificateError(msg)
        upper = float(high.max())
        given = check_images(x, upper=upper)
        images = given.astype(np.float64) / upper
        if not getattr(classifier, "channels_first", True):
            images = np.moveaxis(images, -1, 1)
        return cls(classifier, found, given, images, upper)

    def budget(self, eps: float) -> float:
        """Budget on the [0, 1] scale, with what the evaluation forgives attacks."""
        return check_eps(eps, upper=self.upper) / self.upper + FORGIVEN

    def vacuous_eps(self, bound: str) -> float:
        """Budget, in the input range, from which adaptive centres leave nothing to certify."""
        model = self.model
        while hasattr(model, "inner"):
            model = model.inner
        if not isinstance(model, AdaptiveModel) or bound == "smoothing":
            return np.inf
        q = self.images.shape[1]
        least = vacuous_from(n_samples=model.n_samples, tau=model.tau, channels=q, bound=bound)
        return self.upper * least

    def vacuous(self, bound: str) -> str:
        """The same in words; nothing for other defences."""
        least = self.vacuous_eps(bound)
        if not np.isfinite(least):
            return ""
        return (
            f"{bound}: vacuous from eps = {least:.4g} on, by the adaptive centres' own term alone; "
            "certify fixed codewords"
        )


@dataclass(frozen=True, slots=True)
class _Ballot:
    """Votes (n, classes), the labels they are held against, and where these came from."""

    counts: Int64Array
    labels: Int64Array
    given: bool

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where the label has more votes than any other class."""
        rows, others = np.arange(len(self.labels)), self.counts.copy()
        others[rows, self.labels] = -1
        ahead: NDArray[np.bool_] = self.counts[rows, self.labels] > others.max(axis=1)
        return ahead


def _vote(
    task: _Task, y: Any, numbers: tuple[int, int, int], confidence: float, *, verbose: bool
) -> _Ballot:
    draws, seed, batch_size = numbers
    check_count(draws, "draws")
    if not 0 < confidence < 1:
        msg = f"confidence must lie in (0, 1), got {confidence!r}"
        raise InputError(msg)
    labels = None if y is None else check_labels(y, len(task.given))
    options: dict[str, Any] = {"batch_size": batch_size, "verbose": verbose}
    if labels is None:
        own = derive_seed(seed, "choosing")
        chosen = count_votes(task.classifier, task.given, draws=_CHOOSING, seed=own, **options)
        labels = chosen.argmax(axis=1)
    counts = count_votes(task.classifier, task.given, draws=draws, seed=seed, **options)
    return _Ballot(counts, check_labels(labels, len(counts), counts.shape[1]), y is not None)


def _reasons(
    task: _Task, decision: Decision, limits: VoteLimits, eps: float, bound: str
) -> tuple[str, ...]:
    far = task.vacuous(bound) if eps >= task.vacuous_eps(bound) * (1 - 1e-12) else TOO_FAR
    return tuple(
        "" if ok else (far if ahead else BEHIND)
        for ok, ahead in zip(decision.certified, limits.top > limits.other, strict=True)
    )


def _settings(
    votes: _Ballot, orders: Sequence[float], seed: int, batch_size: int
) -> dict[str, Setting]:
    return {
        "labels": "given" if votes.given else "chosen by 100 other votes",
        "orders": ", ".join(f"{order:g}" for order in orders),
        "seed": seed,
        "batch_size": batch_size,
        "classes": votes.counts.shape[1],
    }


def _assumes(model: DivergenceModel) -> str:
    return (
        f"l_inf changes of at most eps a value, up to {FORGIVEN:g} of the range; {model.assumes} "
        "(what is drawn and computed in float32 is taken for exact); single draws vote for "
        "their highest score, independently; what follows the random defence sees nothing else of "
        "the image; each verdict holds with the stated confidence by itself"
    )


def _environment(classifier: Any) -> Environment:
    import torch

    device = str(getattr(classifier, "device", "cpu"))
    return Environment.here(device=device, threads=torch.get_num_threads())
