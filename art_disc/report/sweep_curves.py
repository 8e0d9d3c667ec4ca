"""Accuracy over eps for each defence of a sweep, one plot a data set and training."""

from functools import partial
from itertools import cycle
from typing import Any

from art_disc.core.records import Share
from art_disc.core.records.sweep import SweepRecord
from art_disc.report.drawing import COLOURS, MARKERS, Drawing, error_bars
from art_disc.report.reading import line_words, points

Line = dict[float, Share]

LINES_SHOWN = 12


def sweep_curves(record: SweepRecord) -> tuple[Drawing, ...]:
    """Draw a plot for each (data set, training) that has a number.

    Raises:
        FileFormatError: Cells of one classifier are about different examples.
    """
    plots: dict[str, dict[str, Line]] = {}
    for (dataset, training, defence), one in record.merged().items():
        line = points(one)
        if any(eps > 0 for eps in line):
            plots.setdefault(f"{dataset} / {training}", {})[defence] = line
    return tuple(_drawing(title, lines) for title, lines in plots.items())


def _drawing(title: str, lines: dict[str, Line]) -> Drawing:
    shown = dict(list(lines.items())[:LINES_SHOWN])
    numbers = "; ".join(f"{name}: {line_words(line)}" for name, line in shown.items())
    caption = (
        f"{title}: share of examples that no cell's attack broke, against eps in the classifier's "
        "input range; eps 0 is the clean accuracy. Bars: 95% Wilson intervals, set apart a little."
    )
    if len(lines) > LINES_SHOWN:
        caption += f" The first {LINES_SHOWN} of {len(lines)} defences."
    alt = f"Line plot of accuracy over eps for each defence. {numbers}."
    return Drawing(partial(_paint, lines=shown), alt, caption, height=4.0 + 0.16 * len(shown))


def _paint(figure: Any, *, lines: dict[str, Line]) -> None:
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
