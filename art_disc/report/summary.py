"""`summary.json`: a run in a few fields that other tools can read.

Where RobustBench's model-info files have a field, its name and its form are used: percentages and
eps are strings (`"95.19"`, `"8/255"`), eps is for inputs in [0, 1]. `reported` is absent (it is a
paper's own number) and `autoattack_acc` is null: the attacks of a record are not AutoAttack.
"""

from collections import Counter
from typing import Any

from art_disc.core.records import KNOWLEDGE, EvaluationRecord, Share
from art_disc.report.reading import clean_share, dataset_name, network_name, white_box
from art_disc.report.verdict import verdict_title
from art_disc.report.views import summarise


def evaluation_summary(record: EvaluationRecord) -> dict[str, Any]:
    """Return the summary of an evaluation, in plain JSON types."""
    name = " + ".join((network_name(record), *record.defences))
    defended, base = clean_share(record), clean_share(record, "base")
    return {
        "name": name,
        "dataset": dataset_name(record),
        "architecture": network_name(record),
        "eps": _bench_eps(record),
        "clean_acc": _bench_percent(defended),
        "autoattack_acc": None,
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
            "base": share_facts(base),
            "defended": share_facts(defended),
            "reference": share_facts(clean_share(record, "reference")),
        },
        "robust_acc": [_at(record, eps) for eps in record.eps],
        "certificates": [summarise(row) for row in record.certificates],
        "contradictions": len(record.contradictions()),
        "outcomes": dict(sorted(Counter(o.status for o in record.outcomes).items())),
    }


def _at(record: EvaluationRecord, eps: float) -> dict[str, Any]:
    return {
        "eps": eps,
        **share_facts(record.worst(eps)),
        "white_box": record.worst(eps, knowledge=white_box(record)) is not None,
        "grid": share_facts(record.worst(eps, grid=True)),
        "base": share_facts(record.worst(eps, model="base")),
        "reference": share_facts(record.worst(eps, model="reference")),
        "knowledge": {
            known: share_facts(record.worst(eps, knowledge=(known,))) for known in KNOWLEDGE
        },
    }


def share_facts(share: Share | None) -> dict[str, Any]:
    """Return a share as its parts; None for what was not measured."""
    names = ("count", "total", "value", "interval")
    return {name: None if share is None else getattr(share, name) for name in names}


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
