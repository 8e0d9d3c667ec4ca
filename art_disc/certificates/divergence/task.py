"""A classifier that draws, the images it is certified on, and the votes about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.certificates.divergence.centres import vacuous_from
from art_disc.certificates.divergence.finding import divergence_model
from art_disc.certificates.divergence.models import AdaptiveModel, DivergenceModel
from art_disc.certificates.divergence.votes import count_votes
from art_disc.certificates.inputs import input_top
from art_disc.core.budget import BUDGET_TOLERANCE
from art_disc.core.checks import check_count, check_eps, check_images, check_labels
from art_disc.core.errors import InputError
from art_disc.core.records.base import Setting
from art_disc.core.seeds import derive_seed

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

# votes by which a label is chosen where none is given; what is certified are other votes
_CHOOSING = 100


@dataclass(frozen=True, slots=True)
class Task:
    """A classifier found fit, its model, and the images in both scales."""

    classifier: Any
    model: DivergenceModel
    given: NDArray[np.float32]
    images: Float64Array
    upper: float

    @classmethod
    def of(cls, classifier: Any, x: Any, model: DivergenceModel | None) -> "Task":
        """Check the images and find the model where none is given.

        Raises:
            InputError: No such images.
            CertificateError: The classifier is none that these certificates cover.
        """
        found = divergence_model(classifier) if model is None else model
        upper = input_top(classifier)
        given = check_images(x, upper=upper)
        images = given.astype(np.float64) / upper
        if not getattr(classifier, "channels_first", True):
            images = np.moveaxis(images, -1, 1)
        return cls(classifier, found, given, images, upper)

    def budget(self, eps: float) -> float:
        """Budget on the [0, 1] scale, with what the evaluation forgives attacks."""
        return check_eps(eps, upper=self.upper) / self.upper + BUDGET_TOLERANCE

    def vacuous_eps(self, bound: str) -> float:
        """Budget, in the input range, from which adaptive centres leave Pinsker nothing."""
        model = self.model
        while hasattr(model, "inner"):
            model = model.inner
        if not isinstance(model, AdaptiveModel) or bound != "pinsker":
            return np.inf
        q = self.images.shape[1]
        least = vacuous_from(n_samples=model.n_samples, tau=model.tau, channels=q)
        return self.upper * least

    def vacuous(self, bound: str) -> str:
        """The same in words; nothing for other defences."""
        least = self.vacuous_eps(bound)
        if not np.isfinite(least):
            return ""
        return (
            f"{bound}: vacuous from eps = {least:.4g} on, by the adaptive centres' own term alone; "
            "fixed codewords have no such term"
        )


@dataclass(frozen=True, slots=True)
class Ballot:
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


def let_vote(
    task: Task, y: Any, numbers: tuple[int, int, int], confidence: float, *, verbose: bool
) -> Ballot:
    """Return the votes, and labels chosen by other votes where none are given.

    Args:
        task: What is voted on.
        y: Labels, or None.
        numbers: Votes an image, seed, images at once.
        confidence: Of the verdicts; checked here.
        verbose: Show a progress bar.

    Raises:
        InputError: A number or a label does not fit.
    """
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
    return Ballot(counts, check_labels(labels, len(counts), counts.shape[1]), y is not None)


def vote_settings(
    votes: Ballot, orders: Sequence[float], seed: int, batch_size: int
) -> dict[str, Setting]:
    """Return how the verdicts come about, for the record."""
    return {
        "labels": "given" if votes.given else "chosen by 100 other votes",
        "orders": ", ".join(f"{order:g}" for order in orders),
        "seed": seed,
        "batch_size": batch_size,
        "classes": votes.counts.shape[1],
    }


def all_assumed(model: DivergenceModel) -> str:
    """Return what the verdicts hold for, in words."""
    return (
        f"l_inf changes of at most eps a value, up to {BUDGET_TOLERANCE:g} of the range; "
        f"{model.assumes} "
        "(what is drawn and computed in float32 is taken for exact); single draws vote for "
        "their highest score, independently; what follows the random defence sees nothing else of "
        "the image; each verdict holds with the stated confidence by itself"
    )
