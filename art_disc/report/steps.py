"""Accuracy and loss over the steps of each gradient attack: whether it had converged."""

from functools import partial
from itertools import cycle
from typing import Any

from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.report.drawing import BLUE, GREEN, INK, ORANGE, PURPLE, Drawing, error_band
from art_disc.report.reading import budget, white_box

LINES_SHOWN = 10
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, INK)
_DASHES = ("-", "--", "-.", ":")


def step_rows(record: EvaluationRecord) -> tuple[AttackOutcome, ...]:
    """The followed white-box attacks at the largest such budget, strongest first.

    Of each attack through each surrogate the longest run stands for all. Only budgets of the
    evaluation count: a check may also attack far beyond them.
    """
    rows = [
        row
        for row in record.select(scored_on="defended")
        if row.by_step and row.eps in record.eps and row.knowledge in white_box(record)
    ]
    largest = max((row.eps for row in rows), default=0)
    longest: dict[tuple[str, str | None], AttackOutcome] = {}
    for row in rows:
        known = longest.get((row.attack, row.surrogate))
        if row.eps == largest and (known is None or len(row.by_step) > len(known.by_step)):
            longest[row.attack, row.surrogate] = row
    return tuple(sorted(longest.values(), key=lambda row: row.by_step[-1] / len(row.correct)))


def step_plot(record: EvaluationRecord) -> Drawing | None:
    """Draw the curves, or return None where no attack was followed step by step."""
    rows = step_rows(record)
    if not rows:
        return None
    shown, left = rows[:LINES_SHOWN], len(rows) - LINES_SHOWN
    at = budget(record, rows[0].eps)
    numbers = "; ".join(_numbers(row) for row in shown)
    loss = any(row.loss_by_step for row in shown)
    caption = (
        f"White-box attacks at eps {at}: share of the attacked examples that no iterate so far "
        "broke. A curve that still falls at its end asks for more steps; restarts follow each "
        "other. Of each attack and surrogate the longest run is shown. Band: 95% Wilson interval "
        "of the strongest."
    )
    if loss:
        caption += " Below: mean cross-entropy at each step."
    if left > 0:
        caption += f" The strongest {LINES_SHOWN} of {len(rows)}."
    paint = partial(_paint, rows=shown, loss=loss)
    alt = f"Line plot of accuracy over attack steps. {numbers}."
    return Drawing(paint, alt, caption, height=6.2 if loss else 4.4)


def step_label(row: AttackOutcome) -> str:
    """Name of a line: attack, what its gradients go through, and the check that asked for it."""
    through = row.surrogate or "no surrogate"
    asked = "" if row.asked_by == "attacks" else f", for {row.asked_by}"
    return f"{row.attack} ({through}{asked})"


def _numbers(row: AttackOutcome) -> str:
    first, last = (row.by_step[i] / len(row.correct) for i in (0, -1))
    return f"{step_label(row)}: {first:.1%} after step 1, {last:.1%} after step {len(row.by_step)}"


def _paint(figure: Any, *, rows: tuple[AttackOutcome, ...], loss: bool) -> None:
    if loss:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        below.set(xlabel="step", ylabel="mean cross-entropy")
    else:
        axes, below = figure.add_subplot(), None
        axes.set_xlabel("step")
    colours, dashes = cycle(_COLOURS), cycle(d for d in _DASHES for _ in _COLOURS)
    for row, colour, dash in zip(rows, colours, dashes, strict=False):
        look = {"color": colour, "linestyle": dash, "linewidth": 1.7}
        steps = range(1, len(row.by_step) + 1)
        shares = [100 * left / len(row.correct) for left in row.by_step]
        axes.plot(steps, shares, label=step_label(row), clip_on=False, **look)
        if row is rows[0]:
            counted = [Share(left, len(row.correct)) for left in row.by_step]
            error_band(axes, steps, counted, colour)
        if below is not None and row.loss_by_step:
            below.plot(range(1, len(row.loss_by_step) + 1), row.loss_by_step, **look)
    axes.set_ylim(0, 100)
    axes.set_ylabel("not yet broken (%)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
