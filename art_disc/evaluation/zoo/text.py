"""The matrix of the zoo, and the table of attacks, as text."""

from collections.abc import Sequence

from art_disc.attacks import ATTACKS, TIERS, AttackSpec
from art_disc.attacks.zoo.discovery import LEFT_OUT
from art_disc.core.records.zoo import ZooCell, ZooRecord

LEGEND = (
    "7>1: of the images that were right, 7, the attack left 1 right by a fresh prediction; * it "
    "lowered the accuracy. 0: share of zero gradients among those at the raw input, where there "
    "are any. Letters: see below the table. Few images and steps: what runs, not what is robust."
)


def matrix(record: ZooRecord, *, markdown: bool = False) -> str:
    """Return the matrix, attack by attack, and why cells did not run.

    Args:
        record: From `zoo_matrix`.
        markdown: As a table of Markdown; else in columns.
    """
    reasons: dict[str, str] = {}
    head = ["attack", *_short(record.defences)]
    rows = [
        [name, *(_cell_text(record.cell(name, d), reasons) for d in record.defences)]
        for name in record.attacks
    ]
    table = _markdown(head, rows) if markdown else _columns(head, rows)
    legend = [f"{letter}: {reason}" for reason, letter in reasons.items()]
    item = "- " if markdown else ""
    summary = [
        f"{name}: " + ", ".join(f"{n} {word}" for word, n in record.counts(name).items() if n)
        for name in record.defences
    ]
    return "\n".join([table, "", *(item + line for line in (*legend, *summary))])


def _short(names: dict[str, tuple[str, ...]]) -> list[str]:
    """Return names without their parameters where that leaves them different."""
    short = [name.partition(":")[0] for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _cell_text(cell: ZooCell, reasons: dict[str, str]) -> str:
    if not cell.finished:
        told = f"{cell.status}, {cell.reason}"
        return f"{cell.status} {reasons.setdefault(told, _letter(len(reasons)))}"
    mark = "*" if cell.status == "lowered" else ""
    zero = f" {cell.zero_share:.0%} 0" if cell.zero_gradients else ""
    passed = f" {cell.bypassed} bypassed" if cell.bypassed else ""
    return f"{cell.clean}>{cell.attacked}{mark} {cell.seconds:.1f}s{zero}{passed}"


def _letter(i: int) -> str:
    return chr(ord("A") + i) if i < 26 else f"A{i}"


def attack_list(*, markdown: bool = False) -> str:
    """Return the table of attacks: name, ART's class, norms, needs, cost, and notes."""
    head = ["name", "attack", "ART's class", "norm", "needs", "passes an image", "note"]
    rows = [_attack_row(spec) for spec in ATTACKS.values()]
    return _markdown(head, rows) if markdown else _columns(head, rows)


def _attack_row(spec: AttackSpec) -> list[str]:
    needs = "gradients" if spec.gradients else "predictions"
    norms = ", ".join(f"l_{n}" if n == "inf" else f"l{n}" for n in spec.norms) or "none"
    return [
        spec.name,
        spec.label,
        spec.art or "none",
        norms if spec.bounded or not spec.norms else f"{norms} (smallest)",
        ", ".join((needs, *spec.packages)),
        " / ".join(f"{_passes(spec, tier)}" for tier in TIERS),
        "; ".join(filter(None, (spec.note, "not repeatable" * (not spec.repeatable)))),
    ]


def _passes(spec: AttackSpec, tier: str) -> str:
    gradients, queries = spec.cost(spec.tiers[tier])
    return f"{gradients:.0f}+{queries:.0f}"


def left_out_list(*, markdown: bool = False) -> str:
    """Return ART's classes that are not in the table, and why."""
    rows = [[name, reason] for name, reason in LEFT_OUT.items()]
    head = ["ART's class", "why it is left out"]
    return _markdown(head, rows) if markdown else _columns(head, rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(len(row[j]) for row in lines) for j in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in lines
    )
