"""Accuracy over the budget: undefended, defended, and defended by the attacker's knowledge."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from art_disc.core.records import KNOWLEDGE, WHITE_BOX, EvaluationRecord, Share
from art_disc.report.drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, Drawing
from art_disc.report.reading import (
    KNOWLEDGE_SHORT,
    clean_share,
    in_unit_range,
    line_words,
    points,
)


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of the plot; points only where an attack finished, and clean accuracy at 0."""

    label: str
    points: dict[float, Share]
    colour: str
    marker: str
    dashes: str

    @property
    def band(self) -> bool:
        """Whether the interval is drawn: on the headline's line only, or nothing is legible."""
        return self.marker == "o"


def curves(record: EvaluationRecord) -> tuple[Curve, ...]:
    """Return the lines that have at least one attacked point."""
    looks: tuple[tuple[str, str, tuple[str, ...], str, str, str], ...] = (
        ("undefended network, worst of all", "base", KNOWLEDGE, INK, "s", "-"),
        ("adversarially trained, worst of all", "reference", KNOWLEDGE, GREY, "X", "--"),
        ("defended, worst of all", "defended", KNOWLEDGE, BLUE, "o", "-"),
        ("defended, white box (bpda)", "defended", WHITE_BOX, ORANGE, "^", "--"),
        (f"defended, {KNOWLEDGE_SHORT['base']}", "defended", ("base",), GREEN, "D", "-."),
        (f"defended, {KNOWLEDGE_SHORT['none']}", "defended", ("none",), PURPLE, "v", ":"),
    )
    made = []
    for label, model, knowledge, colour, marker, dashes in looks:
        line = points(record, model, knowledge)
        if any(eps > 0 for eps in line):
            made.append(Curve(label, line, colour, marker, dashes))
    if made and (proved := _certified(record)):
        made.append(Curve("defended, certified", proved, colour=BLUE, marker="P", dashes="--"))
    return tuple(made)


def _certified(record: EvaluationRecord) -> dict[float, Share]:
    """Shares that no attack can break: nothing lies below this line."""
    clean = clean_share(record, "defended")
    if not record.certificates or clean is None:
        return {}
    shares = {c.eps: Share(c.count("certified"), len(c.verdicts)) for c in record.certificates}
    return {0.0: clean} | dict(sorted(shares.items()))


def accuracy_plot(record: EvaluationRecord) -> Drawing | None:
    """Draw the curves, or return None where no attack finished."""
    lines = curves(record)
    if not lines:
        return None
    grey_levels = in_unit_range(record)
    numbers = "; ".join(f"{line.label}: {line_words(line.points)}" for line in lines)
    caption = (
        "Share of examples still classified correctly, against the budget eps in the classifier's "
        "input range; eps 0 is the clean accuracy. A point at a budget stands where an attack "
        "finished at it. Band: 95% Wilson interval of the defended worst."
    )
    if record.certificates:
        caption += " No attack can go below the certified line; what lies between is unknown."
    paint = partial(_paint, lines=lines, grey_levels=grey_levels)
    return Drawing(paint, f"Line plot of accuracy over eps. {numbers}.", caption, height=4.4)


def _paint(figure: Any, *, lines: tuple[Curve, ...], grey_levels: bool) -> None:
    axes = figure.add_subplot()
    for line in lines:
        eps, shares = list(line.points), line.points.values()
        if line.band:
            limits = [tuple(100 * limit for limit in share.interval) for share in shares]
            low, high = zip(*limits, strict=True)
            axes.fill_between(eps, low, high, color=line.colour, alpha=0.18, linewidth=0)
        axes.plot(
            eps,
            [100 * share.value for share in shares],
            color=line.colour,
            marker=line.marker,
            linestyle=line.dashes,
            # larger, so that it shows under the curve that it coincides with
            markersize=9 if line.band else 5.5,
            linewidth=2.2 if line.band else 1.6,
            label=line.label,
            # markers on the frame (0% and 100%) stay whole
            clip_on=False,
        )
    axes.set_ylim(0, 100)
    axes.set_xlim(left=0)
    axes.set_ylabel("still correct (%)")
    axes.set_xlabel("eps (classifier's input range)")
    if grey_levels:
        upper = axes.secondary_xaxis("top", functions=(_to_grey, _from_grey))
        upper.set_xlabel("eps in 8-bit grey levels (/255)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)


def _to_grey(eps: Any) -> Any:
    return eps * 255


def _from_grey(grey: Any) -> Any:
    return grey / 255
