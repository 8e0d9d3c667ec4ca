"""What one attack, and one check, found: parts of an evaluation's record."""

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from art_disc.core.budget import BUDGET_TOLERANCE
from art_disc.core.records.base import Share
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, Finite, NonNegative, Setting
from art_disc.core.records.rules import check_length, like, most, one_of, rising

KNOWLEDGE = ("none", "base", "bpda", "bpda+eot")
WHITE_BOX = ("bpda", "bpda+eot")
STATUSES = ("pass", "fail", "not run")
RUN_STATUSES = ("done", "failed", "skipped")
CHECK_TIERS = ("quick", "standard", "full")
MODELS = ("base", "defended", "reference", "frozen")
NORMS = ("inf", "2")

Status = Annotated[str, one_of(RUN_STATUSES)]
Norm = Annotated[str, one_of(NORMS)]


@dataclass(frozen=True, slots=True)
class AttackOutcome(Checked):
    """One attack at one budget, scored on one model.

    Attributes:
        attack: Name of the attack's row, `pgd` or the class name of the user's own.
        scored_on: `base`, `defended`, `reference` (an adversarially trained network) or `frozen` (a
            twin with frozen draws): the model whose predictions are counted.
        knowledge: What the attacker knew: `none` (no gradients of this network), `base` (gradients
            of the undefended network), `bpda` (white box, gradients through the surrogate) or
            `bpda+eot` (also averaged over the defence's draws).
        surrogate: Name of the backward pass, None where no surrogate is differentiated.
        norm: `inf` or `2`.
        eps: Budget in the classifier's input range.
        status: `done`, or `skipped` or `failed` with a `reason`.
        positions: Which of the record's examples were attacked, rising; empty: all of them.
        correct: For each attacked example, whether the model is still right; empty unless done. An
            example that is wrong without any change is wrong here, with a perturbation of 0.
        perturbation: For each attacked example, the norm of the change really made.
        grid_correct: As `correct`, with the image rounded to the 8-bit grid inside the budget;
            empty where that was not scored.
        draws: Fresh draws of a randomised defence that each image was scored on; 0: deterministic.
        draw_correct: For each attacked example, on how many of the draws the model was right.
        by_step: After each gradient step, attacked examples that no iterate so far broke on the
            model that the gradients are of; empty where it was not followed.
        loss_by_step: Mean cross-entropy over the attacked examples at each gradient step.
        asked_by: What the row was run for: `attacks`, or the check that needs it, `C8`.
        tolerance: Rounding by which a perturbation may exceed a budget, in the input range.
        gradients: Backward passes through the network, counted per image.
        queries: Forward passes that no gradient was taken of, counted per image.
    """

    attack: str
    scored_on: Annotated[str, one_of(MODELS)]
    knowledge: Annotated[str, one_of(KNOWLEDGE)]
    surrogate: str | None
    norm: Norm
    eps: NonNegative
    targeted: bool
    settings: dict[str, Setting]
    seed: int
    status: Status = "done"
    reason: str = ""
    positions: Annotated[tuple[Count, ...], rising] = ()
    correct: tuple[bool, ...] = ()
    perturbation: Annotated[tuple[NonNegative, ...], like("correct")] = ()
    grid_correct: Annotated[tuple[bool, ...], like("correct", optional=True)] = ()
    draws: Count = 0
    draw_correct: Annotated[tuple[Count, ...], most("draws"), like("correct", optional=True)] = ()
    by_step: Annotated[tuple[Count, ...], most("correct")] = ()
    loss_by_step: tuple[Finite, ...] = ()
    asked_by: str = "attacks"
    tolerance: NonNegative = BUDGET_TOLERANCE
    gradients: Count = 0
    queries: Count = 0
    seconds: NonNegative = 0.0

    def check(self) -> None:
        """Refuse results of other examples than those attacked, and of what is not done."""
        if self.status != "done":
            check_length(self.correct, 0, "correct", f"it was {self.status}")
        elif self.positions:
            check_length(self.correct, len(self.positions), "correct", "positions")

    def breaks(self, eps: float, *, grid: bool = False) -> tuple[bool, ...]:
        """For each attacked example, whether a change of at most `eps` broke it.

        Args:
            eps: Budget.
            grid: Count the images rounded to the 8-bit grid instead; none is broken where they
                were not scored. Rounding keeps within the row's own budget alone, so at a smaller
                one no rounded image counts.
        """
        if not grid:
            return tuple(
                not right and size <= eps + self.tolerance
                for right, size in zip(self.correct, self.perturbation, strict=True)
            )
        if not self.grid_correct or eps + self.tolerance < self.eps:
            return (False,) * len(self.correct)
        return tuple(not right for right in self.grid_correct)

    def broken_positions(self, eps: float, *, grid: bool = False) -> NDArray[np.int64]:
        """Positions, among the record's examples, of those that `breaks` tells."""
        hits = np.flatnonzero(np.asarray(self.breaks(eps, grid=grid), dtype=bool))
        return np.asarray(self.positions, dtype=np.int64)[hits] if self.positions else hits

    @property
    def share(self) -> Share:
        """Attacked examples that were not broken within the row's own budget."""
        return Share(len(self.correct) - sum(self.breaks(self.eps)), len(self.correct))


@dataclass(frozen=True, slots=True)
class CheckResult(Checked):
    """What one check of the evaluation found.

    Attributes:
        id: Its name, `C1` for example.
        title: What it looks at, in a few words.
        tier: `quick`, `standard` or `full`: the first tier that it belongs to.
        status: `pass`, `fail` or `not run`.
        summary: One line: what was measured against which threshold, or why it was not run.
        cure: One line: what to do if it fails.
        example_ids: Examples (as in the record's `example_ids`) that offend.
        numbers: What was measured, by name.
        seconds: What the check took, the attacks that it asked for aside.
    """

    id: str
    title: str
    tier: Annotated[str, one_of(CHECK_TIERS)]
    status: Annotated[str, one_of(STATUSES)]
    summary: str
    cure: str
    example_ids: tuple[Count, ...] = ()
    numbers: dict[str, Finite] = field(default_factory=dict)
    seconds: NonNegative = 0.0
