"""The record of a study: a measurement of its own, whose numbers no other kind holds."""

from dataclasses import dataclass
from typing import Any, ClassVar

from art_disc.core.records.base import Environment, Record, Setting
from art_disc.core.records.checked import check_plain


@dataclass(frozen=True, slots=True)
class StudyRecord(Record):
    """What a script measured.

    Attributes:
        name: Of the script.
        machine: What a reader needs to judge times by: `processor`, `cores`.
        results: What was asked for and what was found, plain JSON; `record[name]` is one entry.
        environment: Where and when.
    """

    kind: ClassVar[str] = "study"

    name: str
    machine: dict[str, Setting]
    results: dict[str, Any]
    environment: Environment

    def check(self) -> None:
        """Refuse what JSON would not give back."""
        check_plain(self.results, "results")

    def __getitem__(self, name: str) -> Any:
        return self.results[name]
