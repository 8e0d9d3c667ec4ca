"""The record of a study: a measurement of its own, whose numbers no other kind holds."""

from dataclasses import dataclass
from typing import Annotated, Any

from art_disc.core.records.base import Environment, Record
from art_disc.core.records.fields import Setting
from art_disc.core.records.rules import plain


@dataclass(frozen=True, slots=True)
class StudyRecord(Record, kind="study"):
    """What a script measured.

    Attributes:
        name: Of the script.
        machine: What a reader needs to judge times by: `processor`, `cores`.
        results: What was asked for and what was found, plain JSON; `record[name]` is one entry.
    """

    name: str
    machine: dict[str, Setting]
    results: Annotated[dict[str, Any], plain]
    environment: Environment

    def __getitem__(self, name: str) -> Any:
        return self.results[name]
