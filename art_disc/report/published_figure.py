"""A published figure over eps, run again: one plot a data set, one line a setting."""

from functools import partial
from itertools import cycle
from typing import Any

from art_disc.core.records.base import Share
from art_disc.core.records.table import TableRecord, TableRow
from art_disc.report.drawing import COLOURS, MARKERS, Drawing, error_bars


def eps_plots(record: TableRecord) -> dict[str, Drawing]:
    """Return a drawing for each data set whose rows are at several budgets."""
    plots: dict[str, dict[str, list[TableRow]]] = {}
    for row in record.rows:
        plots.setdefault(row.dataset, {}).setdefault(row.setting, []).append(row)
    return {
        name: Drawing(
            partial(_paint, title=name, lines=lines),
            f"Line plot of accuracy over eps on {name}; its numbers are in the table.",
            "Full lines are the per-example worst of all attacks with 95 % Wilson intervals, "
            "dashed ones the papers' attack alone; eps 0 is the clean accuracy of the attacked "
            "examples.",
        )
        for name, lines in plots.items()
        if len({row.eps for rows in lines.values() for row in rows}) > 1
    }


def eps_figures(record: TableRecord) -> dict[str, bytes]:
    """Return the drawings of `eps_plots` as SVG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return {name: plot.svg() for name, plot in eps_plots(record).items()}


def _paint(figure: Any, *, title: str, lines: dict[str, list[TableRow]]) -> None:
    axes = figure.add_subplot()
    width = max(row.eps for rows in lines.values() for row in rows)
    looks = zip(lines.items(), COLOURS, cycle(MARKERS), strict=False)
    for place, ((setting, unsorted), colour, marker) in enumerate(looks):
        rows = sorted(unsorted, key=lambda row: row.eps)
        clean = Share(rows[0].correct.count("1"), len(rows[0].correct))
        shares = [clean, *(row.worst for row in rows)]
        # bars that stand a little apart can be told from each other
        at = [eps + 0.006 * width * (place - 2.5) for eps in (0.0, *(row.eps for row in rows))]
        look = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2}
        error_bars(axes, at, shares, elinewidth=0.8, label=setting, **look)
        papers = [100 * share.value for share in (clean, *(row.papers_attack for row in rows))]
        axes.plot(at, papers, color=colour, linestyle="--", linewidth=0.9)
    axes.set(xlabel="eps in [0, 1]", ylabel="accuracy (%)", ylim=(-3, 103), title=title)
    axes.legend(fontsize=8, ncols=2)
