"""What an evaluation returns, whole or interrupted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from art_disc.core.errors import InputError
from art_disc.core.records import EvaluationRecord, Share
from art_disc.core.showing import Shown
from art_disc.report import Pictures, as_text, write_report


@dataclass(frozen=True, slots=True)
class Evaluation(Shown):
    """A record and the pictures that go with it.

    Attributes:
        record: Everything that was counted.
        pictures: Up to eight examples of the strongest attack at the largest budget; None before
            any attack on the defended model has finished.
    """

    record: EvaluationRecord
    pictures: Pictures | None = None

    def _shown(self) -> dict[str, Any]:
        return {**self.record._shown(), "pictures": self.pictures}

    def report(self, out: str | Path) -> Path:
        """Write record, pictures, summary.json, examples.csv and report.html into a folder.

        Returns:
            The path of report.html.

        Raises:
            MissingExtraError: The extra `report` is not installed.
        """
        return write_report(self.record, out, pictures=self.pictures)

    def robust_accuracy(self, eps: float) -> Share:
        """Per-example worst over all attacks at this budget: an upper estimate, not a proof.

        Raises:
            InputError: No attack on the defended model finished at this budget.
        """
        share = self.record.worst(eps)
        if share is None:
            known = ", ".join(f"{value:g}" for value in self.record.eps)
            msg = (
                f"the defended model was not attacked at eps {eps:g}; budgets of this run: {known}"
            )
            raise InputError(msg)
        return share

    def __str__(self) -> str:
        return as_text(self.record)


class EvaluationInterrupted(KeyboardInterrupt):
    """Ctrl-C during an evaluation; `partial` holds what was finished."""

    def __init__(self, partial: Evaluation) -> None:
        super().__init__("evaluation interrupted; .partial holds what was finished")
        self.partial = partial
