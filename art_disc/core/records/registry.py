"""The kinds of record, and reading a record of any of them."""

from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

from art_disc.core.checks import check_choice
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_json
from art_disc.core.records.base import Record

R = TypeVar("R", bound=type[Record])

# a kind of ours is one line here; its module is read when such a record is
RECORDS: dict[str, str | type[Record]] = {
    "activation norms": "protocols:ActivationRecord",
    "bit flips": "purifiers:BitFlipRecord",
    "certificate": "certificate:CertificateRecord",
    "certificate curve": "certificate:CertificateCurveRecord",
    "certificate table": "published:CertificateTableRecord",
    "certified curve": "certificate:CertifiedCurve",
    "certified figure": "certified:CertifiedFigureRecord",
    "divergence certificate": "certificate:DivergenceRecord",
    "equivalence classes": "published:ClassesRecord",
    "eot convergence": "randomness:ConvergenceRecord",
    "evaluation": "evaluation:EvaluationRecord",
    "gradient agreement": "randomness:AgreementRecord",
    "hardness": "hardness:HardnessRecord",
    "persistent attacker": "draws:PersistentCurve",
    "pixel figure": "pixels:PixelFigureRecord",
    "protocol table": "protocols:ProtocolTableRecord",
    "purifier table": "purifiers:PurifierTableRecord",
    "scored draws": "draws:DrawsRecord",
    "study": "study:StudyRecord",
    "supplied images": "supplied:SuppliedRecord",
    "sweep": "sweep:SweepRecord",
    "table": "published:TableRecord",
    "transfer": "supplied:TransferRecord",
    "zoo": "zoo:ZooRecord",
}


def register(record: R) -> R:
    """Make `load_record` know a kind of record of your own; usable as a decorator.

    Args:
        record: A frozen dataclass derived from `Record` whose `kind` no other one has.

    Raises:
        InputError: The kind is taken by another class.
    """
    taken = RECORDS.get(record.kind)
    if taken is not None and taken is not record:
        msg = f"kind {record.kind!r} is taken by {taken}; give {record.__name__} one of its own"
        raise InputError(msg)
    RECORDS[record.kind] = record
    return record


def record_class(kind: str) -> type[Record]:
    """Return the class of a kind.

    Raises:
        InputError: No such kind.
    """
    found = RECORDS[check_choice(kind, "kind", sorted(RECORDS))]
    if isinstance(found, str):
        cls: type[Record] = resolve_name(f"art_disc.core.records.{found}")
        return cls
    return found


def load_record(path: str | Path) -> Record:
    """Read a record of any kind.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Not a record, or one whose contents do not fit; the message names the
            field, what was expected and what is there.
    """
    data = read_json(path)
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in RECORDS:
        msg = (
            f"{path} is no record of art_disc: its kind must be one of "
            f"{', '.join(sorted(RECORDS))}, got {kind!r}"
        )
        raise FileFormatError(msg)
    return record_class(kind).from_dict(data, where=str(path))
