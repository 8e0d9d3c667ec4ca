"""The tables of every attack that was run: what it left correct, and what it cost."""

from collections.abc import Callable
from itertools import groupby

import numpy as np

from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.report.reading import (
    KNOWLEDGE_SHORT,
    MODEL_WORDS,
    NORM_WORDS,
    budget,
    models_there,
    show_setting,
)
from art_disc.report.table import (
    Cell,
    Content,
    Table,
    body,
    number_cell,
    run_row,
    share_cell,
    spent_row,
)

# the defended model is the subject, so it stands before the others
_MODELS = ("defended", "base", "reference", "frozen")
_CAPTION = (
    "Scored on the model, in the norm and at the eps of each heading; strongest first, skipped "
    "and failed runs last. \u201cOnly this attack\u201d counts the examples that no other "
    "attack broke at the same budget. Costs are per image attacked."
)
_SEQUENTIAL = (
    " Sequential: the first attack of each kind of knowledge at each eps had all examples, every "
    "other one only those that no attack before it had broken (part), so that its share compares "
    "with no other's."
)
_DRAWN = (
    " Fresh draws of a randomised defence: mean is the share of right answers over all draws; "
    "vote, any and all are the shares of examples that more than half of the draws, at least one, "
    "and every one had right."
)


def attack_table(record: EvaluationRecord) -> Table:
    """All outcomes, in groups of one budget, model and asker; unfinished ones come last."""
    columns = _columns(record)
    bodies = []
    ordered = sorted(record.outcomes, key=lambda run: (_group(run), _strength(run)))
    for _, group in groupby(ordered, key=_group):
        runs = list(group)
        rows = (run_row(run, *(show(run) for show in columns.values())) for run in runs)
        bodies.append(body(rows, _title(record, runs[0])))
    caption = _CAPTION + _SEQUENTIAL * record.sequential + _DRAWN * ("Fresh draws" in columns)
    return Table.of("All attacks", caption, (*columns, "Status"), bodies)


def _columns(record: EvaluationRecord) -> dict[str, Callable[[AttackOutcome], Content]]:
    """What each column shows of a run; those of the grid and of draws where a run has them."""
    breakers = {eps: record.breakers(eps) for eps in {run.eps for run in record.outcomes}}

    def alone(run: AttackOutcome) -> Cell:
        whole = run.status == "done" and not record.sequential
        judged = whole and run.scored_on == "defended"
        return number_cell(breakers[run.eps].get(run.attack, 0) if judged else None)

    def cost(name: str) -> Callable[[AttackOutcome], Cell]:
        return lambda run: per_image(getattr(run, name), len(run.correct))

    columns: dict[str, Callable[[AttackOutcome], Content]] = {
        "Attack": lambda run: run.attack,
        "Still correct": _correct,
        "Rounded to 8 bits": _rounded,
        "Fresh draws": _draws,
        "#Only this attack": alone,
        "Knowledge": _knowledge,
        "Surrogate": lambda run: run.surrogate or "none",
        "Targeted": lambda run: "yes" if run.targeted else "no",
        "#Gradients": cost("gradients"),
        "#Queries": cost("queries"),
        "#Seconds": cost("seconds"),
    }
    if not any(run.grid_correct for run in record.outcomes):
        del columns["Rounded to 8 bits"]
    if not any(run.draw_correct for run in record.outcomes):
        del columns["Fresh draws"]
    return columns


def _group(row: AttackOutcome) -> tuple[float, str, int, str, tuple[int, str]]:
    model = _MODELS.index(row.scored_on) if row.scored_on in _MODELS else len(_MODELS)
    number = row.asked_by.removeprefix("C")
    # what the user asked for stands before what a check needed
    asked = (int(number) if number.isdigit() else 0, row.asked_by)
    return (row.eps, row.norm, model, row.scored_on, asked)


def _title(record: EvaluationRecord, row: AttackOutcome) -> str:
    title = f"{_model_words(row.scored_on).capitalize()}, {NORM_WORDS.get(row.norm, row.norm)}"
    asked = "" if row.asked_by == "attacks" else f", run for check {row.asked_by}"
    return f"{title}, eps {budget(record, row.eps)}{asked}"


def _strength(outcome: AttackOutcome) -> tuple[bool, float]:
    return (True, 0.0) if not outcome.correct else (False, outcome.share.value)


def _knowledge(outcome: AttackOutcome) -> str:
    # what is a transfer against the defended model is a white-box attack on the undefended one
    if outcome.scored_on == outcome.knowledge == "base":
        return "white box (base)"
    return KNOWLEDGE_SHORT.get(outcome.knowledge, outcome.knowledge)


def _model_words(name: str) -> str:
    return MODEL_WORDS.get(name, name)


def _correct(run: AttackOutcome) -> Content:
    done = run.status == "done" and run.correct
    return share_cell(run.share, part=bool(run.positions)) if done else ""


def _rounded(run: AttackOutcome) -> Content:
    if not run.grid_correct:
        return ""
    total = len(run.correct)
    left = total - sum(run.breaks(run.eps, grid=True))
    return share_cell(Share(left, total), part=bool(run.positions))


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


def _settings(run: AttackOutcome) -> str:
    words = (f"{name} = {show_setting(value)}" for name, value in run.settings.items())
    return ", ".join(words) or "defaults"


def settings_table(record: EvaluationRecord) -> Table:
    """For each outcome: attack, model, knowledge, surrogate, eps, asker, seed, settings."""
    return Table.each(
        "Settings of the attacks",
        "Settings of every attack run, in the order in which they ran",
        {
            "Attack": lambda run: run.attack,
            "Scored on": lambda run: _model_words(run.scored_on),
            "Knowledge": lambda run: run.knowledge,
            "Surrogate": lambda run: run.surrogate or "none",
            "eps": lambda run: budget(record, run.eps),
            "For": lambda run: run.asked_by,
            "#Seed": lambda run: str(run.seed),
            "Settings": _settings,
        },
        record.outcomes,
        look="wide attacks settings",
    )


def budget_table(record: EvaluationRecord) -> Table:
    """Attack runs, gradients, queries and seconds for each model and in all."""
    there = {row.scored_on for row in record.outcomes}.union(models_there(record))
    names = (*(name for name in _MODELS if name in there), "all")
    return Table.of(
        "Budget spent",
        "Budget spent, runs that did not finish included. One attack scored on two models is "
        "counted for both.",
        ("Scored on", "#Attack runs", "#Gradients", "#Queries", "#Seconds"),
        (
            spent_row(
                _model_words(name),
                [run for run in record.outcomes if name in (run.scored_on, "all")],
            )
            for name in names
        ),
        look="attacks",
        sortable=False,
    )
