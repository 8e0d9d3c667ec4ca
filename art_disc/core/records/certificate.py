"""The record of a certificate: one verdict an example."""

from dataclasses import dataclass
from typing import ClassVar

from art_disc.core.checks import check_choice
from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records.base import Count, Environment, NonNegative, Record, Setting
from art_disc.core.records.checked import check_lengths

VERDICTS = ("certified", "falsified", "undecided")


class Verdicts(Record):
    """What is counted from the verdicts of a certificate, whatever its method."""

    __slots__ = ()
    each: ClassVar[tuple[str, ...]]
    verdicts: tuple[str, ...]

    def check(self) -> None:
        """Refuse words that are no verdict, and lists without one entry for each example."""
        for i, verdict in enumerate(self.verdicts):
            check_choice(verdict, f"verdicts[{i}]", VERDICTS)
        check_lengths(self, "verdicts", *self.each)

    def count(self, verdict: str) -> int:
        """Number of examples with this verdict.

        Raises:
            InputError: No such verdict.
        """
        check_choice(verdict, "verdict", VERDICTS)
        return self.verdicts.count(verdict)

    @property
    def certified_accuracy(self) -> float:
        """Share of all examples that is certified; the undecided count against us."""
        return self.count("certified") / len(self.verdicts)


@dataclass(frozen=True, slots=True)
class CertificateRecord(Verdicts):
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
    each: ClassVar[tuple[str, ...]] = ("reasons", "free_pixels", "log2_images", "evaluated")

    method: str
    eps: NonNegative
    assumes: str
    settings: dict[str, Setting]
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]
    free_pixels: tuple[Count, ...]
    log2_images: tuple[NonNegative, ...]
    evaluated: tuple[Count, ...]
    seconds: NonNegative
    environment: Environment

    def lower_limit(self, confidence: float = 0.99) -> float:
        """Exact one-sided lower limit of the certified accuracy on the data's distribution.

        Holds with probability `confidence` over an i.i.d. test sample (Clopper and Pearson); it
        replaces Proposition 2 of Chen et al. 2018, whose printed factor is no lower limit.
        """
        return clopper_pearson_lower(self.count("certified"), len(self.verdicts), confidence)
