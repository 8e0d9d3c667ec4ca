"""What scoring images that were made elsewhere leaves behind: transfers, and supplied images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment, Record
from art_disc.core.records.checked import Checked
from art_disc.core.records.draws import ExactShare
from art_disc.core.records.fields import Count, NonNegative, Setting
from art_disc.core.records.frames import columns_of
from art_disc.core.records.rules import check_equal, check_length, check_most, like, one_of, rising


@dataclass(frozen=True, slots=True)
class TransferRow(Checked):
    """Examples made on one source.

    Attributes:
        source: Its name.
        defences: Its defences, one line each.
        attack: ART's class, or the name in the table of attacks; empty where making it failed.
        settings: Of the attack.
        status: `done` or `failed`.
        reason: Why it failed.
        own_correct: For each image, whether the source itself is right before and after: what the
            attack is worth where it was made.
        right: For each image, whether the target is right on what was made, by fresh draws.
        draw_right: Right draws of the target; empty where it does not draw.
        distances: l_inf size of each change, in the input range.
        gradients, queries: What the attack asked of the source's network, counted per image.
        seconds: What it took.
        voting: Of a source that draws: its draws a gradient and a vote, and how they count.
    """

    source: str
    defences: tuple[str, ...]
    attack: str
    settings: dict[str, Setting]
    status: Annotated[str, one_of(("done", "failed"))]
    reason: str = ""
    own_correct: Annotated[tuple[bool, ...], like("right")] = ()
    right: tuple[bool, ...] = ()
    draw_right: Annotated[tuple[Count, ...], like("right", optional=True)] = ()
    distances: Annotated[tuple[NonNegative, ...], like("right")] = ()
    gradients: Count = 0
    queries: Count = 0
    seconds: NonNegative = 0.0
    voting: dict[str, Setting] = field(default_factory=dict)

    @property
    def own_share(self) -> ExactShare:
        """Accuracy that the examples leave their source itself."""
        return ExactShare.of(self.own_correct)


@dataclass(frozen=True, slots=True)
class TransferRecord(Record, kind="transfer"):
    """Adversarial examples of several sources, scored on one target.

    Its methods refuse, by `InputError`, a source on which no attack finished.

    Attributes:
        eps: l_inf budget in the input range; what lies farther out is not adversarial and counts
            as right where the clean image is.
        tolerance: Float rounding forgiven at the budget.
        defences: The target's.
        clean_correct: For each image, whether the target is right without a change.
        rows: One for each source.
        draws: Fresh draws that a target that draws is scored on; 0 for another.
        voting: The target's, as the rows' of their sources.
    """

    eps: NonNegative
    tolerance: NonNegative
    defences: tuple[str, ...]
    clean_correct: tuple[bool, ...]
    rows: tuple[TransferRow, ...]
    draws: Count
    seed: int
    environment: Environment
    voting: dict[str, Setting] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse rows without one entry for each image, and more right draws than draws."""
        for i, row in enumerate(self.rows):
            size = len(self.clean_correct) if row.status == "done" else 0
            check_length(row.right, size, f"rows[{i}].right", "clean_correct")
            check_most(row.draw_right, self.draws, f"rows[{i}].draw_right", "draws")

    @property
    def clean(self) -> ExactShare:
        """Accuracy without a change."""
        return ExactShare.of(self.clean_correct)

    @property
    def finished(self) -> dict[str, TransferRow]:
        """The row of each source on which the attack finished."""
        return {row.source: row for row in self.rows if row.status == "done"}

    def row(self, source: str) -> TransferRow:
        """Return the row of a source."""
        finished = self.finished
        if source not in finished:
            known = ", ".join(finished) or "none"
            msg = f"no attack on {source!r} finished; finished: {known}"
            raise InputError(msg)
        return finished[source]

    def correct(self, source: str) -> tuple[bool, ...]:
        """For each image, whether the target is right before and after."""
        row = self.row(source)
        clean = np.array(self.clean_correct, dtype=bool)
        outside = np.array(row.distances) > self.eps + self.tolerance
        return tuple((clean & (np.array(row.right, dtype=bool) | outside)).tolist())

    def share(self, source: str) -> ExactShare:
        """Accuracy that the examples of one source leave the target."""
        return ExactShare.of(self.correct(source))

    def counted(self, rows: str, i: int) -> Sequence[dict[str, Any]]:
        """Add what the examples of each source leave the target."""
        done = rows == "rows" and self.rows[i].status == "done"
        return (columns_of("left", self.share(self.rows[i].source) if done else None),)

    @property
    def worst(self) -> ExactShare:
        """Images that no source's example broke."""
        left = (self.clean_correct, *map(self.correct, self.finished))
        return ExactShare.of(np.all(left, axis=0))


@dataclass(frozen=True, slots=True)
class SuppliedSet(Checked):
    """One folder or file of adversarial images on every defence.

    Attributes:
        name: Of the set.
        file: Name of the file or folder.
        example_ids: Of each image, rising: the index of its clean image in the test split.
        unmatched: Ids in the file that are none of the clean images; not scored.
        distances: l_inf size of each change as it is in the file, in the input range.
        within: Whether each change is within the budget. An image that is farther from its clean
            one is not adversarial and counts as the clean one.
        misplaced: (id, id of the clean image that it lies within the budget of), for images that
            are out of budget: a sign that the order is another than was said.
        clean_right: For each defence, whether it is right on each clean image.
        right: For each defence, whether it is right on each supplied image.
        draw_right: For each defence that draws, its right draws of each supplied image.
    """

    name: str
    file: str
    example_ids: Annotated[tuple[Count, ...], rising]
    unmatched: tuple[int, ...]
    distances: Annotated[tuple[NonNegative, ...], like("example_ids")]
    within: Annotated[tuple[bool, ...], like("example_ids")]
    misplaced: tuple[tuple[int, int], ...] = ()
    clean_right: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    right: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    draw_right: dict[str, tuple[Count, ...]] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse a defence's results without one entry for each image."""
        for name in ("clean_right", "right", "draw_right"):
            for defence, row in getattr(self, name).items():
                where = f"length of {name}[{defence!r}]"
                check_equal(len(row), len(self.example_ids), where)

    @property
    def out_of_budget(self) -> tuple[int, ...]:
        """Ids of the images that are not adversarial, being too far from the clean ones."""
        return tuple(i for i, ok in zip(self.example_ids, self.within, strict=True) if not ok)

    def counted(self, defence: str, *, plain: bool = False) -> NDArray[np.bool_]:
        """For each image, whether the defence is right on it; see `SuppliedRecord.share`."""
        check_choice(defence, "defence", self.right)
        clean = np.array(self.clean_right[defence], dtype=bool)
        right = np.array(self.right[defence], dtype=bool)
        return np.where(self.within, right if plain else right & clean, clean)


@dataclass(frozen=True, slots=True)
class SuppliedRecord(Record, kind="supplied images"):
    """Supplied adversarial images against several defences: sets down, defences across.

    Its methods refuse, by `InputError`, a set or a classifier that it does not name.

    Attributes:
        tolerance: Float rounding forgiven at the budget.
        defences: Name of each classifier -> one line a defence.
        sets: One for each folder or file.
        draws: Least number of fresh draws that a classifier that draws is scored on; one that
            votes over more gets as many as it votes over.
        settings: Facts that the caller adds, such as the data set.
    """

    eps: NonNegative
    tolerance: NonNegative
    defences: dict[str, tuple[str, ...]]
    sets: tuple[SuppliedSet, ...]
    draws: Count
    seed: int
    environment: Environment
    settings: dict[str, Setting] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse sets that are about other defences."""
        for i, found in enumerate(self.sets):
            for name in ("clean_right", "right"):
                known = getattr(found, name).keys()
                check_equal(known, self.defences.keys(), f"names of sets[{i}].{name}")

    def counted(self, rows: str, i: int) -> Sequence[dict[str, Any]]:  # noqa: ARG002 - sets alone
        """Give each set a row for each defence, with what it has right before and after."""
        name = self.sets[i].name
        return [
            {"defence": defence}
            | columns_of("clean", self.clean(name, defence))
            | columns_of("left", self.share(name, defence))
            for defence in self.defences
        ]

    def set_of(self, name: str) -> SuppliedSet:
        """Return one set."""
        sets = {found.name: found for found in self.sets}
        return sets[check_choice(name, "set", sets)]

    def share(self, name: str, defence: str, *, plain: bool = False) -> ExactShare:
        """Accuracy of a defence on a set.

        Args:
            name: Of the set.
            defence: Name of the classifier.
            plain: Count a supplied image as right although the clean one is wrong, as the paper's
                table does. Otherwise it is wrong: an attacker may leave it as it is.
        """
        return ExactShare.of(self.set_of(name).counted(defence, plain=plain))

    def clean(self, name: str, defence: str) -> ExactShare:
        """Accuracy of a defence on the clean images of a set."""
        check_choice(defence, "defence", self.defences)
        return ExactShare.of(self.set_of(name).clean_right[defence])

    def mean(self, defence: str, *, plain: bool = False) -> float:
        """Mean over sets of a defence's accuracy."""
        return float(np.mean([self.share(s.name, defence, plain=plain).value for s in self.sets]))

    def worst(self, defence: str, *, plain: bool = False) -> ExactShare:
        """The least of a defence's accuracies over sets."""
        shares = [self.share(s.name, defence, plain=plain) for s in self.sets]
        return min(shares, key=lambda share: share.value)

    def together(self, defence: str) -> ExactShare:
        """Share of all supplied examples that none of the sets broke."""
        left: dict[int, bool] = {}
        for found in self.sets:
            for i, ok in zip(found.example_ids, found.counted(defence), strict=True):
                left[i] = left.get(i, True) and bool(ok)
        return ExactShare.of(tuple(left.values()))
