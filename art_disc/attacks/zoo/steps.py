"""Rows of the attacks that step along the loss gradient within a budget."""

from typing import Any

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
from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.rows import ready, stepping


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
    "tiers": in_tiers(
        {"max_iter": 40, "num_random_init": 2, "eps_step": 0.0},
        smoke={"max_iter": 20, "num_random_init": 1},
        strong={"max_iter": 100, "num_random_init": 5},
    ),
    "norms": ("inf", "2"),
    "cost": lambda s: (iterations(s), 2 * max(1, s["num_random_init"])),
}

ROWS: tuple[AttackSpec, ...] = (
    stepping(
        "fgsm",
        "Fast gradient sign method",
        FastGradientMethod,
        tiers=in_tiers({"num_random_init": 0}),
        norms=("inf", "2"),
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
        tiers=in_tiers(
            {"max_iter": 40, "decay": 1.0, "eps_step": 0.0},
            smoke={"max_iter": 20},
            strong={"max_iter": 100},
        ),
        norms=("inf", "2"),
        cost=lambda s: (iterations(s), 2),
    ),
    AttackSpec(
        name="sign_adam",
        label="Sign-Adam BPDA (the papers' own)",
        art="",
        make=ready(SignAdamBPDA, eps_step=step_size),
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
