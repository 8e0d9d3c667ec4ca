"""The record of a published table of certificates that was run again."""

from dataclasses import dataclass
from typing import ClassVar

from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records.base import Count, Environment, NonNegative, Record, Setting
from art_disc.core.records.checked import Checked, check_most


@dataclass(frozen=True, slots=True)
class CertificateTableRow(Checked):
    """One budget of a published table of certificates, theirs and ours.

    Attributes:
        eps: l_inf budget in [0, 1].
        bits: Theirs: images with more than 2^bits reachable code images are given up.
        printed_unable, printed_success, printed_fail: Theirs, percent.
        printed_limit: Their lower limit with 99 % confidence, in percent.
        images: Test images whose free pixels were counted.
        unable_float: Those with more than `bits` free pixels by the printed inequality in the
            papers' float arithmetic.
        unable_exact: The same with every codeword that can really be reached.
        max_bits: Ours: images with more than 2^max_bits code images are undecided.
        certified, falsified, undecided: Verdicts on the images that were enumerated.
        seconds: Of the enumeration.
    """

    eps: NonNegative
    bits: Count
    printed_unable: NonNegative
    printed_success: NonNegative
    printed_fail: NonNegative
    printed_limit: NonNegative
    images: Count
    unable_float: Count
    unable_exact: Count
    max_bits: Count
    certified: Count
    falsified: Count
    undecided: Count
    seconds: NonNegative

    def check(self) -> None:
        """Refuse more images than were counted."""
        check_most(self.unable_float, self.images, "unable_float", "images")
        check_most(self.unable_exact, self.images, "unable_exact", "images")

    @property
    def total(self) -> int:
        """Images that were to be certified."""
        return self.certified + self.falsified + self.undecided

    @property
    def limit(self) -> float:
        """Exact one-sided 99 % lower limit of the certified accuracy (Clopper and Pearson)."""
        return clopper_pearson_lower(self.certified, self.total, 0.99)


@dataclass(frozen=True, slots=True)
class CertificateTableRecord(Record):
    """A published table of certificates run again.

    Attributes:
        table: `chen2018-table2`, say.
        title: What it is about.
        rows: One a budget.
        network: Architecture and training, in words.
        settings: What the run was asked for.
        environment: Where and when.
    """

    kind: ClassVar[str] = "certificate table"

    table: str
    title: str
    rows: tuple[CertificateTableRow, ...]
    network: str
    settings: dict[str, Setting]
    environment: Environment
