"""Rows of the attacks of Carlini and Wagner, and of the elastic net that grew from them."""

import numpy as np
from art.attacks.evasion import (
    CarliniL0Method,
    CarliniL2Method,
    CarliniLInfMethod,
    ElasticNet,
)

from art_disc.attacks.spec import AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.rows import CLASSES, minimal


def _linf_cost(settings: Settings) -> tuple[float, float]:
    # its bound on the change falls by the factor from 1 to 1 / 256; two such rounds as a rule
    rounds = 2 * np.log(256) / -np.log(settings["decrease_factor"])
    steps = float(2 * rounds * settings["max_iter"])
    return steps, steps


# with ART's 0.01 for both, few steps do not leave the cell of a code
_CARLINI = {"learning_rate": 0.1, "initial_const": 1.0}


ROWS: tuple[AttackSpec, ...] = (
    minimal(
        "cw_l2",
        "Carlini and Wagner, l2",
        CarliniL2Method,
        tiers=in_tiers(
            {**_CARLINI, "binary_search_steps": 5, "max_iter": 50},
            smoke={"binary_search_steps": 3, "max_iter": 10},
            # the original's
            strong={
                "learning_rate": 0.01,
                "initial_const": 0.001,
                "binary_search_steps": 9,
                "max_iter": 1000,
            },
        ),
        norms=("2",),
        targetable=True,
        cost=lambda s: (
            2 * CLASSES * s["binary_search_steps"] * s["max_iter"],
            11 * s["binary_search_steps"] * s["max_iter"],
        ),
        note="mixes hard predictions with surrogate gradients; weak on coarse codebooks",
    ),
    minimal(
        "cw_l0",
        "Carlini and Wagner, l0",
        CarliniL0Method,
        tiers=in_tiers(
            {**_CARLINI, "binary_search_steps": 3, "max_iter": 20},
            smoke={"binary_search_steps": 2, "max_iter": 10},
            strong={"binary_search_steps": 5, "max_iter": 200},
        ),
        norms=("0",),
        targetable=True,
        cost=lambda s: (
            10 * CLASSES * s["binary_search_steps"] * s["max_iter"],
            110 * s["binary_search_steps"] * s["max_iter"],
        ),
        note="mixes hard predictions with surrogate gradients; weak on coarse codebooks",
    ),
    minimal(
        "cw_linf",
        "Carlini and Wagner, l_inf",
        CarliniLInfMethod,
        tiers=in_tiers(
            {
                "learning_rate": 0.1,
                "max_iter": 20,
                "decrease_factor": 0.8,
                "initial_const": 1e-2,
                "largest_const": 20.0,
                "const_factor": 4.0,
            },
            smoke={"max_iter": 10, "decrease_factor": 0.7, "const_factor": 8.0},
            strong={
                "max_iter": 100,
                "decrease_factor": 0.9,
                "initial_const": 1e-5,
                "const_factor": 2.0,
            },
        ),
        norms=("inf",),
        targetable=True,
        cost=_linf_cost,
        note="weaker than the original, says ART's issue 1374",
    ),
    minimal(
        "elastic_net",
        "Elastic net (EAD)",
        ElasticNet,
        tiers=in_tiers(
            {"learning_rate": 0.01, "binary_search_steps": 9, "max_iter": 100, "beta": 1e-3},
            smoke={"learning_rate": 0.1, "binary_search_steps": 6, "max_iter": 15},
            strong={"max_iter": 1000},
        ),
        norms=("1",),
        targetable=True,
        cost=lambda s: (
            2 * CLASSES * s["binary_search_steps"] * s["max_iter"],
            2 * s["binary_search_steps"] * s["max_iter"] + 10,
        ),
    ),
)
