"""The record of a certificate: one verdict an example."""

from dataclasses import dataclass
from typing import Annotated

from art_disc.core.checks import check_choice
from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records.base import Environment, Record
from art_disc.core.records.fields import Count, NonNegative, Setting
from art_disc.core.records.rules import like

VERDICTS = ("certified", "falsified", "undecided")


class Verdicts(Record):
    """What is counted from the verdicts of a certificate, whatever its method."""

    __slots__ = ()
    verdicts: tuple[str, ...]

    def check(self) -> None:
        """Refuse words that are no verdict."""
        for i, verdict in enumerate(self.verdicts):
            check_choice(verdict, f"verdicts[{i}]", VERDICTS)

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
class CertificateRecord(Verdicts, kind="certificate"):
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

    method: str
    eps: NonNegative
    assumes: str
    settings: dict[str, Setting]
    verdicts: tuple[str, ...]
    reasons: Annotated[tuple[str, ...], like("verdicts")]
    free_pixels: Annotated[tuple[Count, ...], like("verdicts")]
    log2_images: Annotated[tuple[NonNegative, ...], like("verdicts")]
    evaluated: Annotated[tuple[Count, ...], like("verdicts")]
    seconds: NonNegative
    environment: Environment

    def lower_limit(self, confidence: float = 0.99) -> float:
        """Exact one-sided lower limit of the certified accuracy on the data's distribution.

        Holds with probability `confidence` over an i.i.d. test sample (Clopper and Pearson); it
        replaces Proposition 2 of Chen et al. 2018, whose printed factor is no lower limit.
        """
        return clopper_pearson_lower(self.count("certified"), len(self.verdicts), confidence)
