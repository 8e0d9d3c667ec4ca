"""Plots of an evaluation: accuracy over the budget, and over the steps of gradient attacks."""

from functools import partial
from typing import Any

from art_disc.core.records import WHITE_BOX, AttackOutcome, EvaluationRecord, Share
from art_disc.report.drawing import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    Drawing,
    error_band,
    one_label,
    over_eps,
    together,
)
from art_disc.report.reading import (
    budget,
    clean_share,
    in_unit_range,
    line_words,
    points,
    white_box,
)

Line = dict[float, Share]
# not yet broken, and the loss, after each step
StepLine = tuple[list[Share], tuple[float, ...]]

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
_STEP_LINES = 10
_STEP_LOOKS = [(colour, dashes) for dashes in ("-", "--") for colour in COLOURS[:5]]


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
    paint = partial(_paint_budgets, lines=lines, grey_levels=in_unit_range(record))
    return Drawing(paint, f"Line plot of accuracy over eps. {numbers}.", caption, height=4.4)


def _paint_budgets(figure: Any, *, lines: dict[str, Line], grey_levels: bool) -> None:
    axes = figure.add_subplot()
    for names, line in together(lines).items():
        headline = _HEADLINE in names
        colour, marker, dashes = _LOOKS[_HEADLINE if headline else names[0]]
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
            label=one_label(names),
            # markers on the frame (0% and 100%) stay whole
            clip_on=False,
        )
    if grey_levels:
        upper = axes.secondary_xaxis("top", functions=(lambda eps: 255 * eps, lambda v: v / 255))
        upper.set_xlabel("eps in 8-bit grey levels (/255)")
    over_eps(figure, axes)


def _step_rows(record: EvaluationRecord) -> tuple[AttackOutcome, ...]:
    """The followed white-box attacks at the largest such budget, strongest first.

    Of each attack through each surrogate the longest run stands for all. Only budgets of the
    evaluation count: a check may also attack far beyond them. What had only those examples that
    others had not broken compares with none.
    """
    rows = [
        row
        for row in record.select(scored_on="defended")
        if row.by_step and row.eps in record.eps and row.knowledge in white_box(record)
        if not (record.sequential and row.positions)
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
    rows = _step_rows(record)
    if not rows:
        return None
    lines = together({_step_label(row): _step_line(row) for row in rows})
    shown = dict(list(lines.items())[:_STEP_LINES])
    at = budget(record, rows[0].eps)
    numbers = "; ".join(_numbers(names, *line) for names, line in shown.items())
    loss = any(losses for _, losses in shown.values())
    caption = (
        f"White-box attacks at eps {at}: share of the attacked examples that no iterate so far "
        "broke. A curve that still falls at its end asks for more steps; restarts follow each "
        "other. Of each attack and surrogate the longest run is shown. Band: 95% Wilson interval "
        "of the strongest."
    )
    if loss:
        caption += " Below: mean cross-entropy at each step."
    if len(lines) > _STEP_LINES:
        caption += f" The strongest {_STEP_LINES} of {len(lines)}."
    paint = partial(_paint_steps, lines=shown, loss=loss)
    alt = f"Line plot of accuracy over attack steps. {numbers}."
    return Drawing(paint, alt, caption, height=5.6 if loss else 4.4)


def _step_label(row: AttackOutcome) -> str:
    """Name of a line: attack, what its gradients go through, and the check that asked for it."""
    through = row.surrogate or "no surrogate"
    asked = "" if row.asked_by == "attacks" else f", for {row.asked_by}"
    return f"{row.attack} ({through}{asked})"


def _step_line(row: AttackOutcome) -> StepLine:
    return [Share(left, len(row.correct)) for left in row.by_step], row.loss_by_step


def _numbers(names: tuple[str, ...], shares: list[Share], _: tuple[float, ...]) -> str:
    first, last = shares[0].value, shares[-1].value
    who = ", ".join(names)
    return f"{who}: {first:.1%} after step 1, {last:.1%} after step {len(shares)}"


def _paint_steps(figure: Any, *, lines: dict[tuple[str, ...], StepLine], loss: bool) -> None:
    if loss:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        below.set(xlabel="step", ylabel="mean cross-entropy")
    else:
        axes, below = figure.add_subplot(), None
        axes.set_xlabel("step")
    strongest, _ = next(iter(lines.values()))
    error_band(axes, range(1, len(strongest) + 1), strongest, _STEP_LOOKS[0][0])
    for (names, (shares, losses)), (colour, dashes) in zip(
        lines.items(), _STEP_LOOKS, strict=False
    ):
        look = {"color": colour, "linestyle": dashes, "linewidth": 1.7}
        # of one step there is no line
        look["marker"] = "o" if len(shares) == 1 else ""
        left = [100 * share.value for share in shares]
        axes.plot(range(1, len(left) + 1), left, label=one_label(names), clip_on=False, **look)
        if below is not None and losses:
            below.plot(range(1, len(losses) + 1), losses, **look)
    axes.set(ylim=(0, 100), ylabel="not yet broken (%)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
