"""Rows of the attacks that need predictions alone."""

import numpy as np
from art.attacks.evasion import (
    BoundaryAttack,
    HopSkipJump,
    SignOPTAttack,
    SimBA,
    SquareAttack,
    VirtualAdversarialMethod,
    ZooAttack,
)

from art_disc.attacks.random_search import RandomSearch
from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import image_shape
from art_disc.attacks.zoo.rows import blind, probabilities, ready


def _is_large(request: AttackRequest, _: Settings) -> bool:
    return min(image_shape(request.classifier)[1:]) >= 64


def _parallel(request: AttackRequest, settings: Settings) -> int:
    return int(min(settings["nb_parallel"], np.prod(request.classifier.input_shape)))


_UNSEEDED = "draws from an unseeded generator, so that no seed repeats it"

RANDOM_SEARCH = AttackSpec(
    name="random_search",
    label="Random search (blind guessing)",
    art="",
    make=ready(RandomSearch, batch_size=500),
    tiers=in_tiers({"max_iter": 1000}, smoke={"max_iter": 100}, strong={"max_iter": 10_000}),
    norms=("inf", "2"),
    gradients=False,
    targetable=False,
    cost=lambda s: (0, s["max_iter"]),
)

ROWS: tuple[AttackSpec, ...] = (
    blind(
        "square",
        "Square attack (queries only)",
        SquareAttack,
        tiers=in_tiers(
            {"max_iter": 1000, "p_init": 0.8, "nb_restarts": 1},
            smoke={"max_iter": 100},
            strong={"max_iter": 5000},
        ),
        norms=("inf", "2"),
        bounded=True,
        cost=lambda s: (0, 3 * s["max_iter"] * s["nb_restarts"]),
    ),
    blind(
        "hop_skip_jump",
        "HopSkipJump",
        HopSkipJump,
        tiers=in_tiers(
            {"max_iter": 20, "max_eval": 1000, "init_eval": 100, "init_size": 100},
            smoke={"max_iter": 4, "max_eval": 100, "init_eval": 20},
            strong={"max_iter": 50, "max_eval": 10000},
        ),
        norms=("inf", "2"),
        cost=lambda s: (0, s["init_size"] + s["max_iter"] * (s["max_eval"] + 40)),
        repeatable=False,
        note=_UNSEEDED,
    ),
    blind(
        "boundary",
        "Boundary attack",
        BoundaryAttack,
        tiers=in_tiers(
            {"max_iter": 500, "num_trial": 10, "sample_size": 10, "init_size": 100},
            smoke={"max_iter": 20, "num_trial": 3, "sample_size": 5},
            strong={"max_iter": 5000, "num_trial": 25, "sample_size": 20},
        ),
        norms=("2",),
        cost=lambda s: (0, s["init_size"] + 2 * s["max_iter"] * s["num_trial"] * s["sample_size"]),
        repeatable=False,
        note=_UNSEEDED,
    ),
    blind(
        "sign_opt",
        "Sign-OPT",
        SignOPTAttack,
        tiers=in_tiers(
            {"num_trial": 100, "max_iter": 100, "query_limit": 4000, "k": 50},
            smoke={"num_trial": 10, "max_iter": 5, "query_limit": 500, "k": 10},
            strong={"max_iter": 1000, "query_limit": 20000, "k": 200},
        ),
        norms=("2",),
        cost=lambda s: (0, s["query_limit"] + 2 * s["k"] + 500),
    ),
    blind(
        "simba",
        "SimBA, pixels",
        SimBA,
        # the dimension is checked even where the attack is on pixels
        make=ready(SimBA, seen=probabilities, attack="px", freq_dim=1, batch_size=1),
        tiers=in_tiers(
            {"max_iter": 1000, "epsilon": 0.3}, smoke={"max_iter": 100}, strong={"max_iter": 3000}
        ),
        norms=("2",),
        targetable=True,
        cost=lambda s: (0, 2 * s["max_iter"] + 2),
        note="given probabilities, which it insists on",
    ),
    blind(
        "zoo",
        "ZOO, zeroth-order optimisation",
        ZooAttack,
        make=ready(
            ZooAttack,
            # the coarse grids that it starts from are for large images
            use_resize=_is_large,
            use_importance=_is_large,
            nb_parallel=_parallel,
            batch_size=1,
        ),
        tiers=in_tiers(
            {
                "learning_rate": 0.01,
                "max_iter": 100,
                "binary_search_steps": 3,
                "initial_const": 1e-3,
                "nb_parallel": 128,
                "variable_h": 0.2,
            },
            smoke={
                "learning_rate": 0.3,
                "max_iter": 15,
                "binary_search_steps": 2,
                "initial_const": 1.0,
                "nb_parallel": 32,
            },
            strong={"max_iter": 1000, "binary_search_steps": 9},
        ),
        norms=("2",),
        targetable=True,
        cost=lambda s: (
            0,
            s["binary_search_steps"] * s["max_iter"] * (2 * s["nb_parallel"] + 2) + 10,
        ),
        note="finite differences about as wide as a cell; thinner ones see a flat function",
    ),
    blind(
        "vat",
        "Virtual adversarial method",
        VirtualAdversarialMethod,
        make=ready(VirtualAdversarialMethod, seen=probabilities),
        tiers=in_tiers(
            {"max_iter": 2, "finite_diff": 0.2}, smoke={"max_iter": 1}, strong={"max_iter": 10}
        ),
        norms=("2",),
        bounded=True,
        # one prediction a pixel; for 1,000 pixels
        cost=lambda s: (0, 1000 * s["max_iter"] + 2),
        note="given probabilities; finite differences about as wide as a cell, as for zoo",
    ),
)
