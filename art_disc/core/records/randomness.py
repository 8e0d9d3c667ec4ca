"""What attacking a classifier that draws leaves behind: its gradients, and PGD through them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from art_disc.core.checks import check_choice
from art_disc.core.intervals import mcnemar
from art_disc.core.records.base import Environment, Record
from art_disc.core.records.checked import Checked
from art_disc.core.records.draws import ExactShare
from art_disc.core.records.fields import Count, Finite, NonNegative, Setting
from art_disc.core.records.rules import check_equal, check_length, check_most, like, one_of

LOSSES = ("cross_entropy", "margin")


@dataclass(frozen=True, slots=True)
class AgreementRecord(Record, kind="gradient agreement"):
    """How far two independent EOT estimates of one gradient point the same way.

    Its methods refuse, by `InputError`, a number of draws that was not tried.

    Attributes:
        loss: `cross_entropy` or `margin`.
        draws: Draws M of each estimate.
        cosines: For each M, the cosine of every image's two estimates; 0 where one of them is
            zero or not finite: nothing points anywhere.
        zeros: For each M, how many of the 2 x images estimates are zero or not finite.
    """

    loss: Annotated[str, one_of(LOSSES)]
    draws: tuple[Count, ...]
    cosines: Annotated[tuple[tuple[Finite, ...], ...], like("draws")]
    zeros: Annotated[tuple[Count, ...], like("draws")]
    seed: int
    defences: tuple[str, ...]
    seconds: NonNegative
    environment: Environment

    def check(self) -> None:
        """Refuse cosines of other images, and more estimates than there are."""
        images = len(self.cosines[0]) if self.cosines else 0
        for i, row in enumerate(self.cosines):
            check_equal(len(row), images, f"length of cosines[{i}]")
        check_most(self.zeros, 2 * images, "zeros", "cosines")

    def quartiles(self, draws: int) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the cosine over images."""
        each = self.cosines[self._place(draws)]
        low, middle, high = (float(v) for v in np.quantile(each, (0.25, 0.5, 0.75)))
        return low, middle, high

    def zero_share(self, draws: int) -> ExactShare:
        """Share of estimates without a direction."""
        place = self._place(draws)
        return ExactShare(self.zeros[place], 2 * len(self.cosines[place]))

    def counted(self, rows: str, i: int) -> Sequence[dict[str, Any]]:  # noqa: ARG002 - draws alone
        """Add the quartiles of the cosines."""
        names = ("lower_quartile", "median", "upper_quartile")
        return (dict(zip(names, self.quartiles(self.draws[i]), strict=True)),)

    def _place(self, draws: int) -> int:
        return self.draws.index(check_choice(draws, "draws", self.draws))


@dataclass(frozen=True, slots=True)
class ConvergencePoint(Checked):
    """PGD with one number of draws a gradient.

    Attributes:
        draws: Draws M of each gradient.
        steps: Steps of the attack.
        eps_step: Size of a step in the input range.
        gradients: Gradients of single draws that it took an image, as counted at the network.
        correct: For each image, whether it is right before the attack and after it, by the
            classifier's own vote over fresh draws.
        draw_correct: For each image, the fresh draws that are right after the attack.
        seconds: What the attack took.
    """

    draws: Count
    steps: Count
    eps_step: NonNegative
    gradients: Count
    correct: tuple[bool, ...]
    draw_correct: Annotated[tuple[Count, ...], like("correct")]
    seconds: NonNegative

    @property
    def share(self) -> ExactShare:
        """Robust accuracy."""
        return ExactShare.of(self.correct)


@dataclass(frozen=True, slots=True)
class ConvergenceRecord(Record, kind="eot convergence"):
    """PGD through ever more draws a gradient, at equal numbers of gradients.

    Its methods refuse, by `InputError`, a number of draws that was not run.

    Attributes:
        gradients: Gradients of single draws allowed an image.
        step_factor: Every step is step_factor * eps / steps.
        random_start: Whether PGD starts at a random point of the ball.
        fresh: Fresh draws that each image is scored on; the same for every point.
        clean_correct: For each image, whether it is right without a change, by fresh draws.
        points: One for each number of draws.
        settings: Of the classifier: `vote_samples`, `vote` and `output`.
    """

    eps: NonNegative
    gradients: Count
    step_factor: NonNegative
    random_start: bool
    fresh: Count
    clean_correct: tuple[bool, ...]
    points: tuple[ConvergencePoint, ...]
    seed: int
    settings: dict[str, Setting]
    defences: tuple[str, ...]
    environment: Environment

    def check(self) -> None:
        """Refuse points without one entry for each image, and more right draws than draws."""
        for i, point in enumerate(self.points):
            size = len(self.clean_correct)
            check_length(point.correct, size, f"points[{i}].correct", "clean_correct")
            check_most(point.draw_correct, self.fresh, f"points[{i}].draw_correct", "fresh")

    @property
    def clean(self) -> ExactShare:
        """Accuracy without a change."""
        return ExactShare.of(self.clean_correct)

    def point(self, draws: int) -> ConvergencePoint:
        """Return the attack with so many draws a gradient."""
        points = {point.draws: point for point in self.points}
        return points[check_choice(draws, "draws", points)]

    def compare(self, a: int, b: int) -> tuple[int, int, float]:
        """Compare two numbers of draws image by image.

        Returns:
            Images that a alone broke, images that b alone broke, and McNemar's exact two-sided p.
        """
        left, right = (np.array(self.point(m).correct, dtype=bool) for m in (a, b))
        only_a, only_b = int((~left & right).sum()), int((left & ~right).sum())
        return only_a, only_b, mcnemar(only_a, only_b)

    @property
    def worst(self) -> ExactShare:
        """Images that none of the attacks broke."""
        return ExactShare.of(np.all([point.correct for point in self.points], axis=0))
