"""Sweeps: plan and progress, results side by side, every cell and its cost."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

from art_disc.core.records import Share
from art_disc.core.records.outcomes import RUN_STATUSES
from art_disc.core.records.sweep import SweepCell, SweepRecord
from art_disc.report import sweep_tables as tables
from art_disc.report.document import Banner, Document, Notice, Paragraph, Section
from art_disc.report.drawing import COLOURS, MARKERS, Drawing, error_bars
from art_disc.report.heat import Grid, heat_plot
from art_disc.report.reading import (
    clean_share,
    first,
    in_unit_range,
    ledger,
    line_words,
    points,
    show_eps,
)
from art_disc.report.summary import share_facts
from art_disc.report.table import Table, body, heat_cell
from art_disc.report.verdict import SYMBOLS
from art_disc.report.views import View, settings_section

LINES_SHOWN = 12
FAILED_SHOWN = 5
Line = dict[float, Share]

UNCHECKED = Banner(
    "unchecked",
    SYMBOLS["unchecked"],
    "Not checked",
    "A sweep runs attacks, not the checks of an evaluation: evaluate the defence that looks best "
    "with checks before you believe its numbers.",
)


def _document(record: SweepRecord) -> Document:
    maps = heat_maps(record)
    return Document.of(
        f"Sweep {record.name}",
        f"{len(record.cells):,} of {record.planned:,} cells",
        Section.of("Verdict", UNCHECKED, *_notices(record)),
        Section.of(
            "Result",
            tables.merged_table(record) or Paragraph("No cell finished, so there is no number."),
            tables.progress_table(record),
        ),
        Section.of("Accuracy over eps", *_curves(record)),
        Section.of(
            "Defence by attack",
            *(
                part
                for title, grids in maps.items()
                for part in (heat_plot(title, grids), heat_table(title, grids))
            ),
        ),
        Section.of("Failures and skips", tables.unfinished_table(record)),
        Section.of("Cost", *tables.cost_tables(record)),
        Section.of("All cells", tables.cell_table(record) or Paragraph("No cell was run.")),
        settings_section(record, {"Plan": record.plan}),
    )


def _text(record: SweepRecord) -> str:
    lines = []
    for (dataset, training, defence), merged in record.merged().items():
        lines += [f"{dataset}, {training}, {defence}", f"  clean {merged.clean()}"]
        lines += [
            f"  eps {eps:.4g}   worst of all attacks {merged.worst(eps) or 'not attacked'}"
            for eps in merged.eps
        ]
    counts = ", ".join(f"{record.count(s)} {s}" for s in RUN_STATUSES)
    spent = ledger(record.cells)
    lines.append(
        f"{len(record.cells)} of {record.planned} cells: {counts}; {spent['gradients']} gradients, "
        f"{spent['queries']} queries, {spent['seconds']:.0f} s of cells"
    )
    lost = [_cell_words(cell) for cell in record.cells if cell.status == "failed"]
    lines += [f"failed: {first(lost, FAILED_SHOWN, '; ')}"] if lost else []
    return "\n".join(lines)


def _cell_words(cell: SweepCell) -> str:
    return f"{cell.attack} at eps {cell.eps:.4g} on {', '.join(cell.group)} ({cell.reason})"


def _summary(record: SweepRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "complete": record.complete,
        "planned": record.planned,
        "cells": {status: record.count(status) for status in RUN_STATUSES},
        **ledger(record.cells),
        "results": [
            {
                "dataset": dataset,
                "training": training,
                "defence": defence,
                "clean": share_facts(clean_share(one)),
                "robust_acc": [{"eps": eps, **share_facts(one.worst(eps))} for eps in one.eps],
            }
            for (dataset, training, defence), one in record.merged().items()
        ],
    }


def _notices(record: SweepRecord) -> Iterator[Notice]:
    left = record.planned - len(record.cells)
    if not record.complete:
        title = f"Interrupted: {left:,} of {record.planned:,} cells were not run."
        yield Notice("alert", title, "Later cells can only lower the numbers on this page.")
    for status, level in (("failed", "warning"), ("skipped", "remark")):
        if count := record.count(status):
            title = f"{count:,} of {len(record.cells):,} cells {status}."
            yield Notice(level, title, "They broke nothing and prove nothing; reasons are below.")


def _curves(record: SweepRecord) -> tuple[Drawing, ...]:
    """Draw a plot over eps for each (data set, training) that has a number, a line a defence."""
    plots: dict[str, dict[str, Line]] = {}
    for (dataset, training, defence), one in record.merged().items():
        line = points(one)
        if any(eps > 0 for eps in line):
            plots.setdefault(f"{dataset} / {training}", {})[defence] = line
    return tuple(_curve_plot(title, lines) for title, lines in plots.items())


def _curve_plot(title: str, lines: dict[str, Line]) -> Drawing:
    shown = dict(list(lines.items())[:LINES_SHOWN])
    numbers = "; ".join(f"{name}: {line_words(line)}" for name, line in shown.items())
    caption = (
        f"{title}: share of examples that no cell's attack broke, against eps in the classifier's "
        "input range; eps 0 is the clean accuracy. Bars: 95% Wilson intervals, set apart a little."
    )
    if len(lines) > LINES_SHOWN:
        caption += f" The first {LINES_SHOWN} of {len(lines)} defences."
    alt = f"Line plot of accuracy over eps for each defence. {numbers}."
    return Drawing(
        partial(_paint_curves, lines=shown), alt, caption, height=4.0 + 0.16 * len(shown)
    )


def _paint_curves(figure: Any, *, lines: dict[str, Line]) -> None:
    axes = figure.add_subplot()
    widest = max(max(line) for line in lines.values())
    looks = zip(lines.items(), cycle(COLOURS), cycle(MARKERS), strict=False)
    for i, ((name, line), colour, marker) in enumerate(looks):
        shift = 0.006 * widest * (i - (len(lines) - 1) / 2)
        error_bars(
            axes,
            [eps + shift for eps in line],
            list(line.values()),
            color=colour,
            marker=marker,
            markersize=5,
            linestyle="-" if i < len(COLOURS) else "--",
            linewidth=1.6,
            elinewidth=1,
            label=name,
        )
    axes.set(ylim=(-2, 102), ylabel="still correct (%)", xlabel="eps (classifier's input range)")
    figure.legend(loc="outside lower center", ncols=1 if len(lines) < 4 else 2, fontsize=9)


def heat_maps(record: SweepRecord) -> dict[str, dict[str, Grid]]:
    """For each (data set, training) and budget: the worst of each attack on each defence.

    An attack's worst is over its surrogates and seeds, example by example.
    """
    found = {
        attack: replace(
            record, cells=tuple(cell for cell in record.cells if cell.attack == attack)
        ).merged()
        for attack in dict.fromkeys(cell.attack for cell in record.cells)
    }
    ranges = [in_unit_range(cell.record) for cell in record.cells if cell.record is not None]
    grey = bool(ranges) and all(ranges)
    maps: dict[str, dict[str, Grid]] = {}
    for group in dict.fromkeys(cell.group for cell in record.cells):
        grids = maps.setdefault(" / ".join(group[:2]), {})
        for eps in sorted({cell.eps for cell in record.cells}):
            grid = grids.setdefault(f"eps {show_eps(eps, grey_levels=grey)}", {})
            for attack, merged in found.items():
                one = merged.get(group)
                grid[group[2], attack] = one.worst(eps) if one else None
    return maps


def heat_table(title: str, grids: dict[str, Grid]) -> Table:
    """The same as a table of coloured cells, one body a budget."""
    attacks = list(dict.fromkeys(a for grid in grids.values() for _, a in grid))
    defences = list(dict.fromkeys(d for grid in grids.values() for d, _ in grid))
    return Table.of(
        f"Defence by attack, {title}",
        f"{title}: share of examples that this attack did not break, over all its surrogates and "
        "seeds; clean mistakes count as broken.",
        ("Defence", *(f"#{attack}" for attack in attacks)),
        (
            body(((d, *(heat_cell(grid.get((d, a))) for a in attacks)) for d in defences), at)
            for at, grid in grids.items()
        ),
        look="wide attacks heatmap",
    )


VIEW = View(_document, _text, _summary)
