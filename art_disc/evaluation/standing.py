"""Which examples an attack of a sequential evaluation still gets."""

from collections.abc import Iterable, Mapping

import numpy as np

from art_disc.core.checks import BoolArray
from art_disc.core.records import AttackOutcome
from art_disc.evaluation.planned import PlannedTrial

NONE_STAND = "no example was left that an earlier attack had not broken"


def standing(
    outcomes: Iterable[AttackOutcome], trial: PlannedTrial, clean: Mapping[str, BoolArray]
) -> BoolArray:
    """Return, for each example, whether the trial has to attack it.

    It need not where every model that the trial is scored on is broken within its budget already,
    as it is and rounded to the 8-bit grid, by attackers of the same knowledge: so no share of a
    record counts an example as standing that was merely not attacked. The first attack of a
    knowledge at each budget has all, as has an attack object of the user's own.

    Args:
        outcomes: Of the trials before it.
        trial: The next one.
        clean: For each model, whether its clean predictions are right.
    """
    wanted = np.zeros_like(clean[trial.models[0]])
    for model in trial.models:
        before = [one for one in outcomes if _same(one, trial, model)]
        whole = any(one.eps == trial.eps and not one.positions for one in before)
        if not whole or trial.own is not None:
            return np.ones_like(wanted)
        for grid in (False, True):
            alive = clean[model].copy()
            for one in before:
                alive[one.broken_positions(trial.eps, grid=grid)] = False
            wanted |= alive
    return wanted


def _same(one: AttackOutcome, trial: PlannedTrial, model: str) -> bool:
    """Whether an outcome answers for the same model, kind of attacker and norm."""
    same = (one.scored_on, one.knowledge, one.norm) == (model, trial.knowledge, trial.norm)
    return same and one.status == "done"
