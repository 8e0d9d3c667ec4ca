"""Rows of the attacks that need predictions alone."""

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    BoundaryAttack,
    HopSkipJump,
    SignOPTAttack,
    SimBA,
    SquareAttack,
    VirtualAdversarialMethod,
    ZooAttack,
)

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import around, image_shape
from art_disc.attacks.zoo.rows import blind


def _square(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return SquareAttack(
        estimator=request.classifier,
        eps=request.eps,
        norm=request.order,
        max_iter=int(settings["max_iter"]),
        p_init=float(settings["p_init"]),
        nb_restarts=int(settings["nb_restarts"]),
        batch_size=request.batch_size,
        verbose=False,
    )


def _hop_skip_jump(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return HopSkipJump(
        request.classifier,
        norm=request.order,
        max_iter=int(settings["max_iter"]),
        max_eval=int(settings["max_eval"]),
        init_eval=int(settings["init_eval"]),
        init_size=int(settings["init_size"]),
        batch_size=request.batch_size,
        verbose=False,
    )


def _boundary(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return BoundaryAttack(
        request.classifier,
        targeted=False,
        max_iter=int(settings["max_iter"]),
        num_trial=int(settings["num_trial"]),
        sample_size=int(settings["sample_size"]),
        init_size=int(settings["init_size"]),
        batch_size=request.batch_size,
        verbose=False,
    )


def _sign_opt(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return SignOPTAttack(
        request.classifier,
        targeted=False,
        num_trial=int(settings["num_trial"]),
        max_iter=int(settings["max_iter"]),
        query_limit=int(settings["query_limit"]),
        k=int(settings["k"]),
        batch_size=request.batch_size,
        verbose=False,
    )


def _simba(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return SimBA(
        around(request.classifier, probabilities=True),
        attack="px",
        max_iter=int(settings["max_iter"]),
        epsilon=float(settings["epsilon"]),
        # checked even where the attack is on pixels
        freq_dim=1,
        targeted=request.targeted,
        batch_size=1,
        verbose=False,
    )


def _zoo(request: AttackRequest, settings: Settings) -> EvasionAttack:
    small = min(image_shape(request.classifier)[1:]) < 64
    return ZooAttack(
        request.classifier,
        targeted=request.targeted,
        learning_rate=float(settings["learning_rate"]),
        max_iter=int(settings["max_iter"]),
        binary_search_steps=int(settings["binary_search_steps"]),
        initial_const=float(settings["initial_const"]),
        # the coarse grids that it starts from are for large images
        use_resize=not small,
        use_importance=not small,
        nb_parallel=min(int(settings["nb_parallel"]), int(np.prod(request.classifier.input_shape))),
        variable_h=float(settings["variable_h"]),
        batch_size=1,
        verbose=False,
    )


def _vat(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return VirtualAdversarialMethod(
        around(request.classifier, probabilities=True),
        max_iter=int(settings["max_iter"]),
        finite_diff=float(settings["finite_diff"]),
        eps=request.eps,
        batch_size=request.batch_size,
        verbose=False,
    )


_UNSEEDED = "draws from an unseeded generator, so that no seed repeats it"

ROWS: tuple[AttackSpec, ...] = (
    blind(
        "square",
        "Square attack (queries only)",
        "SquareAttack",
        make=_square,
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
        "HopSkipJump",
        make=_hop_skip_jump,
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
        "BoundaryAttack",
        make=_boundary,
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
        "SignOPTAttack",
        make=_sign_opt,
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
        "SimBA",
        make=_simba,
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
        "ZooAttack",
        make=_zoo,
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
        "VirtualAdversarialMethod",
        make=_vat,
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
