"""What `certify` returns: verdicts and witnesses, as files and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from art_disc.core.checks import Float32Array
from art_disc.core.files import read_npz, write_npz
from art_disc.core.records import CertificateRecord
from art_disc.core.showing import Shown

RECORD, WITNESSES = "record.json", "witnesses.npz"


@dataclass(frozen=True, slots=True)
class Certificate(Shown):
    """Verdicts with their witnesses.

    Attributes:
        record: The verdicts and how they came about.
        witnesses: For each falsified example, by its index, an image of shape (c, h, w) (or the
            classifier's layout) in its input range that is within the budget and misclassified.
        classifier: In exact arithmetic, the rounded classifier, or that of whole numbers, that the
            verdicts are of; not saved.
    """

    record: CertificateRecord
    witnesses: Mapping[int, Float32Array]
    classifier: Any = field(default=None, compare=False, repr=False)

    def _shown(self) -> dict[str, Any]:
        record = self.record
        shown = {"method": record.method, "eps": record.eps, "verdicts": record.verdicts}
        return shown | {"settings": record.settings, "witnesses": len(self.witnesses)}

    @property
    def verdicts(self) -> tuple[str, ...]:
        """`certified`, `falsified` or `undecided` for each example."""
        return self.record.verdicts

    @property
    def certified_accuracy(self) -> float:
        """Share of all examples that is certified."""
        return self.record.certified_accuracy

    def count(self, verdict: str) -> int:
        """Number of examples with this verdict."""
        return self.record.count(verdict)

    def lower_limit(self, confidence: float = 0.99) -> float:
        """Exact one-sided lower limit (Clopper and Pearson) of the certified accuracy."""
        return self.record.lower_limit(confidence)

    def save(self, folder: str | Path) -> Path:
        """Write `record.json` and `witnesses.npz`; returns the folder."""
        out = Path(folder)
        write_npz(out / WITNESSES, {str(i): image for i, image in self.witnesses.items()})
        self.record.save(out / RECORD)
        return out

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DataNotFoundError: A file is missing.
            FileFormatError: A file is damaged or foreign.
        """
        witnesses = read_npz(Path(folder) / WITNESSES)
        record = CertificateRecord.load(Path(folder) / RECORD)
        return cls(record, {int(i): image for i, image in witnesses.items()})

    def report(self, folder: str | Path) -> Path:
        """Save, and write `report.html` beside; returns its path.

        Raises:
            MissingExtraError: jinja2 or matplotlib is not installed.
        """
        from art_disc.report import write_report

        self.save(folder)
        return write_report(self.record, folder)
