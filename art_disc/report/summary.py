"""`summary.json`: a run in a few fields that other tools can read.

Where RobustBench's model-info files have a field, its name and its form are used: percentages and
eps are strings (`"95.19"`, `"8/255"`), eps is for inputs in [0, 1]. `reported` is absent (it is a
paper's own number) and `autoattack_acc` is null: the attacks of a record are not AutoAttack.
"""

from collections import Counter
from typing import Any

from art_disc.core.records import (
    KNOWLEDGE,
    SCHEMA_VERSION,
    VERDICTS,
    CertificateRecord,
    CertifiedCurve,
    DivergenceRecord,
    EvaluationRecord,
    Share,
)
from art_disc.core.records.outcomes import RUN_STATUSES
from art_disc.core.records.sweep import SweepRecord
from art_disc.report.reading import (
    clean_share,
    dataset_name,
    network_name,
    white_box,
)
from art_disc.report.verdict import verdict_title


def summarise(
    record: EvaluationRecord | CertificateRecord | DivergenceRecord | CertifiedCurve | SweepRecord,
) -> dict[str, Any]:
    """Return the summary of a record of any kind, in plain JSON types."""
    if isinstance(record, EvaluationRecord):
        return _evaluation(record)
    if isinstance(record, SweepRecord):
        return _sweep(record)
    if isinstance(record, CertifiedCurve):
        return _curve(record)
    return _certificate(record)


def _evaluation(record: EvaluationRecord) -> dict[str, Any]:
    name = " + ".join((network_name(record), *record.defences))
    defended, base = clean_share(record), clean_share(record, "base")
    return {
        "name": name,
        "dataset": dataset_name(record),
        "architecture": network_name(record),
        "eps": _bench_eps(record),
        "clean_acc": _bench_percent(defended),
        "autoattack_acc": None,
        "kind": record.kind,
        "schema_version": SCHEMA_VERSION,
        "complete": record.complete,
        "verdict": record.verdict,
        "verdict_words": verdict_title(record),
        "checks_tier": record.checks_tier,
        "checks": {check.id: check.status for check in record.checks},
        "seed": record.seed,
        "norm": record.norm,
        "clip_values": list(record.clip_values),
        "base_clean_acc": _bench_percent(base),
        "clean_counts": {
            "base": _share(base),
            "defended": _share(defended),
            "reference": _share(clean_share(record, "reference")),
        },
        "robust_acc": [_at(record, eps) for eps in record.eps],
        "certificates": [_certificate(row) for row in record.certificates],
        "contradictions": len(record.contradictions()),
        "outcomes": dict(sorted(Counter(o.status for o in record.outcomes).items())),
    }


def _at(record: EvaluationRecord, eps: float) -> dict[str, Any]:
    return {
        "eps": eps,
        **_share(record.worst(eps)),
        "white_box": record.worst(eps, knowledge=white_box(record)) is not None,
        "grid": _share(record.worst(eps, grid=True)),
        "base": _share(record.worst(eps, model="base")),
        "reference": _share(record.worst(eps, model="reference")),
        "knowledge": {known: _share(record.worst(eps, knowledge=(known,))) for known in KNOWLEDGE},
    }


def _share(share: Share | None) -> dict[str, Any]:
    if share is None:
        return {"count": None, "total": None, "value": None, "interval": None}
    return {
        "count": share.count,
        "total": share.total,
        "value": share.value,
        "interval": list(share.interval),
    }


def _bench_percent(share: Share | None) -> str | None:
    return None if share is None else f"{100 * share.value:.2f}"


def _bench_eps(record: EvaluationRecord) -> str | None:
    """The largest budget, for inputs in [0, 1]: a model-info file has room for one."""
    if not record.eps:
        return None
    eps = max(record.eps) / max(record.clip_values)
    grey = round(eps * 255)
    if record.norm == "inf" and grey and abs(eps * 255 - grey) < 1e-4:
        return f"{grey}/255"
    return f"{eps:.6g}"


def _sweep(record: SweepRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "kind": record.kind,
        "schema_version": SCHEMA_VERSION,
        "complete": record.complete,
        "planned": record.planned,
        "cells": {status: record.count(status) for status in RUN_STATUSES},
        "gradients": sum(cell.gradients for cell in record.cells),
        "queries": sum(cell.queries for cell in record.cells),
        "seconds": round(sum(cell.seconds for cell in record.cells), 3),
        "results": [
            {
                "dataset": dataset,
                "training": training,
                "defence": defence,
                "clean": _share(clean_share(one)),
                "robust_acc": [{"eps": eps, **_share(one.worst(eps))} for eps in one.eps],
            }
            for (dataset, training, defence), one in record.merged().items()
        ],
    }


def _curve(record: CertifiedCurve) -> dict[str, Any]:
    fields = ("eps", "bound", "certified", "limit")
    return {
        "kind": record.kind,
        "schema_version": SCHEMA_VERSION,
        "assumes": record.assumes,
        "total": record.total,
        "clean": record.clean,
        "confidence": record.confidence,
        "certified": [{f: getattr(p, f) for f in fields} for p in record.points],
        "attacked": [{"eps": p.eps, "right": p.right} for p in record.attacked],
        "contradictions": sum(p.contradicted for p in record.attacked),
        "vacuous": list(record.vacuous),
        "seconds": record.seconds,
    }


def _certificate(record: CertificateRecord | DivergenceRecord) -> dict[str, Any]:
    total = len(record.verdicts)
    return {
        "kind": record.kind,
        "schema_version": SCHEMA_VERSION,
        "method": record.method,
        "eps": record.eps,
        "assumes": record.assumes,
        "total": total,
        **{verdict: record.count(verdict) for verdict in VERDICTS},
        "certified_acc": record.certified_accuracy if total else None,
        "lower_limit_99": record.lower_limit(0.99) if total else None,
        "reasons": dict(Counter(filter(None, record.reasons)).most_common()),
        "seconds": record.seconds,
    }
