"""Reading a record of any kind."""

from importlib import import_module
from pathlib import Path

from art_disc.core.errors import FileFormatError
from art_disc.core.files import read_json
from art_disc.core.records.base import Record
from art_disc.core.records.certificate import CertificateRecord
from art_disc.core.records.divergence import CertifiedCurve, DivergenceRecord
from art_disc.core.records.evaluation import EvaluationRecord

# modules that build on this one, or are read only where such a record is
_ELSEWHERE = {
    "sweep": ("sweep", "SweepRecord"),
    "zoo": ("zoo", "ZooRecord"),
    "table": ("table", "TableRecord"),
    "certificate table": ("certificate_table", "CertificateTableRecord"),
    "gradient agreement": ("randomness", "AgreementRecord"),
    "eot convergence": ("randomness", "ConvergenceRecord"),
    "scored draws": ("draws", "DrawsRecord"),
    "persistent attacker": ("draws", "PersistentCurve"),
    "transfer": ("supplied", "TransferRecord"),
    "supplied images": ("supplied", "SuppliedRecord"),
}


def load_record(path: str | Path) -> Record:
    """Read a record of any kind that this package writes.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Not a record of this package.
    """
    data = read_json(path)
    kind = data.get("kind") if isinstance(data, dict) else None
    for record in (EvaluationRecord, CertificateRecord, DivergenceRecord, CertifiedCurve):
        if record.kind == kind:
            return record.from_dict(data, where=str(path))
    if isinstance(kind, str) and kind in _ELSEWHERE:
        module, name = _ELSEWHERE[kind]
        found: type[Record] = getattr(import_module(f"art_disc.core.records.{module}"), name)
        return found.from_dict(data, where=str(path))
    msg = f"{path} is no record of art_disc"
    raise FileFormatError(msg)
