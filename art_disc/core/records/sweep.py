"""The record of a sweep: many small evaluations, one a cell, side by side."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from art_disc.core.checks import check_choice
from art_disc.core.errors import FileFormatError
from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.checked import Checked
from art_disc.core.records.evaluation import EvaluationRecord
from art_disc.core.records.fields import Count, NonNegative
from art_disc.core.records.outcomes import RUN_STATUSES, Status
from art_disc.core.records.rules import check_most, plain

Group = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class SweepCell(Checked):
    """One attack at one budget through one source of gradients, under one seed.

    Attributes:
        dataset, training, defence, attack: As the plan writes them.
        eps: Budget in the input range.
        surrogate: Where the gradients come from: `own` (the defence as it was built), `base` (the
            undefended network), the name of a surrogate, or `none` for attacks without gradients.
        seed: Of the attack's random draws, and of a randomised defence's.
        status: `done`; `failed`, where something broke; `skipped`, where the attack does not fit.
        reason: Why it is not done.
        record: The evaluation of this cell alone; None where there was none.
        gradients, queries: Asked of the network, counted per image as in `AttackOutcome`.
        seconds: Wall time of the cell, scoring included.
    """

    dataset: str
    training: str
    defence: str
    eps: NonNegative
    attack: str
    surrogate: str
    seed: int
    status: Status
    reason: str = ""
    record: EvaluationRecord | None = None
    gradients: Count = 0
    queries: Count = 0
    seconds: NonNegative = 0.0

    @property
    def left(self) -> Share | None:
        """Examples that the cell's attack did not break; None where it did not finish."""
        return self.record.worst(self.eps) if self.record else None

    @property
    def group(self) -> Group:
        """The classifier that was attacked: (data set, training, defence)."""
        return self.dataset, self.training, self.defence


@dataclass(frozen=True, slots=True)
class SweepRecord(Record, kind="sweep"):
    """What a sweep left behind.

    Attributes:
        name: Of the plan.
        plan: The plan with every default filled in, as plain JSON.
        cells: What was run, in the plan's order.
        planned: Cells that the plan has.
        complete: Whether every planned cell was run; those that failed or were skipped are told
            by their status.
    """

    name: str
    plan: Annotated[dict[str, Any], plain]
    cells: tuple[SweepCell, ...]
    planned: Count
    environment: Environment
    complete: bool = True

    def check(self) -> None:
        """Refuse more cells than were planned."""
        check_most(len(self.cells), self.planned, "number of cells", "planned")

    def count(self, status: str) -> int:
        """Number of cells with this status.

        Raises:
            InputError: No such status.
        """
        check_choice(status, "status", RUN_STATUSES)
        return sum(cell.status == status for cell in self.cells)

    def merged(self) -> dict[Group, EvaluationRecord]:
        """One evaluation for each (data set, training, defence): all its finished cells together.

        Its budgets are the union of theirs and its outcomes all of theirs, so that `worst` is the
        per-example worst over attacks, surrogates and seeds. Clean predictions are those of the
        first cell. It is complete where the sweep is.

        Raises:
            FileFormatError: The cells of one classifier are about different examples.
        """
        groups: dict[Group, list[EvaluationRecord]] = {}
        for cell in self.cells:
            if cell.status == "done" and cell.record is not None:
                groups.setdefault(cell.group, []).append(cell.record)
        return {
            group: replace(_together(group, records), complete=self.complete)
            for group, records in groups.items()
        }


def _together(group: Group, records: list[EvaluationRecord]) -> EvaluationRecord:
    first = records[0]
    facts = ("example_ids", "labels", "network", "norm")
    for other in records[1:]:
        if odd := [name for name in facts if getattr(other, name) != getattr(first, name)]:
            msg = (
                f"the cells of {' / '.join(group)} must be about the same examples and network, "
                f"but differ in {', '.join(odd)}; run the sweep again in a new folder"
            )
            raise FileFormatError(msg)
    return replace(
        first,
        eps=tuple(sorted({eps for record in records for eps in record.eps})),
        outcomes=tuple(outcome for record in records for outcome in record.outcomes),
    )
