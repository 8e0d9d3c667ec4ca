"""What became of each example: `examples.csv`, and which attack broke what."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from art_disc.core.records import EvaluationRecord
from art_disc.report.reading import budget
from art_disc.report.table import Body, Cell, Table, body, number_cell

EXAMPLES_SHOWN = 200


def smallest_changes(record: EvaluationRecord) -> tuple[float | None, ...]:
    """For each example the smallest change found that broke the defended model.

    Attacks in the record's norm alone are compared; 0 for what is wrong without any change, None
    where no attack broke it. An upper bound of the distance to the nearest error, no more.
    """
    best = np.full(len(record.labels), np.inf)
    for row in record.select(scored_on="defended", norm=record.norm):
        # a change within the float tolerance of the budget counts everywhere else too
        hits = ~np.asarray(row.correct, dtype=bool)
        at = np.asarray(row.positions or range(len(best)), dtype=np.int64)[hits]
        np.minimum.at(best, at, np.asarray(row.perturbation)[hits])
    best[~np.asarray(record.defended_correct, dtype=bool)] = 0
    return tuple(float(v) if np.isfinite(v) else None for v in best)


def examples_csv(record: EvaluationRecord) -> str:
    """Return one line for each example, with a heading.

    Columns: example_id, label, base_correct, defended_correct, smallest_change, and for each
    budget E `broken@E` (0 or 1), `broken_by@E` (attacks joined by a semicolon) and
    `grid_broken@E` (after rounding to the 8-bit grid). What was not measured is empty.
    """
    n = len(record.labels)
    changes = ("" if v is None else f"{v:.9g}" for v in smallest_changes(record))
    columns: list[tuple[str, Iterable[Any]]] = [
        ("example_id", record.example_ids),
        ("label", record.labels),
        ("base_correct", map(int, record.base_correct) if record.base_correct else [""] * n),
        ("defended_correct", map(int, record.defended_correct)),
        ("smallest_change", changes),
    ]
    for eps in record.eps:
        columns += [
            (f"broken@{eps:.6g}", _broken(record, eps, grid=False)),
            (f"broken_by@{eps:.6g}", map(";".join, record.broken_by(eps))),
            (f"grid_broken@{eps:.6g}", _broken(record, eps, grid=True)),
        ]
    names, values = zip(*columns, strict=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *zip(*values, strict=True)])
    return text.getvalue()


def _broken(record: EvaluationRecord, eps: float, *, grid: bool) -> list[int] | list[str]:
    if record.worst(eps, grid=grid) is None:
        return [""] * len(record.labels)
    return [int(not ok) for ok in record.survives(eps, grid=grid)]


def breaker_table(record: EvaluationRecord) -> Table:
    """For each attack and budget, the examples that it broke and those that it alone broke."""
    return Table.of(
        "Which attack broke what",
        "Examples that the defended model had right and that the attack broke within eps, "
        "over all its surrogates, also where it was run at a smaller budget."
        + " Sequential: later attacks had only what stood before them."
        * record.sequential,
        ("Attack", "#Broke", "#Broke alone"),
        (_breakers(record, eps) for eps in record.eps),
        look="attacks",
    )


def _breakers(record: EvaluationRecord, eps: float) -> Body:
    hits = record.broken_by(eps)
    alone = record.breakers(eps)
    ran = {row.attack for row in record.select(scored_on="defended") if row.eps <= eps}
    counts = {name: sum(name in names for names in hits) for name in ran.union(*hits)}
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    broken = sum(bool(names) for names in hits)
    wrong = f"{len(hits) - sum(record.defended_correct)} wrong without any change"
    return body(
        # what a later attack would have broken too is not known of a sequential evaluation
        (
            (name, counts[name], Cell() if record.sequential else alone.get(name, 0))
            for name in ordered
        ),
        f"eps {budget(record, eps)}: {broken} of {len(hits)} broken, {wrong}",
    )


def example_table(record: EvaluationRecord) -> Table | None:
    """The examples one by one at the largest budget, at most `EXAMPLES_SHOWN` of them."""
    if not record.eps or not record.select(scored_on="defended"):
        return None
    hits, changes = record.broken_by(max(record.eps)), smallest_changes(record)
    n = len(record.labels)
    more = f" The first {EXAMPLES_SHOWN} of {n}; all are in examples.csv." * (n > EXAMPLES_SHOWN)
    at = budget(record, max(record.eps))
    return Table.of(
        "Examples one by one",
        "Clean predictions, the smallest change found that broke the defended model at any budget, "
        f"and what broke it within eps {at}.{more}",
        ("Example", "#Label", "Undefended", "Defended", "#Smallest change", "Broken by"),
        (
            (
                Cell(f"#{record.example_ids[i]}", sort=record.example_ids[i]),
                record.labels[i],
                _right(record.base_correct[i]) if record.base_correct else "there is none",
                _right(record.defended_correct[i]),
                number_cell(changes[i], None if changes[i] is None else f"{changes[i]:.4g}"),
                ", ".join(hits[i]) or "nothing",
            )
            for i in range(min(n, EXAMPLES_SHOWN))
        ),
    )


def _right(correct: bool) -> str:
    return "right" if correct else "wrong"
