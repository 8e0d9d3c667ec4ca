"""The page and the files of a comparison."""

from functools import partial
from pathlib import Path
from typing import Any

from art_disc.core.files import replace_file, write_json
from art_disc.report.comparison import METHOD, Comparison, Pairs
from art_disc.report.drawing import BLUE, INK, Drawing, draw
from art_disc.report.notices import Notice
from art_disc.report.page import fill
from art_disc.report.table import Body, Cell, Row, Table, columns, number_cell, share_cell

TEMPLATE = "compare.html.j2"
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
    return replace_file(folder / PAGE, comparison_page(comparison).encode())


def comparison_page(comparison: Comparison) -> str:
    """Return the page of a comparison as HTML, complete in itself.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    a, b = comparison.a, comparison.b
    return fill(
        TEMPLATE,
        title=f"{a.name} against {b.name}",
        made_by=f"Made from the records of {a.name} ({a.environment}) and {b.name} "
        f"({b.environment}).",
        sub=f"Defended models on {comparison.rows[0].total} examples of {comparison.dataset}",
        notices=tuple(Notice("warning", "Caution", line) for line in comparison.cautions),
        rows=_rows(comparison),
        method=METHOD,
        left_out=", ".join(f"{eps:g}" for eps in comparison.left_out),
        plot=_plot(comparison),
        facts=tuple(
            (
                f"{letter}: {side.name}",
                (
                    ("Verdict", side.verdict),
                    ("Network", side.network),
                    ("Defence", "; then ".join(side.defences) or "none"),
                    ("Attacks", ", ".join(side.attacks) or "none"),
                ),
            )
            for letter, side in (("a", a), ("b", b))
        ),
    )


def _rows(comparison: Comparison) -> Table:
    return Table(
        label="Comparison",
        caption="Examples still correct under every attack of each run, and the same examples "
        "pair by pair. Differences in percentage points.",
        columns=columns(
            *("eps", f"a: {comparison.a.name}", f"b: {comparison.b.name}", "#a minus b"),
            *("95% interval", "#Only a", "#Only b", "#McNemar p"),
        ),
        bodies=(Body(tuple(_row(row) for row in comparison.rows)),),
    )


def _row(row: Pairs) -> Row:
    low, high = row.interval
    return Row(
        (
            Cell(f"{row.eps:.4g}" if row.eps else "clean", sort=row.eps),
            share_cell(row.a),
            share_cell(row.b),
            number_cell(round(row.difference, 9), f"{100 * row.difference:+.1f}"),
            Cell(f"[{100 * low:+.1f}, {100 * high:+.1f}]", sort=round(low, 9)),
            number_cell(row.only_a),
            number_cell(row.only_b),
            number_cell(row.p_value, f"{row.p_value:.3g}"),
        )
    )


def _plot(comparison: Comparison) -> Drawing:
    told = "; ".join(
        f"{100 * row.difference:+.1f} points [{100 * row.interval[0]:+.1f}, "
        f"{100 * row.interval[1]:+.1f}] at eps {row.eps:.4g}"
        for row in comparison.rows
    )
    caption = (
        "Accuracy of a minus that of b over eps, with paired 95% intervals; eps 0 is the clean "
        "accuracy. An interval that holds 0 leaves open which one is better."
    )
    uri = draw(partial(_paint, rows=comparison.rows), height=3.4)
    return Drawing(uri, f"Plot of the paired difference over eps. {told}.", caption)


def _paint(figure: Any, *, rows: tuple[Pairs, ...]) -> None:
    axes = figure.add_subplot()
    values = [100 * row.difference for row in rows]
    limits = [row.interval for row in rows]
    down = [max(v - 100 * low, 0) for v, (low, _) in zip(values, limits, strict=True)]
    up = [max(100 * high - v, 0) for v, (_, high) in zip(values, limits, strict=True)]
    axes.axhline(0, color=INK, linewidth=1)
    axes.errorbar(
        [row.eps for row in rows], values, yerr=(down, up), color=BLUE, marker="o", capsize=4
    )
    axes.set(xlabel="eps (classifier's input range)", ylabel="a minus b (points)")
