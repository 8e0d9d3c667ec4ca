"""Accuracy over the budget: undefended, defended, and defended by the attacker's knowledge."""

from functools import partial
from typing import Any

from art_disc.core.records import WHITE_BOX, EvaluationRecord, Share
from art_disc.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    Drawing,
    error_band,
    over_eps,
)
from art_disc.report.reading import clean_share, in_unit_range, line_words, points

Line = dict[float, Share]

# its interval alone is drawn, or nothing is legible
_HEADLINE = "defended, worst of all"
# colour, marker, dashes
_LOOKS = {
    "undefended network, worst of all": (INK, "s", "-"),
    "adversarially trained, worst of all": (GREY, "X", "--"),
    _HEADLINE: (BLUE, "o", "-"),
    "defended, white box (bpda)": (ORANGE, "^", "--"),
    "defended, transfer (base)": (GREEN, "D", "-."),
    "defended, queries (none)": (PURPLE, "v", ":"),
    "defended, certified": (BLUE, "P", "--"),
}


def curves(record: EvaluationRecord) -> dict[str, Line]:
    """Return the lines that have at least one attacked point; each begins with clean accuracy."""
    found = (
        points(record, "base"),
        points(record, "reference"),
        points(record),
        points(record, knowledge=WHITE_BOX),
        points(record, knowledge=("base",)),
        points(record, knowledge=("none",)),
    )
    lines = {
        label: line
        for label, line in zip(_LOOKS, found, strict=False)
        if any(eps > 0 for eps in line)
    }
    clean = clean_share(record)
    if lines and clean and record.certificates:
        # no attack can break these: nothing lies below this line
        shares = {c.eps: Share(c.count("certified"), len(c.verdicts)) for c in record.certificates}
        lines["defended, certified"] = {0.0: clean} | dict(sorted(shares.items()))
    return lines


def accuracy_plot(record: EvaluationRecord) -> Drawing | None:
    """Draw the curves, or return None where no attack finished."""
    lines = curves(record)
    if not lines:
        return None
    numbers = "; ".join(f"{label}: {line_words(line)}" for label, line in lines.items())
    caption = (
        "Share of examples still classified correctly, against the budget eps in the classifier's "
        "input range; eps 0 is the clean accuracy. A point at a budget stands where an attack "
        "finished at it. Band: 95% Wilson interval of the defended worst."
    )
    if record.certificates:
        caption += " No attack can go below the certified line; what lies between is unknown."
    paint = partial(_paint, lines=lines, grey_levels=in_unit_range(record))
    return Drawing(paint, f"Line plot of accuracy over eps. {numbers}.", caption, height=4.4)


def _paint(figure: Any, *, lines: dict[str, Line], grey_levels: bool) -> None:
    axes = figure.add_subplot()
    for label, line in lines.items():
        colour, marker, dashes = _LOOKS[label]
        headline = label == _HEADLINE
        if headline:
            error_band(axes, list(line), list(line.values()), colour, alpha=0.18)
        axes.plot(
            list(line),
            [100 * share.value for share in line.values()],
            color=colour,
            marker=marker,
            linestyle=dashes,
            # larger, so that it shows under the curve that it coincides with
            markersize=9 if headline else 5.5,
            linewidth=2.2 if headline else 1.6,
            label=label,
            # markers on the frame (0% and 100%) stay whole
            clip_on=False,
        )
    if grey_levels:
        upper = axes.secondary_xaxis("top", functions=(lambda eps: 255 * eps, lambda v: v / 255))
        upper.set_xlabel("eps in 8-bit grey levels (/255)")
    over_eps(figure, axes)
