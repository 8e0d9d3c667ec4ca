"""Rows of the attacks that step along the loss gradient within a budget, AutoAttack among them."""

from typing import Any

from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    AutoAttack,
    AutoConjugateGradient,
    AutoProjectedGradientDescent,
    BasicIterativeMethod,
    DeepFool,
    FastGradientMethod,
    MomentumIterativeMethod,
    ProjectedGradientDescent,
    RescalingAutoConjugateGradient,
    SquareAttack,
)
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_numpy import (
    ProjectedGradientDescentNumpy,
)
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
    ProjectedGradientDescentPyTorch,
)

from art_disc.attacks.code_search import MOST_ROUNDS
from art_disc.attacks.code_space import CodeSpaceAttack
from art_disc.attacks.code_view import barred
from art_disc.attacks.original_autoattack import OriginalAutoAttack
from art_disc.attacks.sign_adam import SignAdamBPDA
from art_disc.attacks.spec import AttackRequest, AttackSpec, Maker, Settings, in_tiers
from art_disc.attacks.zoo.queries import fit_squares
from art_disc.attacks.zoo.rows import ready, setting, stepping


def step_size(request: AttackRequest, settings: Settings) -> float:
    """Step size; 0 means 2.5 budgets spread over the steps (Madry et al. 2018).

    A suite may say in how many steps the budget is crossed instead.
    """
    if settings["eps_step"]:
        return float(settings["eps_step"])
    if settings.get("steps_per_eps"):
        return request.eps / settings["steps_per_eps"]
    return 2.5 * request.eps / settings["max_iter"]


def iterations(settings: Settings) -> float:
    """Steps of all restarts together."""
    return settings["max_iter"] * max(1, settings.get("num_random_init", 1))


_PGD: dict[str, Any] = {
    "loss": "cross-entropy",
    "tiers": in_tiers(
        {"max_iter": 40, "num_random_init": 2, "eps_step": 0.0},
        smoke={"max_iter": 20, "num_random_init": 1},
        strong={"max_iter": 100, "num_random_init": 5},
    ),
    "cost": lambda s: (iterations(s), 2 * max(1, s["num_random_init"])),
}


# of the Square in AutoAttack, as published
_SQUARES = {"p_init": 0.8}

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
        loss="cross-entropy" if loss == "ce" else "margin",
        make=_auto(kind, art_name),
        tiers=in_tiers(
            {"max_iter": 50, "num_random_init": 1},
            smoke={"max_iter": 15},
            strong={"max_iter": 100, "num_random_init": 5},
        ),
        # ART refuses a target with this loss
        targetable=loss == "ce",
        cost=lambda s: (iterations(s), 2 * iterations(s) + 2),
        least_classes=3 if loss == "dlr" else 2,
        note=note,
    )


def _fit_autoattack(classifier: Any, norm: str, settings: Settings) -> tuple[Settings, str]:
    """Refuse images into which its Square does not fit; the settings are as they were."""
    return settings, fit_squares(classifier, norm, _SQUARES)[1]


def _autoattack(request: AttackRequest, settings: Settings) -> EvasionAttack:
    squares, _ = fit_squares(request.classifier, request.norm, _SQUARES)
    queries = {"max_iter": settings["queries"], "nb_restarts": settings["nb_restarts"], **squares}
    makers = [_auto(AutoProjectedGradientDescent, loss) for loss, _ in _LOSSES.values()]
    attacks = [make(request, settings) for make in makers]
    attacks.append(ready(DeepFool, epsilon=1e-3)(request, {"max_iter": settings["max_iter"]}))
    attacks.append(ready(SquareAttack)(request, queries))
    return ready(AutoAttack, eps_step=_two_budgets, attacks=attacks)(request, {})


def _version(request: AttackRequest, settings: Settings) -> str:
    if getattr(request.classifier, "is_random", False):
        return "rand"
    return "plus" if settings["plus"] else "standard"


def _code_space_cost(settings: Settings) -> tuple[float, float]:
    """Of an image that stands: each start, rounds of flips after the first and all, random ones."""
    starts, flips = settings["num_random_init"], settings["neighbours"]
    rounds = (MOST_ROUNDS if flips else 0) * (2 if starts else 1)
    drawn = settings["annealing"] * max(1, starts)
    return settings["max_iter"] * (1 + starts) + rounds, 6 + starts + rounds * 1.5 * flips + drawn


_WEAK_CE = "with cross-entropy it is weak on undefended networks too: no sign of robustness"


ROWS: tuple[AttackSpec, ...] = (
    stepping(
        "fgsm",
        "Fast gradient sign method",
        FastGradientMethod,
        loss="cross-entropy",
        tiers=in_tiers({"num_random_init": 0}),
        cost=lambda _: (1, 1),
    ),
    stepping(
        "pgd",
        "Projected gradient descent, random starts",
        ProjectedGradientDescent,
        make=ready(ProjectedGradientDescent, eps_step=step_size),
        **_PGD,
    ),
    stepping(
        "pgd_torch",
        "Projected gradient descent, ART's PyTorch code",
        ProjectedGradientDescentPyTorch,
        make=ready(ProjectedGradientDescentPyTorch, eps_step=step_size),
        note="what pgd runs for a classifier of ours",
        **_PGD,
    ),
    stepping(
        "pgd_numpy",
        "Projected gradient descent, ART's NumPy code",
        ProjectedGradientDescentNumpy,
        make=ready(ProjectedGradientDescentNumpy, eps_step=step_size),
        note="equals pgd on a deterministic classifier",
        **_PGD,
    ),
    stepping(
        "bim",
        "Basic iterative method",
        BasicIterativeMethod,
        make=ready(BasicIterativeMethod, eps_step=step_size),
        loss="cross-entropy",
        tiers=in_tiers(
            {"max_iter": 40, "eps_step": 0.0}, smoke={"max_iter": 20}, strong={"max_iter": 100}
        ),
        norms=("inf",),
        cost=lambda s: (iterations(s), 2),
        note="PGD without a random start",
    ),
    stepping(
        "mim",
        "Momentum iterative method",
        MomentumIterativeMethod,
        make=ready(MomentumIterativeMethod, eps_step=step_size),
        loss="cross-entropy",
        tiers=in_tiers(
            {"max_iter": 40, "decay": 1.0, "eps_step": 0.0},
            smoke={"max_iter": 20},
            strong={"max_iter": 100},
        ),
        cost=lambda s: (iterations(s), 2),
    ),
    stepping(
        "sign_adam",
        "Sign-Adam BPDA (the papers' own)",
        SignAdamBPDA,
        make=ready(SignAdamBPDA, eps_step=step_size),
        loss="margin",
        tiers=in_tiers(
            {"max_iter": 100, "eps_step": 0.0}, smoke={"max_iter": 20}, strong={"max_iter": 200}
        ),
        norms=("inf",),
        cost=lambda s: (s["max_iter"], 1),
        note="not ART's; the attack of the discretisation papers",
    ),
    stepping(
        "code_space",
        "Code-space attack, flips of reachable codes",
        CodeSpaceAttack,
        tiers=in_tiers(
            {"max_iter": 20, "num_random_init": 4, "neighbours": 32, "annealing": 0},
            smoke={"max_iter": 10, "num_random_init": 1, "neighbours": 16},
            strong={"max_iter": 40, "num_random_init": 10, "neighbours": 64, "annealing": 500},
        ),
        norms=("inf",),
        cost=_code_space_cost,
        loss="margin",
        behind=True,
        fit=lambda classifier, _, settings: (settings, barred(classifier)),
        note="not ART's; needs a codebook map first, whose codes it changes: through no surrogate",
    ),
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
        targetable=False,
        cost=lambda s: (
            2 * iterations(s) + 10 * s["max_iter"],
            4 * iterations(s) + s["max_iter"] + 3 * s["queries"] * s["nb_restarts"] + 20,
        ),
        least_classes=3,
        packages=("multiprocess",),
        fit=_fit_autoattack,
        note="AutoPGD twice, DeepFool and Square, which is fitted to the images as the row square; "
        "ART's has neither FAB nor targeted AutoPGD",
    ),
    stepping(
        "autoattack_original",
        "AutoAttack, its authors' package autoattack",
        OriginalAutoAttack,
        make=ready(OriginalAutoAttack, version=_version),
        tiers=in_tiers(
            {"plus": 0, "n_iter": 100, "n_queries": 5000},
            smoke={"n_iter": 10, "n_queries": 100},
            strong={"plus": 1},
        ),
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
