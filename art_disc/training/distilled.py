"""Knowledge distillation: a network learns from labels and from a trained network's logits."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.defences import traits
from art_disc.estimators import DefendedModule
from art_disc.networks import weights_hash
from art_disc.training.objectives import Objective
from art_disc.training.recipe import evaluating


@dataclass(frozen=True, slots=True)
class Distilled(Shown, Objective):
    """A loss on labels, and on what a teacher says of the same images.

        (1 - w) CE(logits) + w T^2 KL(softmax(teacher's logits / T) || softmax(logits / T))

    The teacher sees each batch as it is given to the network, augmented and moved by an adversary,
    before the network's defences, and is asked in eval mode; nothing of it is changed. Labels of
    images that an adversary moved may be wrong to it, and then it teaches the error.

    Args:
        teacher: A trained network on the model's device: images (n, c, h, w) in [0, 1] to float32
            logits of the same classes. Of a classifier it is `classifier.model`, its defences
            included.
        weight: w, in (0, 1].
        temperature: T, > 0.

    Raises:
        InputError: A value does not fit; a teacher behind defences that draw, of another layout or
            range, or whose logits are divided by a temperature. In training: one of other classes,
            or that shares parameters with the network.

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
        for module in _defended(self.teacher):
            _check(module)
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
            msg = "teacher shares parameters with the network that it teaches; give a deep copy"
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
            "teacher": {
                "network": repr(self.teacher),
                "weights": weights_hash(self.teacher),
                # codebooks are no tensors of a module
                "defences": [
                    [traits(defence).facts() for defence in module.preprocessors]
                    for module in _defended(self.teacher)
                ],
            },
            "distillation": {
                "weight": float(self.weight),
                "temperature": float(self.temperature),
            },
        }

    def describe(self) -> str:
        """Return which weights teach, and how much."""
        return (
            f"taught by {weights_hash(self.teacher)} (distilled, {self.weight:g} of the loss at "
            f"temperature {self.temperature:g})"
        )


def _defended(teacher: nn.Module) -> list[DefendedModule]:
    return [part for part in teacher.modules() if isinstance(part, DefendedModule)]


def _check(module: DefendedModule) -> None:
    """Refuse a module whose logits are others than those of a batch of the training."""
    if any(traits(defence).is_random for defence in module.preprocessors):
        reason, cure = "behind defences that draw", "one without, or its frozen draws"
    elif not module.channels_first or module.upper != 1:
        reason, cure = "for another layout or range", "one for images (n, c, h, w) in [0, 1]"
    elif module.through.temperature != 1:
        reason, cure = "whose logits are divided by a temperature", "the classifier's own model"
    else:
        return
    msg = f"expected a teacher for the images that it teaches on, got one {reason}; give {cure}"
    raise InputError(msg)
