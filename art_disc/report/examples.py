"""What became of each example: `examples.csv`, and which attack broke what."""

import csv
import io
from dataclasses import dataclass

import numpy as np

from art_disc.core.records import EvaluationRecord
from art_disc.report.reading import in_unit_range, show_eps
from art_disc.report.table import Body, Cell, Table, body, number_cell

EXAMPLES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _At:
    """One budget: for each example whether it is broken, after rounding too, and by what."""

    eps: float
    broken: tuple[bool, ...] | None
    grid: tuple[bool, ...] | None
    names: tuple[tuple[str, ...], ...]


def _budgets(record: EvaluationRecord) -> list[_At]:
    found = []
    for eps in record.eps:
        plain, grid = (
            tuple(not ok for ok in record.survives(eps, grid=on))
            if record.worst(eps, grid=on) is not None
            else None
            for on in (False, True)
        )
        found.append(_At(eps, plain, grid, record.broken_by(eps)))
    return found


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
    budgets = _budgets(record)
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    names = ("broken", "broken_by", "grid_broken")
    write(
        (
            *("example_id", "label", "base_correct", "defended_correct", "smallest_change"),
            *(f"{name}@{at.eps:.6g}" for at in budgets for name in names),
        )
    )
    for i, change in enumerate(smallest_changes(record)):
        known = (
            record.example_ids[i],
            record.labels[i],
            int(record.base_correct[i]) if record.base_correct else "",
            int(record.defended_correct[i]),
            "" if change is None else f"{change:.9g}",
        )
        write((*known, *(cell for at in budgets for cell in _cells(at, i))))
    return text.getvalue()


def _cells(at: _At, i: int) -> tuple[int | str, ...]:
    return (
        "" if at.broken is None else int(at.broken[i]),
        ";".join(at.names[i]),
        "" if at.grid is None else int(at.grid[i]),
    )


def breaker_table(record: EvaluationRecord) -> Table | None:
    """For each attack and budget, the examples that it broke and those that it alone broke."""
    bodies = tuple(body for eps in record.eps if (body := _breakers(record, eps)).rows)
    if not bodies:
        return None
    return Table.of(
        "Which attack broke what",
        "Examples that the defended model had right and that the attack broke within eps, "
        "over all its surrogates, also where it was run at a smaller budget.",
        ("Attack", "#Broke", "#Broke alone"),
        bodies,
        look="attacks",
    )


def _breakers(record: EvaluationRecord, eps: float) -> Body:
    hits = record.broken_by(eps)
    alone = record.breakers(eps)
    ran = {row.attack for row in record.select(scored_on="defended") if row.eps <= eps}
    counts = {name: sum(name in names for names in hits) for name in ran.union(*hits)}
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    broken = sum(bool(names) for names in hits)
    wrong = len(hits) - sum(record.defended_correct)
    at = show_eps(eps, grey_levels=in_unit_range(record))
    return body(
        ((name, number_cell(counts[name]), number_cell(alone.get(name, 0))) for name in ordered),
        f"eps {at}: {broken} of {len(hits)} broken, {wrong} wrong without any change",
    )


def example_table(record: EvaluationRecord) -> Table | None:
    """The examples one by one at the largest budget, at most `EXAMPLES_SHOWN` of them."""
    if not record.eps or not record.select(scored_on="defended"):
        return None
    hits, changes = record.broken_by(max(record.eps)), smallest_changes(record)
    n = len(record.labels)
    more = f" The first {EXAMPLES_SHOWN} of {n}; all are in examples.csv." * (n > EXAMPLES_SHOWN)
    at = show_eps(max(record.eps), grey_levels=in_unit_range(record))
    return Table.of(
        "Examples one by one",
        "Clean predictions, the smallest change found that broke the defended model at any budget, "
        f"and what broke it within eps {at}.{more}",
        ("Example", "#Label", "Undefended", "Defended", "#Smallest change", "Broken by"),
        (
            (
                Cell(f"#{record.example_ids[i]}", sort=record.example_ids[i]),
                number_cell(record.labels[i]),
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
