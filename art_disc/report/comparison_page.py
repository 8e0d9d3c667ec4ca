"""The page and the files of a comparison."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from art_disc.core.files import replace_file, write_json
from art_disc.report.comparison import METHOD, ComparedPairs, Comparison, Side
from art_disc.report.document import Document, Facts, Notice, Pairs, Paragraph, Section
from art_disc.report.drawing import BLUE, INK, Drawing
from art_disc.report.page import render
from art_disc.report.table import Cell, Row, Table, number_cell, row

JSON, PAGE = "compare.json", "compare.html"


def write_comparison(comparison: Comparison, out: str | Path) -> Path:
    """Write `compare.json` and `compare.html` into a folder.

    Returns:
        Path of `compare.html`.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    folder = Path(out)
    write_json(folder / JSON, comparison.to_dict())
    a, b = comparison.a, comparison.b
    made_by = f"Made from the records of {a.name} ({a.environment}) and {b.name} ({b.environment})."
    page = render(comparison_document(comparison), made_by)
    return replace_file(folder / PAGE, page.encode())


def comparison_document(comparison: Comparison) -> Document:
    """Return what a comparison is shown as."""
    a, b = comparison.a, comparison.b
    left_out = ", ".join(f"{eps:g}" for eps in comparison.left_out)
    return Document.of(
        f"{a.name} against {b.name}",
        f"Defended models on {comparison.rows[0].total} examples of {comparison.dataset}",
        Section.of(
            "Difference",
            *(Notice("warning", "Caution", line) for line in comparison.cautions),
            _table(comparison),
            Paragraph(METHOD),
            Paragraph(f"Attacked in one run alone, so not compared: eps {left_out}.")
            if left_out
            else None,
            _plot(comparison.rows),
        ),
        Section.of(
            "The two runs", Facts(((f"a: {a.name}", _facts(a)), (f"b: {b.name}", _facts(b))))
        ),
    )


def _facts(side: Side) -> Pairs:
    return (
        ("Verdict", side.verdict),
        ("Network", side.network),
        ("Defence", "; then ".join(side.defences) or "none"),
        ("Attacks", ", ".join(side.attacks) or "none"),
    )


def _table(comparison: Comparison) -> Table:
    return Table.of(
        "Comparison",
        "Examples still correct under every attack of each run, and the same examples pair by "
        "pair. Differences in percentage points.",
        (
            *("eps", f"a: {comparison.a.name}", f"b: {comparison.b.name}", "#a minus b"),
            *("95% interval", "#Only a", "#Only b", "#McNemar p"),
        ),
        map(_row, comparison.rows),
    )


def _row(pair: ComparedPairs) -> Row:
    low, high = pair.interval
    return row(
        Cell(f"{pair.eps:.4g}" if pair.eps else "clean", sort=pair.eps),
        pair.a,
        pair.b,
        number_cell(round(pair.difference, 9), f"{100 * pair.difference:+.1f}"),
        Cell(f"[{100 * low:+.1f}, {100 * high:+.1f}]", sort=round(low, 9)),
        pair.only_a,
        pair.only_b,
        number_cell(pair.p_value, f"{pair.p_value:.3g}"),
    )


def _plot(rows: tuple[ComparedPairs, ...]) -> Drawing:
    numbers = "; ".join(
        f"{100 * row.difference:+.1f} points [{100 * row.interval[0]:+.1f}, "
        f"{100 * row.interval[1]:+.1f}] at eps {row.eps:.4g}"
        for row in rows
    )
    return Drawing(
        partial(_paint, rows=rows),
        f"Plot of the paired difference over eps. {numbers}.",
        "Accuracy of a minus that of b over eps, with paired 95% intervals; eps 0 is the clean "
        "accuracy. An interval that holds 0 leaves open which one is better.",
        height=3.4,
    )


def _paint(figure: Any, *, rows: tuple[ComparedPairs, ...]) -> None:
    axes = figure.add_subplot()
    values = [100 * row.difference for row in rows]
    low, high = 100 * np.array([row.interval for row in rows]).T
    bars = np.maximum([values - low, high - values], 0)
    axes.axhline(0, color=INK, linewidth=1)
    axes.errorbar([row.eps for row in rows], values, yerr=bars, color=BLUE, marker="o", capsize=4)
    axes.set(xlabel="eps (classifier's input range)", ylabel="a minus b (points)")
