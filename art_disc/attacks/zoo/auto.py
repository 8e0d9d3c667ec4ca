"""Rows of the attacks that choose their own step size, and of AutoAttack."""

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
from art_disc.attacks.spec import AttackRequest, AttackSpec, Maker, Settings, in_tiers
from art_disc.attacks.zoo.rows import ready, setting, stepping
from art_disc.attacks.zoo.steps import iterations

_LOSSES = {
    "ce": ("cross_entropy", "cross-entropy"),
    "dlr": ("difference_logits_ratio", "difference of logits ratio"),
}


def _two_budgets(request: AttackRequest, _: Settings) -> float:
    """The step that Croce and Hein 2020 start from."""
    return 2 * request.eps


def _auto(kind: Any, loss: str) -> Maker:
    return ready(
        kind, eps_step=_two_budgets, nb_random_init=setting("num_random_init"), loss_type=loss
    )


def _row(name: str, label: str, kind: Any, loss: str, note: str = "") -> AttackSpec:
    art_name, words = _LOSSES[loss]
    return stepping(
        f"{name}_{loss}",
        f"{label}, {words}",
        kind,
        make=_auto(kind, art_name),
        tiers=in_tiers(
            {"max_iter": 50, "num_random_init": 1},
            smoke={"max_iter": 15},
            strong={"max_iter": 100, "num_random_init": 5},
        ),
        norms=("inf", "2"),
        # ART refuses a target with this loss
        targetable=loss == "ce",
        cost=lambda s: (iterations(s), 2 * iterations(s) + 2),
        least_classes=3 if loss == "dlr" else 2,
        note=note,
    )


def _autoattack(request: AttackRequest, settings: Settings) -> EvasionAttack:
    queries = {"max_iter": settings["queries"], "nb_restarts": settings["nb_restarts"]}
    makers = [_auto(AutoProjectedGradientDescent, loss) for loss, _ in _LOSSES.values()]
    attacks = [make(request, settings) for make in makers]
    attacks.append(ready(DeepFool, epsilon=1e-3)(request, {"max_iter": settings["max_iter"]}))
    attacks.append(ready(SquareAttack)(request, queries))
    return ready(AutoAttack, eps_step=_two_budgets, attacks=attacks)(request, {})


def _version(request: AttackRequest, settings: Settings) -> str:
    if getattr(request.classifier, "is_random", False):
        return "rand"
    return "plus" if settings["plus"] else "standard"


_WEAK_CE = "with cross-entropy it is weak on undefended networks too: no sign of robustness"

ROWS: tuple[AttackSpec, ...] = (
    _row("apgd", "AutoPGD", AutoProjectedGradientDescent, "ce"),
    _row("apgd", "AutoPGD", AutoProjectedGradientDescent, "dlr"),
    _row("acg", "Auto conjugate gradient", AutoConjugateGradient, "ce", _WEAK_CE),
    _row("acg", "Auto conjugate gradient", AutoConjugateGradient, "dlr"),
    _row("reacg", "Rescaling ACG", RescalingAutoConjugateGradient, "ce", _WEAK_CE),
    _row("reacg", "Rescaling ACG", RescalingAutoConjugateGradient, "dlr"),
    stepping(
        "autoattack",
        "AutoAttack, ART's own implementation",
        AutoAttack,
        make=_autoattack,
        tiers=in_tiers(
            {"max_iter": 50, "num_random_init": 1, "queries": 1000, "nb_restarts": 1},
            smoke={"max_iter": 15, "queries": 100},
            # ART's defaults
            strong={"max_iter": 100, "num_random_init": 5, "queries": 5000, "nb_restarts": 5},
        ),
        norms=("inf", "2"),
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
        make=ready(OriginalAutoAttack, version=_version),
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
