"""How a network is trained, apart from whom it is trained against."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_choice, check_count, check_positive, number_of
from art_disc.core.errors import InputError
from art_disc.networks import clamp_after_steps

OPTIMIZERS = ("adam", "sgd")
AUGMENTATIONS = ("crop", "crop_flip")
PRECISIONS = ("float32", "bfloat16")
_MARGIN = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of `train`, which says what they mean; checked here.

    Raises:
        InputError: A value does not fit.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    batch_size: int = 64
    optimizer: str = "adam"
    weight_decay: float = 0.0
    warm_up: float = 0.0
    augment: str | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        # NumPy's numbers are as good as Python's, but JSON knows only these
        plain = {
            "epochs": check_count(self.epochs, "epochs"),
            "batch_size": check_count(self.batch_size, "batch_size"),
            "learning_rate": check_positive(self.learning_rate, "learning_rate"),
            "weight_decay": check_positive(self.weight_decay, "weight_decay", zero=True),
            "warm_up": check_share(self.warm_up, "warm_up"),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        check_choice(self.optimizer, "optimizer", OPTIMIZERS)
        if self.augment is not None:
            check_choice(self.augment, "augment", AUGMENTATIONS)
        check_choice(self.precision, "precision", PRECISIONS)

    def facts(self) -> dict[str, Any]:
        """Return every setting in plain values; equal ones train alike."""
        return asdict(self)

    def describe(self) -> str:
        """Return one readable phrase: what differs from nothing said."""
        words = [f"{self.epochs} epochs", f"{self.optimizer} {self.learning_rate:g}"]
        if self.warm_up:
            words.append(f"warm-up {self.warm_up:g}")
        if self.weight_decay:
            words.append(f"weight decay {self.weight_decay:g}")
        words.append(f"batch {self.batch_size}")
        words += [str(w) for w in (self.augment, self.precision) if w not in (None, "float32")]
        return ", ".join(words)

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of a network's parameters, which keeps latent ones clamped."""
        weights, rate, decay = model.parameters(), self.learning_rate, self.weight_decay
        made: torch.optim.Optimizer
        if self.optimizer == "sgd":
            made = torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)
        else:
            made = torch.optim.Adam(weights, lr=rate, weight_decay=decay)
        clamp_after_steps(made, model)
        return made

    def make_schedule(self, optimizer: torch.optim.Optimizer, steps: int) -> Any:
        """Return the schedule of the learning rate over `steps` steps in all."""
        if not self.warm_up:
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        rising = max(1, round(self.warm_up * steps))

        def share(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

        return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def recipe_of(**settings: Any) -> Recipe:
    """Return the recipe of some settings of `train`; refuse unknown ones."""
    known = tuple(field.name for field in fields(Recipe))
    if odd := sorted(set(settings) - set(known)):
        msg = f"unknown setting of a training: {odd[0]!r}; there are {', '.join(known)}"
        raise InputError(msg)
    return Recipe(**settings)


def check_share(value: float, name: str) -> float:
    """Return a share of the training as a float; refuse one outside [0, 1)."""
    if not 0 <= number_of(value) < 1:
        msg = f"{name} must be a share of the training in [0, 1), got {value!r}"
        raise InputError(msg)
    return float(value)


def augmented(x: Tensor, how: str | None, generator: torch.Generator) -> Tensor:
    """Return images moved by up to two pixels each way, and mirrored for `crop_flip`.

    Pixels that come in from outside are 0. Source: the CIFAR-10 challenge of Madry et al. 2018
    (crops of 32x32 out of 36x36).
    """
    if how is None:
        return x
    n, _, height, width = x.shape
    wide = nn.functional.pad(x, (_MARGIN,) * 4)
    top, left = torch.randint(2 * _MARGIN + 1, (2, n), generator=generator)
    rows = (top[:, None] + torch.arange(height)).view(n, 1, height, 1)
    columns = left[:, None] + torch.arange(width)
    if how == "crop_flip":
        mirrored = torch.rand(n, generator=generator) < 0.5
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    every = torch.arange(n).view(n, 1, 1, 1), torch.arange(x.shape[1]).view(1, -1, 1, 1)
    return wide[(*every, rows, columns.view(n, 1, 1, width))]


class Mixed(nn.Module):
    """A network whose convolutions and products run in bfloat16; float32 in and out.

    Args:
        network: Shared, not copied; its weights stay float32.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return float32 logits."""
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            logits: Tensor = self.network(x)
        return logits.float()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into eval mode inside the block; afterwards each part is as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
