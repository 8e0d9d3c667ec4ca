"""Rows of the attacks that step along the loss gradient within a budget."""

from collections.abc import Callable
from typing import Any

from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    BasicIterativeMethod,
    FastGradientMethod,
    MomentumIterativeMethod,
    ProjectedGradientDescent,
)
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_numpy import (
    ProjectedGradientDescentNumpy,
)
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
    ProjectedGradientDescentPyTorch,
)

from art_disc.attacks.sign_adam import SignAdamBPDA
from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, Tiers, in_tiers


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


def _fgsm(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return FastGradientMethod(
        **request.common,
        norm=request.order,
        num_random_init=int(settings["num_random_init"]),
    )


def _stepping(
    kind: Any, *, norm: bool = True
) -> Callable[[AttackRequest, Settings], EvasionAttack]:
    """Return the maker of PGD and its kin."""

    def make(request: AttackRequest, settings: Settings) -> EvasionAttack:
        options: dict[str, Any] = {"norm": request.order} if norm else {}
        if "num_random_init" in settings:
            options["num_random_init"] = int(settings["num_random_init"])
        if "decay" in settings:
            options["decay"] = float(settings["decay"])
        return kind(
            **request.common,
            **options,
            eps_step=step_size(request, settings),
            max_iter=int(settings["max_iter"]),
            verbose=False,
        )

    return make


def _sign_adam(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return SignAdamBPDA(
        **request.common,
        eps_step=step_size(request, settings),
        max_iter=int(settings["max_iter"]),
        verbose=False,
    )


_RESTARTED: Tiers = in_tiers(
    {"max_iter": 40, "num_random_init": 2, "eps_step": 0.0},
    smoke={"max_iter": 20, "num_random_init": 1},
    strong={"max_iter": 100, "num_random_init": 5},
)


def _pgd(name: str, label: str, kind: Any, note: str = "") -> AttackSpec:
    return AttackSpec(
        name=name,
        label=label,
        art=kind.__name__,
        make=_stepping(kind),
        tiers=_RESTARTED,
        norms=("inf", "2"),
        gradients=True,
        targetable=True,
        cost=lambda s: (iterations(s), 2 * max(1, s["num_random_init"])),
        note=note,
    )


ROWS: tuple[AttackSpec, ...] = (
    AttackSpec(
        name="fgsm",
        label="Fast gradient sign method",
        art="FastGradientMethod",
        make=_fgsm,
        tiers=in_tiers({"num_random_init": 0}),
        norms=("inf", "2"),
        gradients=True,
        targetable=True,
        cost=lambda _: (1, 1),
    ),
    _pgd("pgd", "Projected gradient descent, random starts", ProjectedGradientDescent),
    _pgd(
        "pgd_torch",
        "Projected gradient descent, ART's PyTorch code",
        ProjectedGradientDescentPyTorch,
        "what pgd runs for a classifier of ours",
    ),
    _pgd(
        "pgd_numpy",
        "Projected gradient descent, ART's NumPy code",
        ProjectedGradientDescentNumpy,
        "equals pgd on a deterministic classifier",
    ),
    AttackSpec(
        name="bim",
        label="Basic iterative method",
        art="BasicIterativeMethod",
        make=_stepping(BasicIterativeMethod, norm=False),
        tiers=in_tiers(
            {"max_iter": 40, "eps_step": 0.0}, smoke={"max_iter": 20}, strong={"max_iter": 100}
        ),
        norms=("inf",),
        gradients=True,
        targetable=True,
        cost=lambda s: (iterations(s), 2),
        note="PGD without a random start",
    ),
    AttackSpec(
        name="mim",
        label="Momentum iterative method",
        art="MomentumIterativeMethod",
        make=_stepping(MomentumIterativeMethod),
        tiers=in_tiers(
            {"max_iter": 40, "decay": 1.0, "eps_step": 0.0},
            smoke={"max_iter": 20},
            strong={"max_iter": 100},
        ),
        norms=("inf", "2"),
        gradients=True,
        targetable=True,
        cost=lambda s: (iterations(s), 2),
    ),
    AttackSpec(
        name="sign_adam",
        label="Sign-Adam BPDA (the papers' own)",
        art="",
        make=_sign_adam,
        tiers=in_tiers(
            {"max_iter": 100, "eps_step": 0.0}, smoke={"max_iter": 20}, strong={"max_iter": 200}
        ),
        norms=("inf",),
        gradients=True,
        targetable=True,
        cost=lambda s: (s["max_iter"], 1),
        note="not ART's; the attack of the discretisation papers",
    ),
)
