"""Counts of fresh draws: accuracy by several rules, and an attacker who submits again and again."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_choice, check_count
from art_disc.core.errors import InputError
from art_disc.core.intervals import clopper_pearson_interval
from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.fields import Count, NonNegative, Unit
from art_disc.core.records.rules import like, most, rising

RULES = ("mean", "vote", "any", "all")


@dataclass(frozen=True, slots=True)
class ExactShare(Share):
    """A count out of a total, with its two-sided 95% Clopper-Pearson interval."""

    @property
    def interval(self) -> tuple[float, float]:
        """Exact two-sided 95% limits in [0, 1] (Clopper and Pearson 1934)."""
        return clopper_pearson_interval(self.count, self.total)


def unbroken(right: tuple[int, ...], draws: int, submissions: int) -> NDArray[np.float64]:
    """Estimate without bias how probable it is that an image is right in all of t fresh draws.

    Of r right draws among n, t taken without replacement are all right with probability
    C(r, t) / C(n, t); that is the unbiased estimate of p^t where each draw is right with
    probability p. The plug-in (r / n)^t exceeds p^t on average. The estimates, in [0, 1], have
    the shape (submissions, images), for t = 1, 2, ...

    Raises:
        InputError: More right draws, or more submissions, than draws.
    """
    check_count(draws, "draws")
    check_count(submissions, "submissions")
    counts = np.asarray(right, dtype=np.float64)
    if submissions > draws or counts.min(initial=0) < 0 or counts.max(initial=0) > draws:
        msg = (
            f"{draws} draws an image tell of at most {draws} submissions and right counts, got "
            f"{submissions} submissions and counts up to {counts.max(initial=0):g}; make more draws"
        )
        raise InputError(msg)
    taken = np.arange(submissions, dtype=np.float64)[:, None]
    return np.asarray(np.cumprod(np.maximum(counts - taken, 0) / (draws - taken), axis=0))


@dataclass(frozen=True, slots=True)
class PersistentCurve(Record, kind="persistent attacker"):
    """An attacker who submits the same image again and again until it is misclassified once.

    Attributes:
        draws: Draws an image that it is estimated from.
        total: Images.
        submissions: t = 1, 2, ...
        broken: For each t, the share of images of which at least one of t submissions is
            misclassified; unbiased, see `unbroken`.
        errors: Standard error of each over images, which includes that of the draws.
    """

    draws: Count
    total: Count
    submissions: Annotated[tuple[Count, ...], rising, most("draws")]
    broken: Annotated[tuple[Unit, ...], like("submissions")]
    errors: Annotated[tuple[NonNegative, ...], like("submissions")]
    environment: Environment

    def at(self, submissions: int) -> float:
        """Share broken within so many submissions.

        Raises:
            InputError: Not on the curve.
        """
        check_choice(submissions, "submissions", self.submissions)
        return self.broken[self.submissions.index(submissions)]


@dataclass(frozen=True, slots=True)
class DrawsRecord(Record, kind="scored draws"):
    """How many of n fresh draws of each image are right.

    Attributes:
        draws: n.
        right: For each image, how many of them are right.
        mean_correct: For each image, whether the mean of their probabilities is right.
        vote_correct: For each image, whether the class with most votes is right; the lowest class
            wins a tie.
    """

    draws: Count
    right: Annotated[tuple[Count, ...], most("draws")]
    mean_correct: Annotated[tuple[bool, ...], like("right")]
    vote_correct: Annotated[tuple[bool, ...], like("right")]
    seed: int
    defences: tuple[str, ...]
    environment: Environment

    def share(self, rule: str) -> ExactShare:
        """Accuracy by a rule, with its Clopper-Pearson interval over images.

        Args:
            rule: `mean` (of the probabilities), `vote` (the class that most draws are for), `any`
                (at least one draw is right: an attacker has to win every time), or `all` (every
                draw is right: an attacker who wins once has won).

        Raises:
            InputError: No such rule.
        """
        counts = {
            "mean": sum(self.mean_correct),
            "vote": sum(self.vote_correct),
            "any": sum(n > 0 for n in self.right),
            "all": sum(n == self.draws for n in self.right),
        }
        return ExactShare(counts[check_choice(rule, "rule", RULES)], len(self.right))

    @property
    def draw_accuracy(self) -> float:
        """Share of single draws that are right, in [0, 1]."""
        return sum(self.right) / (self.draws * len(self.right))


def persistent_curve(record: DrawsRecord, *, submissions: int | None = None) -> PersistentCurve:
    """Return how many images fall to an attacker who may submit each of them t times.

    Args:
        record: Of `score_draws`; on adversarial images for the attacker's own curve.
        submissions: Largest t, at most the record's draws; None: as many.

    Raises:
        InputError: More submissions than draws tell of.
    """
    last = record.draws if submissions is None else submissions
    broken = 1 - unbroken(record.right, record.draws, last)
    total = broken.shape[1]
    # one image tells nothing of the others
    errors = broken.std(axis=1, ddof=1) / np.sqrt(total) if total > 1 else np.ones(last)
    return PersistentCurve(
        draws=record.draws,
        total=total,
        submissions=tuple(range(1, last + 1)),
        broken=tuple(broken.mean(axis=1).tolist()),
        errors=tuple(errors.tolist()),
        environment=record.environment,
    )
