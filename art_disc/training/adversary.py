"""The inner maximisation of adversarial training, in l_inf."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_choice, check_count, check_eps, check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.training.recipe import check_share, evaluating

METHODS = ("pgd", "single_step")


@runtime_checkable
class AnyAdversary(Protocol):
    """Whom a network may be trained against: it moves images before the loss sees them."""

    @property
    def eps(self) -> float:
        """Full budget on the [0, 1] scale."""

    def at(self, progress: float) -> Self:
        """Return the adversary at a moment of the training, `progress` in [0, 1] of the way."""

    def scaled(self, share: float) -> Self:
        """Return the adversary within this share, in (0, 1], of its budget."""

    def look(self) -> "AnyAdversary":
        """Return the adversary of a first look at the robustness after training."""

    def moved(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Return moved images; the model is in eval mode, and gradients are on."""

    def facts(self) -> dict[str, Any]:
        """Return what decides the moved images, in plain values; equal ones train alike."""

    def describe(self) -> str:
        """Return one readable phrase."""


def ramped_share(progress: float, ramp: float) -> float:
    """Return the share of full strength, in (0, 1], at a moment of the training."""
    # never quite 0, which is no adversary
    return 1.0 if progress >= ramp else max(progress / ramp, 1e-3)


def check_budget(eps: float) -> float:
    """Return the budget of an adversary in (0, 1].

    Raises:
        InputError: It is none.
    """
    if (given := check_eps(eps)) == 0:
        msg = "eps must be > 0; for natural training leave the adversary out"
        raise InputError(msg)
    return given


def gradient_sign(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the sign of the cross-entropy's gradient with respect to the images."""
    leaf = x.detach().requires_grad_()
    loss = nn.functional.cross_entropy(model(leaf), y, reduction="sum")
    # the weights' own gradients are not touched
    (slope,) = torch.autograd.grad(loss, leaf)
    return slope.sign()


@dataclass(frozen=True, slots=True)
class Adversary(Shown):
    """Whom a network is trained against: signed gradient steps on the cross-entropy, in l_inf.

    The steps are taken with the network in eval mode (dropout off, batch statistics fixed), the
    weights then learn in train mode; images stay in [0, 1].

    Args:
        eps: Budget in (0, 1].
        method: `pgd` (Madry et al.), or `single_step` (one step from a random start).
        steps: Gradient steps of `pgd`; `single_step` takes one.
        step_size: Of each step, > 0; None: 2.5 eps / steps, and 1.25 eps for `single_step`.
        random_start: Begin anywhere in the budget, not at the image.
        ramp: Share of the training, in [0, 1), over which budget and steps grow from 0 to full
            size: large budgets are learnt sooner so.

    Raises:
        InputError: A value does not fit.

    Source: Madry et al. 2018, section 2.1; Wong, Rice, Kolter 2020, section 4 (single step).
    """

    eps: float
    method: str = "pgd"
    steps: int = 10
    step_size: float | None = None
    random_start: bool = True
    ramp: float = 0.0

    def __post_init__(self) -> None:
        check_budget(self.eps)
        check_choice(self.method, "method", METHODS)
        check_count(self.steps, "steps")
        if self.step_size is not None:
            check_positive(self.step_size, "step_size")
        check_share(self.ramp, "ramp")

    @property
    def step_count(self) -> int:
        """Gradient steps that are really taken."""
        return 1 if self.method == "single_step" else self.steps

    @property
    def step_length(self) -> float:
        """Size of each step, as given or by default."""
        if self.step_size is not None:
            return self.step_size
        return (1.25 if self.method == "single_step" else 2.5 / self.steps) * self.eps

    def at(self, progress: float) -> Self:
        """Return the adversary at a moment of the training, `progress` in [0, 1] of the way."""
        return self.scaled(ramped_share(progress, self.ramp))

    def scaled(self, share: float) -> Self:
        """Return the adversary within this share, in (0, 1], of its budget, of as short steps."""
        if share == 1:
            return self
        return replace(self, eps=share * self.eps, step_size=share * self.step_length)

    def look(self) -> "Adversary":
        """Return PGD-20 at the same budget."""
        return Adversary(self.eps, steps=20)

    def moved(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Return the last iterate; see `AnyAdversary`."""
        low, high = (x - self.eps).clamp_min(0), (x + self.eps).clamp_max(1)
        moved = x.detach()
        if self.random_start:
            start = torch.rand(x.shape, generator=generator).to(x.device)
            moved = torch.clamp(x + self.eps * (2 * start - 1), low, high)
        for _ in range(self.step_count):
            step = self.step_length * gradient_sign(model, moved, y)
            moved = torch.clamp(moved + step, low, high)
        return moved

    def facts(self) -> dict[str, float | int | str | bool]:
        """Return what decides the perturbations, in plain values; equal ones train alike."""
        return {
            "method": self.method,
            "eps": float(self.eps),
            "steps": self.step_count,
            "step_size": float(self.step_length),
            "random_start": self.random_start,
            # one without has the key that it always had
            **({"ramp": self.ramp} if self.ramp else {}),
        }

    def describe(self) -> str:
        """Return one readable phrase."""
        name = "single-step" if self.method == "single_step" else f"PGD-{self.steps}"
        start = "" if self.random_start else ", no random start"
        start += f", ramp {self.ramp:g}" if self.ramp else ""
        return f"adversarial ({name}, eps {self.eps:.4g}, step {self.step_length:.4g}{start})"


def perturbed(
    model: nn.Module, x: Tensor, y: Tensor, adversary: AnyAdversary, generator: torch.Generator
) -> Tensor:
    """Return images within the budget on which the loss is large.

    Args:
        model: Returns logits (n, classes); its mode and its gradients are left as they were.
        x: Images in [0, 1], on the model's device.
        y: Class indices.
        adversary: How.
        generator: Of what is drawn, on the CPU.

    Returns:
        What the adversary found, in [0, 1], detached.
    """
    with evaluating(model), torch.enable_grad():
        return adversary.moved(model, x, y, generator).detach()
