"""What a run leaves behind: frozen records, written as versioned JSON.

Counts and per-example outcomes are stored, never percentages alone, so that any table can be made
again from the record. Reports read records and nothing else.
"""

from art_disc.core.records.base import SCHEMA_VERSION, Environment, Record, Share
from art_disc.core.records.certificate import VERDICTS, CertificateRecord, DivergenceRecord
from art_disc.core.records.evaluation import EvaluationRecord
from art_disc.core.records.fields import Setting
from art_disc.core.records.outcomes import KNOWLEDGE, WHITE_BOX, AttackOutcome, CheckResult
from art_disc.core.records.registry import RECORDS, load_record, record_class, register

__all__ = [
    "KNOWLEDGE",
    "RECORDS",
    "SCHEMA_VERSION",
    "VERDICTS",
    "WHITE_BOX",
    "AttackOutcome",
    "CertificateRecord",
    "CheckResult",
    "DivergenceRecord",
    "Environment",
    "EvaluationRecord",
    "Record",
    "Setting",
    "Share",
    "load_record",
    "record_class",
    "register",
]
