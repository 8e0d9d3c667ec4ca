"""The tables of every attack that was run: what it left correct, and what it cost."""

import numpy as np

from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.report.reading import (
    KNOWLEDGE_SHORT,
    MODEL_WORDS,
    NORM_WORDS,
    in_unit_range,
    models_there,
    show_eps,
    show_setting,
)
from art_disc.report.table import Body, Cell, Row, Table, body, number_cell, row, share_cell

# the defended model is the subject, so it stands before the others
_MODELS = ("defended", "base", "reference", "frozen")
_Key = tuple[float, str, int, str, tuple[int, str]]


def attack_table(record: EvaluationRecord) -> Table | None:
    """All outcomes, in groups of one budget, model and asker; unfinished ones come last."""
    if not record.outcomes:
        return None
    groups: dict[_Key, list[AttackOutcome]] = {}
    for outcome in record.outcomes:
        groups.setdefault(_key(outcome), []).append(outcome)
    grid = any(row.grid_correct for row in record.outcomes)
    drawn = any(row.draw_correct for row in record.outcomes)
    breakers = {eps: record.breakers(eps) for eps in {row.eps for row in record.outcomes}}
    bodies: list[Body] = []
    for key in sorted(groups):
        rows = sorted(groups[key], key=_strength)
        alone = breakers[rows[0].eps] if rows[0].scored_on == "defended" else {}
        made = (_row(row, alone, grid=grid, drawn=drawn) for row in rows)
        bodies.append(body(made, _title(record, rows[0])))
    heads = _heads(grid=grid, drawn=drawn)
    return Table.of("All attacks", _caption(drawn=drawn), heads, bodies)


def _caption(*, drawn: bool) -> str:
    caption = (
        "Scored on the model, in the norm and at the eps of each heading; strongest first, skipped "
        "and failed runs last. \u201cOnly this attack\u201d counts the examples that no other "
        "attack broke at the same budget. Costs are per image attacked."
    )
    if drawn:
        caption += (
            " Fresh draws of a randomised defence: mean is the share of right answers over all "
            "draws; vote, any and all are the shares of examples that more than half of the "
            "draws, at least one, and every one had right."
        )
    return caption


def _heads(*, grid: bool, drawn: bool) -> tuple[str, ...]:
    return (
        "Attack",
        "Still correct",
        *(("Rounded to 8 bits",) if grid else ()),
        *(("Fresh draws",) if drawn else ()),
        "#Only this attack",
        "Knowledge",
        "Surrogate",
        "Targeted",
        "#Gradients",
        "#Queries",
        "#Seconds",
        "Status",
    )


def _key(row: AttackOutcome) -> _Key:
    model = _MODELS.index(row.scored_on) if row.scored_on in _MODELS else len(_MODELS)
    number = row.asked_by.removeprefix("C")
    # what the user asked for stands before what a check needed
    asked = (int(number) if number.isdigit() else 0, row.asked_by)
    return (row.eps, row.norm, model, row.scored_on, asked)


def _title(record: EvaluationRecord, row: AttackOutcome) -> str:
    at = show_eps(row.eps, grey_levels=in_unit_range(record))
    title = f"{model_words(row.scored_on).capitalize()}, {NORM_WORDS.get(row.norm, row.norm)}"
    asked = "" if row.asked_by == "attacks" else f", run for check {row.asked_by}"
    return f"{title}, eps {at}{asked}"


def _strength(outcome: AttackOutcome) -> tuple[bool, float]:
    return (True, 0.0) if not outcome.correct else (False, outcome.share.value)


def _knowledge(outcome: AttackOutcome) -> str:
    # what is a transfer against the defended model is a white-box attack on the undefended one
    if outcome.scored_on == outcome.knowledge == "base":
        return "white box (base)"
    return KNOWLEDGE_SHORT.get(outcome.knowledge, outcome.knowledge)


def model_words(name: str) -> str:
    """Name of a model in words."""
    return MODEL_WORDS.get(name, name)


def _row(run: AttackOutcome, alone: dict[str, int], *, grid: bool, drawn: bool) -> Row:
    done = run.status == "done" and bool(run.correct)
    judged = run.status == "done" and run.scored_on == "defended"
    part = bool(run.positions)
    n = len(run.correct)
    rounded = share_cell(_rounded(run), part=part) if run.grid_correct else ""
    return row(
        run.attack,
        share_cell(run.share, part=part) if done else "",
        *((rounded,) if grid else ()),
        *((_draws(run),) if drawn else ()),
        number_cell(alone.get(run.attack, 0) if judged else None),
        _knowledge(run),
        run.surrogate or "none",
        "yes" if run.targeted else "no",
        *(per_image(spent, n) for spent in (run.gradients, run.queries, run.seconds)),
        Cell(f"{run.status}: {run.reason}" if run.reason else run.status, look="status"),
        look="" if run.status == "done" else "not-done",
    )


def _rounded(row: AttackOutcome) -> Share:
    return Share(len(row.correct) - sum(row.breaks(row.eps, grid=True)), len(row.correct))


def _draws(row: AttackOutcome) -> Cell:
    if not row.draw_correct or not row.draws:
        return Cell()
    # an image beyond the budget is not adversarial, and what it was before is another row's to tell
    within = np.asarray(row.perturbation) <= row.eps + row.tolerance
    if not within.any():
        return Cell("every change is beyond the budget")
    right = np.asarray(row.draw_correct)[within] / row.draws
    shares = {
        "mean": right.mean(),
        "vote": np.asarray(row.correct)[within].mean(),
        "any": (right > 0).mean(),
        "all": (right == 1).mean(),
    }
    words = ", ".join(f"{name} {value:.1%}" for name, value in shares.items())
    left_out = f", {(~within).sum()} beyond the budget left out" if not within.all() else ""
    note = f"{row.draws} draws each{left_out}"
    return Cell(words, sort=round(float(right.mean()), 9), note=note)


def per_image(spent: float, n: int) -> Cell:
    """A cost for each of `n` images, in three digits or whole; empty where none was attacked."""
    if not n:
        return Cell()
    each = spent / n
    return number_cell(round(each, 9), f"{each:,.0f}" if each >= 100 else f"{each:.3g}")


def settings_table(record: EvaluationRecord) -> Table | None:
    """For each outcome: attack, model, knowledge, surrogate, eps, asker, seed, settings."""
    if not record.outcomes:
        return None
    return Table.of(
        "Settings of the attacks",
        "Settings of every attack run, in the order in which they ran",
        ("Attack", "Scored on", "Knowledge", "Surrogate", "eps", "For", "#Seed", "Settings"),
        (
            (
                row.attack,
                model_words(row.scored_on),
                row.knowledge,
                row.surrogate or "none",
                show_eps(row.eps, grey_levels=in_unit_range(record)),
                row.asked_by,
                str(row.seed),
                ", ".join(f"{name} = {show_setting(v)}" for name, v in row.settings.items())
                or "defaults",
            )
            for row in record.outcomes
        ),
        look="wide attacks settings",
    )


def budget_table(record: EvaluationRecord) -> Table:
    """Attack runs, gradients, queries and seconds for each model and in all."""
    there = {row.scored_on for row in record.outcomes}
    names = [name for name in _MODELS if name in there.union(models_there(record))]
    rows = []
    for name in (*names, "all"):
        chosen = [row for row in record.outcomes if name in (row.scored_on, "all")]
        rows.append(
            (
                model_words(name),
                f"{len(chosen):,}",
                f"{sum(row.gradients for row in chosen):,}",
                f"{sum(row.queries for row in chosen):,}",
                f"{sum(row.seconds for row in chosen):,.1f}",
            )
        )
    return Table.of(
        "Budget spent",
        "Budget spent, runs that did not finish included. One attack scored on two models is "
        "counted for both.",
        ("Scored on", "#Attack runs", "#Gradients", "#Queries", "#Seconds"),
        rows,
        look="attacks",
        sortable=False,
    )
