"""Knowledge distillation: a network learns from labels and from a trained network's logits."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.networks import weights_hash
from art_disc.training.objectives import Objective
from art_disc.training.recipe import evaluating


@dataclass(frozen=True, slots=True)
class Distilled(Shown, Objective):
    """A loss on labels, and on what a teacher says of the same images.

        (1 - w) CE(logits) + w T^2 KL(softmax(teacher's logits / T) || softmax(logits / T))

    The teacher sees each batch as it is given to the network, augmented and moved by an adversary,
    before the network's defences; it stays in eval mode and is not changed.

    Args:
        teacher: A trained network on the model's device: images (n, c, h, w) in [0, 1] to logits of
            the same classes; put a `DefendedModule` where it has defences.
        weight: w, in (0, 1].
        temperature: T, > 0.

    Raises:
        InputError: A value does not fit; in training, a teacher of other classes, or the network
            as its own teacher.

    Source: Hinton, Vinyals, Dean 2015, section 2; for networks of few bits taught by their twins of
    full precision: Mishra and Marr 2018.
    """

    teacher: nn.Module
    weight: float = 0.9
    temperature: float = 4.0

    def __post_init__(self) -> None:
        if not isinstance(self.teacher, nn.Module):
            msg = (
                "teacher must be a trained torch module that gives logits, got "
                f"{type(self.teacher).__name__}; of a classifier it is `classifier.model`"
            )
            raise InputError(msg)
        if not 0 < check_positive(self.weight, "weight") <= 1:
            msg = f"weight must be a share of the loss in (0, 1], got {self.weight!r}"
            raise InputError(msg)
        check_positive(self.temperature, "temperature")

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float, generator: torch.Generator
    ) -> Tensor:
        """Return the mean over the batch; draws nothing."""
        del progress, generator
        own = {id(weight) for weight in model.parameters()}
        if any(id(weight) in own for weight in self.teacher.parameters()):
            msg = "the network cannot be its own teacher; give another module, or a deep copy"
            raise InputError(msg)
        with evaluating(self.teacher), torch.no_grad():
            told = self.teacher(x)
        logits = model(x)
        if told.shape != logits.shape:
            msg = (
                f"the teacher must give logits of shape {tuple(logits.shape)}, as the network "
                f"does, got {tuple(told.shape)}"
            )
            raise InputError(msg)
        softer = self.temperature
        apart = nn.functional.kl_div(
            (logits / softer).log_softmax(1),
            (told / softer).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        concrete = nn.functional.cross_entropy(logits, y)
        return (1 - self.weight) * concrete + self.weight * softer**2 * apart

    def facts(self) -> dict[str, Any]:
        """Return the teacher's content, and how much it says."""
        return {
            "adversary": None,
            "teacher": {"network": repr(self.teacher), "weights": weights_hash(self.teacher)},
            "distillation": {
                "weight": float(self.weight),
                "temperature": float(self.temperature),
            },
        }

    def describe(self) -> str:
        """Return how much the teacher says."""
        return f"distilled, {self.weight:g} of the loss at temperature {self.temperature:g}"
