"""A classifier that draws, the images it is certified on, and the votes about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from art_disc.certificates.divergence.finding import divergence_model
from art_disc.certificates.divergence.gaussian import vacuous_from
from art_disc.certificates.divergence.models import AdaptiveModel, DivergenceModel
from art_disc.certificates.divergence.shared import innermost
from art_disc.certificates.divergence.votes import check_confidence, count_votes
from art_disc.certificates.known import ESTIMATORS, check_known
from art_disc.certificates.measured import check_steady
from art_disc.certificates.target import input_top
from art_disc.core.budget import BUDGET_TOLERANCE
from art_disc.core.checks import (
    BoolArray,
    Float32Array,
    Float64Array,
    IntArray,
    check_count,
    check_eps,
    check_labels,
)
from art_disc.core.inputs import Inputs
from art_disc.core.records.fields import Setting
from art_disc.core.seeds import derive_seed
from art_disc.estimators.contract import RandomClassifier, lacking
from art_disc.estimators.steadiness import steadiness_of

# images that a network gets at once, among other numbers, where its batch is looked for
_ROWS = 256
# votes by which a label is chosen where none is given; what is certified are other votes
_CHOOSING = 100


@dataclass(frozen=True, slots=True)
class Task:
    """A classifier found fit, its model, and the images in both scales.

    Attributes:
        noise: Largest difference measured between scores of one image in two batches, in units of
            its largest score (at least 1); None: not measured, since nothing freezes its draws.
    """

    classifier: Any
    model: DivergenceModel
    given: Float32Array
    images: Float64Array
    upper: float
    noise: float | None = None

    @classmethod
    def of(cls, classifier: Any, x: Any, model: DivergenceModel | None) -> "Task":
        """Check the images and find the model where none is given.

        Raises:
            InputError: No such images.
            CertificateError: The classifier is none that these certificates cover.
        """
        found = divergence_model(classifier) if model is None else model
        if type(classifier) in ESTIMATORS:
            check_known(classifier)
        upper = input_top(classifier)
        given = Inputs.of(classifier).images(x)
        images = given.astype(np.float64) / upper
        if not getattr(classifier, "channels_first", True):
            images = np.moveaxis(images, -1, 1)
        return cls(classifier, found, given, images, upper, _noise(classifier, given))

    def budget(self, eps: float) -> float:
        """Budget on the [0, 1] scale, with what the evaluation forgives attacks."""
        return check_eps(eps, upper=self.upper) / self.upper + BUDGET_TOLERANCE

    def vacuous(self, bound: str) -> tuple[float, str]:
        """Budget in the input range from which adaptive centres leave Pinsker nothing; in words.

        Infinity and no words for other bounds and defences.
        """
        model = innermost(self.model)
        if not isinstance(model, AdaptiveModel) or bound != "pinsker":
            return np.inf, ""
        q = self.images.shape[1]
        least = self.upper * vacuous_from(n_samples=model.n_samples, tau=model.tau, channels=q)
        return least, (
            f"{bound}: vacuous from eps = {least:.4g} on, by the adaptive centres' own term alone; "
            "fixed codewords have no such term"
        )

    @property
    def assumes(self) -> str:
        """What the verdicts hold for, in words."""
        return (
            f"l_inf changes of at most eps a value, up to {BUDGET_TOLERANCE:g} of the range; "
            f"{self.model.assumes} "
            "(what is drawn and computed in float32 is taken for exact); single draws vote for "
            "their highest score, independently; what follows the random defence sees nothing else "
            "of the image, and nothing of the other images of its batch ("
            f"{'not measured' if self.noise is None else 'measured on one frozen draw'}); each "
            "verdict holds with the stated confidence by itself"
        )


def _noise(classifier: Any, images: Float32Array) -> float | None:
    """Return `Task.noise`; refuse scores that depend on the batch."""
    if lacking(classifier, RandomClassifier):
        return None
    steady = steadiness_of(classifier, images, rows=_ROWS)
    check_steady(steady)
    return steady.noise


@dataclass(frozen=True, slots=True)
class Ballot:
    """Votes (n, classes), the labels they are held against, and where these came from."""

    counts: IntArray
    labels: IntArray
    given: bool

    @property
    def right(self) -> BoolArray:
        """Where the label has more votes than any other class."""
        rows, others = np.arange(len(self.labels)), self.counts.copy()
        others[rows, self.labels] = -1
        return np.asarray(self.counts[rows, self.labels] > others.max(axis=1))


@dataclass(frozen=True, slots=True)
class Poll:
    """How votes are taken: the arguments of these names of `kl_certify`.

    Raises:
        InputError: A number outside its range.
    """

    draws: int
    confidence: float
    seed: int
    batch_size: int
    verbose: bool

    def __post_init__(self) -> None:
        check_count(self.draws, "draws")
        check_confidence(self.confidence)

    def counts(self, task: Task, images: Float32Array, seed: int, draws: int) -> IntArray:
        """Return votes on images, shape (n, classes)."""
        size, verbose = self.batch_size, self.verbose
        return count_votes(
            task.classifier, images, draws=draws, seed=seed, batch_size=size, verbose=verbose
        )

    def ballot(self, task: Task, y: Any) -> Ballot:
        """Return the votes, and labels chosen by other votes where none are given.

        Raises:
            InputError: A label does not fit.
        """
        labels = None if y is None else Inputs.of(task.classifier).labels(y, len(task.given))
        if labels is None:
            own = derive_seed(self.seed, "choosing")
            labels = self.counts(task, task.given, own, _CHOOSING).argmax(axis=1)
        counts = self.counts(task, task.given, self.seed, self.draws)
        return Ballot(counts, check_labels(labels, len(counts), counts.shape[1]), y is not None)

    def settings(self, task: Task, ballot: Ballot, orders: Sequence[float]) -> dict[str, Setting]:
        """Return how the verdicts come about, for the record."""
        return {
            "labels": "given" if ballot.given else f"chosen by {_CHOOSING} other votes",
            "orders": ", ".join(f"{order:g}" for order in orders),
            "seed": self.seed,
            "batch_size": self.batch_size,
            "classes": ballot.counts.shape[1],
            "score_noise": task.noise,
        }
