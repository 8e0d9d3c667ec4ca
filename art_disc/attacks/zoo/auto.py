"""Rows of the attacks that choose their own step size, and of AutoAttack."""

from collections.abc import Callable
from typing import Any

from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    AutoAttack,
    AutoConjugateGradient,
    AutoProjectedGradientDescent,
    DeepFool,
    RescalingAutoConjugateGradient,
    SquareAttack,
)

from art_disc.attacks.original_autoattack import OriginalAutoAttack
from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.steps import iterations

_LOSSES = {
    "ce": ("cross_entropy", "cross-entropy"),
    "dlr": ("difference_logits_ratio", "difference of logits ratio"),
}


def _auto(kind: Any, loss: str) -> Callable[[AttackRequest, Settings], EvasionAttack]:
    def make(request: AttackRequest, settings: Settings) -> EvasionAttack:
        return kind(
            **request.common,
            norm=request.order,
            # the step that Croce and Hein 2020 start from
            eps_step=2 * request.eps,
            max_iter=int(settings["max_iter"]),
            nb_random_init=int(settings["num_random_init"]),
            loss_type=_LOSSES[loss][0],
            verbose=False,
        )

    return make


def _row(name: str, label: str, kind: Any, loss: str, note: str = "") -> AttackSpec:
    return AttackSpec(
        name=f"{name}_{loss}",
        label=f"{label}, {_LOSSES[loss][1]}",
        art=kind.__name__,
        make=_auto(kind, loss),
        tiers=in_tiers(
            {"max_iter": 50, "num_random_init": 1},
            smoke={"max_iter": 15},
            strong={"max_iter": 100, "num_random_init": 5},
        ),
        norms=("inf", "2"),
        gradients=True,
        # ART refuses a target with this loss
        targetable=loss == "ce",
        cost=lambda s: (iterations(s), 2 * iterations(s) + 2),
        least_classes=3 if loss == "dlr" else 2,
        note=note,
    )


def _autoattack(request: AttackRequest, settings: Settings) -> EvasionAttack:
    common: dict[str, Any] = {
        "estimator": request.classifier,
        "norm": request.order,
        "eps": request.eps,
        "batch_size": request.batch_size,
        "verbose": False,
    }
    attacks: list[EvasionAttack] = [
        AutoProjectedGradientDescent(
            **common,
            eps_step=2 * request.eps,
            max_iter=int(settings["max_iter"]),
            nb_random_init=int(settings["num_random_init"]),
            loss_type=loss,
        )
        for loss, _ in _LOSSES.values()
    ]
    attacks += [
        DeepFool(
            request.classifier,
            max_iter=int(settings["max_iter"]),
            epsilon=1e-3,
            batch_size=request.batch_size,
            verbose=False,
        ),
        SquareAttack(
            **common,
            max_iter=int(settings["queries"]),
            nb_restarts=int(settings["nb_restarts"]),
        ),
    ]
    return AutoAttack(
        **request.common, norm=request.order, eps_step=2 * request.eps, attacks=attacks
    )


def _original(request: AttackRequest, settings: Settings) -> EvasionAttack:
    version = "plus" if settings["plus"] else "standard"
    return OriginalAutoAttack(
        request.classifier,
        eps=request.eps,
        norm=request.order,
        version="rand" if getattr(request.classifier, "is_random", False) else version,
        n_iter=int(settings["n_iter"]),
        n_queries=int(settings["n_queries"]),
        batch_size=request.batch_size,
    )


_WEAK_CE = "with cross-entropy it is weak on undefended networks too: no sign of robustness"

ROWS: tuple[AttackSpec, ...] = (
    _row("apgd", "AutoPGD", AutoProjectedGradientDescent, "ce"),
    _row("apgd", "AutoPGD", AutoProjectedGradientDescent, "dlr"),
    _row("acg", "Auto conjugate gradient", AutoConjugateGradient, "ce", _WEAK_CE),
    _row("acg", "Auto conjugate gradient", AutoConjugateGradient, "dlr"),
    _row("reacg", "Rescaling ACG", RescalingAutoConjugateGradient, "ce", _WEAK_CE),
    _row("reacg", "Rescaling ACG", RescalingAutoConjugateGradient, "dlr"),
    AttackSpec(
        name="autoattack",
        label="AutoAttack, ART's own implementation",
        art="AutoAttack",
        make=_autoattack,
        tiers=in_tiers(
            {"max_iter": 50, "num_random_init": 1, "queries": 1000, "nb_restarts": 1},
            smoke={"max_iter": 15, "queries": 100},
            # ART's defaults
            strong={"max_iter": 100, "num_random_init": 5, "queries": 5000, "nb_restarts": 5},
        ),
        norms=("inf", "2"),
        gradients=True,
        targetable=False,
        cost=lambda s: (
            2 * iterations(s) + 10 * s["max_iter"],
            4 * iterations(s) + s["max_iter"] + 3 * s["queries"] * s["nb_restarts"] + 20,
        ),
        least_classes=3,
        packages=("multiprocess",),
        note="AutoPGD twice, DeepFool and Square; ART's has neither FAB nor targeted AutoPGD",
    ),
    AttackSpec(
        name="autoattack_original",
        label="AutoAttack, its authors' package autoattack",
        art="",
        make=_original,
        tiers=in_tiers(
            {"plus": 0, "n_iter": 100, "n_queries": 5000},
            smoke={"n_iter": 10, "n_queries": 100},
            strong={"plus": 1},
        ),
        norms=("inf", "2"),
        gradients=True,
        targetable=False,
        cost=lambda s: (
            s["n_iter"] * (11 * 9 + 1) * (5 if s["plus"] else 1),
            s["n_iter"] * 100 + 2 * s["n_queries"],
        ),
        least_classes=3,
        packages=("autoattack",),
        note="runs where the user has the package; version rand on a randomised classifier",
    ),
)
