"""The record of a certificate: one verdict an example."""

from dataclasses import dataclass
from typing import ClassVar

from art_disc.core.errors import InputError
from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records.base import Environment, Record, Setting

VERDICTS = ("certified", "falsified", "undecided")


@dataclass(frozen=True, slots=True)
class CertificateRecord(Record):
    """Verdicts of one certificate at one budget.

    Attributes:
        method: How it was decided, `enumeration`.
        assumes: What the verdicts hold for: threat model, input range, ties, float error.
        verdicts: `certified`, `falsified` or `undecided` for each example.
        reasons: Why an example is undecided; empty otherwise.
        free_pixels: For each example, the pixels that can reach more than one codeword.
        log2_images: For each example, log2 |S(x)|, the number of reachable code images.
        evaluated: For each example, the code images really classified.
    """

    kind: ClassVar[str] = "certificate"

    method: str
    eps: float
    assumes: str
    settings: dict[str, Setting]
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]
    free_pixels: tuple[int, ...]
    log2_images: tuple[float, ...]
    evaluated: tuple[int, ...]
    seconds: float
    environment: Environment

    def count(self, verdict: str) -> int:
        """Number of examples with this verdict.

        Raises:
            InputError: No such verdict.
        """
        if verdict not in VERDICTS:
            msg = f"verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}"
            raise InputError(msg)
        return self.verdicts.count(verdict)

    @property
    def certified_accuracy(self) -> float:
        """Share of all examples that is certified; the undecided count against us."""
        return self.count("certified") / len(self.verdicts)

    def lower_limit(self, confidence: float = 0.99) -> float:
        """Exact one-sided lower limit of the certified accuracy on the data's distribution.

        Holds with probability `confidence` over an i.i.d. test sample (Clopper and Pearson); it
        replaces Proposition 2 of Chen et al. 2018, whose printed factor is no lower limit.
        """
        return clopper_pearson_lower(self.count("certified"), len(self.verdicts), confidence)
