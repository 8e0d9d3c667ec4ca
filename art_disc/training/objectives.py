"""What a step of a training minimises: the loss of one batch, as an object."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.training.adversary import AnyAdversary, perturbed


@runtime_checkable
class Objective(Protocol):
    """The loss of a batch; the loop knows nothing else of how a network is taught.

    A loss of one's own derives from this class, or has these four members.

    Example:
        >>> class Smoothed(Objective):
        ...     def __call__(self, model, x, y, *, progress, generator):
        ...         return nn.functional.cross_entropy(model(x), y, label_smoothing=0.1)
        ...     def facts(self):
        ...         return {"label_smoothing": 0.1}
        ...     def describe(self):
        ...         return "label smoothing 0.1"
        >>> isinstance(Smoothed(), Objective)
        True
    """

    @abstractmethod
    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float, generator: torch.Generator
    ) -> Tensor:
        """Return the loss of a batch, a scalar that the weights have a gradient of.

        Args:
            model: Network and defences in train mode; returns logits (n, classes).
            x: Images (n, c, h, w) in [0, 1], on the model's device.
            y: Class indices (n,).
            progress: Share of the training's steps already taken, in [0, 1).
            generator: Of whatever is drawn, on the CPU; seeded, and kept in checkpoints.
        """

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return what decides the loss, in plain JSON values that name it; equal ones train alike.

        They are part of the cache's key, and of what a checkpoint must agree with.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return one readable phrase."""

    @property
    def eps(self) -> float | None:
        """Budget at which `TrainingResult.robust_accuracy` is looked at; None: not at all."""
        return None


@dataclass(frozen=True, slots=True)
class CrossEntropy(Shown, Objective):
    """The mean cross-entropy of the images as they are: natural training."""

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float, generator: torch.Generator
    ) -> Tensor:
        """Return the mean over the batch; draws nothing."""
        del progress, generator
        return nn.functional.cross_entropy(model(x), y)

    def facts(self) -> dict[str, Any]:
        """Return that nobody attacks."""
        return {"adversary": None}

    def describe(self) -> str:
        """Return `natural`."""
        return "natural"


@dataclass(frozen=True, slots=True)
class Adversarial(Shown, Objective):
    """A loss on images that an adversary moved first.

    Args:
        adversary: Moves the images.
        loss: Of the moved images.
    """

    adversary: AnyAdversary
    loss: Objective = field(default_factory=CrossEntropy)

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float, generator: torch.Generator
    ) -> Tensor:
        """Return the loss of the moved images; the adversary is as strong as its ramp says."""
        moved = perturbed(model, x, y, self.adversary.at(progress), generator)
        return self.loss(model, moved, y, progress=progress, generator=generator)

    def facts(self) -> dict[str, Any]:
        """Return the loss's and the adversary's."""
        return {**self.loss.facts(), "adversary": self.adversary.facts()}

    def describe(self) -> str:
        """Return the adversary's phrase, and the loss's where it is not cross-entropy."""
        plain = isinstance(self.loss, CrossEntropy)
        return self.adversary.describe() + ("" if plain else f", {self.loss.describe()}")

    @property
    def eps(self) -> float:
        """The adversary's full budget."""
        return self.adversary.eps


def objective_of(objective: Objective | None, adversary: AnyAdversary | None) -> Objective:
    """Return the one objective of a loss (None: cross-entropy) and an adversary (None: nobody).

    Raises:
        InputError: Something else was given.
    """
    loss = CrossEntropy() if objective is None else objective
    if isinstance(loss, type) or not isinstance(loss, Objective):
        msg = (
            f"objective must be an Objective or None, got {_kind(loss)}; give an object with "
            "__call__(model, x, y, *, progress, generator), facts(), describe() and eps"
        )
        raise InputError(msg)
    if adversary is None:
        return loss
    if isinstance(adversary, type) or not isinstance(adversary, AnyAdversary):
        msg = (
            f"adversary must be an Adversary or None, got {_kind(adversary)}; one of your own "
            "needs eps, at, scaled, look, moved, facts and describe"
        )
        raise InputError(msg)
    return Adversarial(adversary, loss)


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def check_loss(loss: object) -> None:
    """Refuse what is no scalar tensor with a gradient.

    Raises:
        InputError: It is not.
    """
    if not isinstance(loss, Tensor) or loss.ndim or not loss.requires_grad:
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        msg = (
            f"an objective must return a scalar tensor that has a gradient, got {shape}, "
            f"requires_grad {getattr(loss, 'requires_grad', False)}; average over the batch, and "
            "do not detach"
        )
        raise InputError(msg)
