"""What a report asks of an evaluation record, and how it words the answers."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from art_disc.core.records import KNOWLEDGE, WHITE_BOX, EvaluationRecord, Share

# Strongest attacker first, as everywhere in the report.
KNOWLEDGE_WORDS = {
    "bpda+eot": "white box, gradients also averaged over the defence's draws",
    "bpda": "white box: gradients through the defence's surrogate",
    "base": "gradients of the undefended network: a transfer to the defended model",
    "none": "no gradients of this network: queries, or a transfer from another one",
}
KNOWLEDGE_SHORT = {
    "bpda+eot": "white box (bpda+eot)",
    "bpda": "white box (bpda)",
    "base": "transfer (base)",
    "none": "queries (none)",
}
MODEL_WORDS = {
    "defended": "defended model",
    "base": "undefended network",
    "reference": "adversarially trained reference",
    "frozen": "twin with frozen draws",
}
NORM_WORDS = {"inf": "l-inf", "2": "l2"}

# a defence's line: its class, the codebook's with its settings, k, fingerprint, perhaps a file
_CODEBOOK = re.compile(
    r"^(\w+\()(\w+)\(.*\), k=(\d+), codewords='([0-9a-f]{12})[0-9a-f]*'(?:, file=.*)?\)$"
)


def white_box(record: EvaluationRecord) -> tuple[str, ...]:
    """Knowledge that makes an attack on the defended model a white-box one."""
    return WHITE_BOX if record.defences else (*WHITE_BOX, "base")


def knowledge_there(record: EvaluationRecord) -> tuple[str, ...]:
    """The three kinds of attacker, and the fourth where the record has one of it."""
    used = {outcome.knowledge for outcome in record.outcomes}
    return tuple(known for known in KNOWLEDGE_SHORT if known != "bpda+eot" or known in used)


def models_there(record: EvaluationRecord) -> tuple[str, ...]:
    """The models of the tables, in their order: a network of encoded images has no undefended one.

    A record of before any prediction has none of either, and keeps the column.
    """
    there = {
        "base": bool(record.base_correct) or not record.defended_correct,
        "reference": bool(record.reference_correct),
        "defended": True,
    }
    return tuple(model for model, present in there.items() if present)


def clean_share(record: EvaluationRecord, model: str = "defended") -> Share | None:
    """Clean accuracy, or None before any prediction was made."""
    share = record.clean(model)
    return share if share.total else None


def points(
    record: EvaluationRecord,
    model: str = "defended",
    knowledge: tuple[str, ...] = KNOWLEDGE,
) -> dict[float, Share]:
    """Clean accuracy at 0 and the worst at each budget, where they were measured."""
    found = {0.0: clean_share(record, model)}
    found |= {eps: record.worst(eps, model=model, knowledge=knowledge) for eps in record.eps}
    return {eps: share for eps, share in found.items() if share is not None}


def line_words(line: Mapping[float, Share]) -> str:
    """Word the points of a line."""
    return ", ".join(f"{percent(s.value, s.total)} at {eps:.4g}" for eps, s in line.items())


def percent(value: float, total: int) -> str:
    """Percentage with as many decimals as `total` examples carry.

    >>> percent(0.5, 10), percent(0.12345, 10000)
    ('50.0%', '12.35%')
    """
    return f"{value:.{1 if total < 1000 else 2}%}"


def lower_percent(value: float) -> str:
    """Percentage of a lower limit, cut off rather than rounded: it must not come out higher.

    >>> lower_percent(0.959477)
    '95.94%'
    """
    return f"{math.floor(10_000 * value) / 100:.2f}%"


def in_unit_range(record: EvaluationRecord) -> bool:
    """Whether a budget can also be read in 8-bit grey levels."""
    return tuple(record.clip_values) == (0, 1) and record.norm == "inf"


def show_eps(eps: float, *, grey_levels: bool) -> str:
    """Word a budget, with its 8-bit reading where there is one.

    >>> show_eps(8 / 255, grey_levels=True), show_eps(1.5, grey_levels=False)
    ('0.03137 (8/255)', '1.5')
    """
    return f"{eps:.4g} ({eps * 255:.4g}/255)" if grey_levels else f"{eps:.4g}"


def budget(record: EvaluationRecord, eps: float) -> str:
    """Word a budget of an evaluation."""
    return show_eps(eps, grey_levels=in_unit_range(record))


def first(words: Sequence[str], most: int, between: str = ", ") -> str:
    """Join the first words, and say how many more there are.

    >>> first(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more


def short_defence(line: str) -> str:
    """Shorten a defence's line to its codebook's class, k and twelve digits of the fingerprint.

    Lines of defences without one stay as they are.

    >>> short_defence("Disc(Density(n_codes=2, radius=0.6), k=2, codewords='0123456789abcdef')")
    "Disc(Density, k=2, codewords='0123456789ab')"
    """
    return _CODEBOOK.sub(r"\1\2, k=\3, codewords='\4')", line)


def show_setting(value: Any) -> str:
    """Word one setting, or several.

    >>> [show_setting(v) for v in (None, True, 0.1 + 0.2, 1000000, "adam", [8, 0.5], {"k": 1})]
    ['none', 'yes', '0.3', '1,000,000', 'adam', '8, 0.5', '{"k": 1}']
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(show_setting, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


def ledger(runs: Sequence[Any]) -> dict[str, Any]:
    """Gradients, queries and seconds of runs together."""
    return {
        "gradients": sum(run.gradients for run in runs),
        "queries": sum(run.queries for run in runs),
        "seconds": round(sum(run.seconds for run in runs), 3),
    }


def dataset_name(record: EvaluationRecord) -> str:
    """Name of the data set, also where the record has none."""
    return str(record.dataset.get("name") or "unnamed data")


def network_name(record: EvaluationRecord) -> str:
    """Name of the network, also where the record has none."""
    return str(record.network.get("name") or "unnamed network")


def training_line(record: EvaluationRecord) -> str:
    """How the network was trained, as the run was told; "" where it was not."""
    return str(record.network.get("training") or "")
