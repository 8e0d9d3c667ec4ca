"""What attacking a classifier that draws leaves behind: its gradients, and PGD through them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from art_disc.core.checks import check_choice
from art_disc.core.intervals import mcnemar
from art_disc.core.records.base import Count, Environment, Finite, NonNegative, Record, Setting
from art_disc.core.records.checked import (
    Checked,
    check_equal,
    check_lengths,
    check_most,
)
from art_disc.core.records.draws import ExactShare, place_of

LOSSES = ("cross_entropy", "margin")


@dataclass(frozen=True, slots=True)
class AgreementRecord(Record):
    """How far two independent EOT estimates of one gradient point the same way.

    Attributes:
        loss: `cross_entropy` or `margin`.
        draws: Draws M of each estimate.
        cosines: For each M, the cosine of every image's two estimates; 0 where one of them is
            zero or not finite: nothing points anywhere.
        zeros: For each M, how many of the 2 x images estimates are zero or not finite.
        seed: Of the draws.
        defences: One line a defence.
        seconds: What it took.
    """

    kind: ClassVar[str] = "gradient agreement"

    loss: str
    draws: tuple[Count, ...]
    cosines: tuple[tuple[Finite, ...], ...]
    zeros: tuple[Count, ...]
    seed: int
    defences: tuple[str, ...]
    seconds: NonNegative
    environment: Environment

    def check(self) -> None:
        """Refuse lists without one entry for each number of draws, and rows of other images."""
        check_choice(self.loss, "loss", LOSSES)
        check_lengths(self, "draws", "cosines", "zeros")
        images = len(self.cosines[0]) if self.cosines else 0
        for i, row in enumerate(self.cosines):
            check_equal(len(row), images, f"length of cosines[{i}]")
        check_most(self.zeros, 2 * images, "zeros", "cosines")

    def quartiles(self, draws: int) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the cosine over images.

        Raises:
            InputError: No such number of draws was tried.
        """
        each = self.cosines[place_of(draws, self.draws, "draws")]
        low, middle, high = (float(v) for v in np.quantile(each, (0.25, 0.5, 0.75)))
        return low, middle, high

    def zero_share(self, draws: int) -> ExactShare:
        """Share of estimates without a direction.

        Raises:
            InputError: No such number of draws was tried.
        """
        place = place_of(draws, self.draws, "draws")
        return ExactShare(self.zeros[place], 2 * len(self.cosines[place]))


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
    draw_correct: tuple[Count, ...]
    seconds: NonNegative

    def check(self) -> None:
        """Refuse lists that are not about the same images."""
        check_lengths(self, "correct", "draw_correct")

    @property
    def share(self) -> ExactShare:
        """Robust accuracy."""
        return ExactShare.of(self.correct)


@dataclass(frozen=True, slots=True)
class ConvergenceRecord(Record):
    """PGD through ever more draws a gradient, at equal numbers of gradients.

    Attributes:
        eps: l_inf budget in the input range.
        gradients: Gradients of single draws allowed an image.
        step_factor: Every step is step_factor * eps / steps.
        random_start: Whether PGD starts at a random point of the ball.
        fresh: Fresh draws that each image is scored on; the same for every point.
        clean_correct: For each image, whether it is right without a change, by fresh draws.
        points: One for each number of draws.
        seed: Of the attack's and the scores' draws.
        settings: Of the classifier: `vote_samples`, `vote` and `output`.
        defences: One line a defence.
    """

    kind: ClassVar[str] = "eot convergence"

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
            before = f"points[{i}]."
            size = len(self.clean_correct)
            check_lengths(point, "clean_correct", "correct", size=size, before=before)
            check_most(point.draw_correct, self.fresh, f"{before}draw_correct", "fresh")

    @property
    def clean(self) -> ExactShare:
        """Accuracy without a change."""
        return ExactShare.of(self.clean_correct)

    def point(self, draws: int) -> ConvergencePoint:
        """Return the attack with so many draws a gradient.

        Raises:
            InputError: It was not run.
        """
        return self.points[place_of(draws, tuple(p.draws for p in self.points), "draws")]

    def compare(self, a: int, b: int) -> tuple[int, int, float]:
        """Compare two numbers of draws image by image.

        Returns:
            Images that a alone broke, images that b alone broke, and McNemar's exact two-sided p.

        Raises:
            InputError: One of them was not run.
        """
        left, right = (np.array(self.point(m).correct, dtype=bool) for m in (a, b))
        only_a, only_b = int((~left & right).sum()), int((left & ~right).sum())
        return only_a, only_b, mcnemar(only_a, only_b)

    @property
    def worst(self) -> ExactShare:
        """Images that none of the attacks broke."""
        left = np.all([point.correct for point in self.points], axis=0)
        return ExactShare.of(left)
