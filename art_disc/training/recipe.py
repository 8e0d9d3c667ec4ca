"""How a network is trained, apart from whom it is trained against."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_choice, check_count, check_positive, number_of
from art_disc.core.errors import InputError
from art_disc.networks import clamp_after_steps

OPTIMIZERS = ("adam", "fused_adam", "sgd")
# how far images are moved
_MARGINS = {"crop": 2, "crop_flip": 2, "shift": 1}
AUGMENTATIONS = tuple(_MARGINS)
PRECISIONS = ("float32", "bfloat16", "fastest")


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
    milestones: tuple[float, ...] = ()
    decay: float = 0.2
    gradient_clip: float | None = None
    l1: float = 0.0
    averaging: float = 0.0
    population_statistics: bool = False

    def __post_init__(self) -> None:
        # NumPy's numbers are as good as Python's, but JSON knows only these
        plain = {
            "epochs": check_count(self.epochs, "epochs"),
            "batch_size": check_count(self.batch_size, "batch_size"),
            "learning_rate": check_positive(self.learning_rate, "learning_rate"),
            "weight_decay": check_positive(self.weight_decay, "weight_decay", zero=True),
            "warm_up": check_share(self.warm_up, "warm_up"),
            "milestones": check_shares(self.milestones, "milestones"),
            "decay": check_positive(self.decay, "decay"),
            "l1": check_positive(self.l1, "l1", zero=True),
            "averaging": check_share(self.averaging, "averaging"),
            "population_statistics": bool(self.population_statistics),
        }
        if self.gradient_clip is not None:
            plain["gradient_clip"] = check_positive(self.gradient_clip, "gradient_clip")
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        check_choice(self.optimizer, "optimizer", OPTIMIZERS)
        if self.augment is not None:
            check_choice(self.augment, "augment", AUGMENTATIONS)
        check_choice(self.precision, "precision", PRECISIONS)
        if self.precision == "fastest":
            object.__setattr__(self, "precision", fastest_precision())

    def facts(self) -> dict[str, Any]:
        """Return what decides a training, in plain values; equal ones train alike."""
        facts = {**asdict(self), "milestones": list(self.milestones)}
        for name in _LATER:
            # one without has the key that it always had
            if facts[name] == _DEFAULTS[name] or (name == "decay" and not self.milestones):
                del facts[name]
        return facts

    def describe(self) -> str:
        """Return one readable phrase: what differs from nothing said."""
        words = [f"{self.epochs} epochs", f"{self.optimizer} {self.learning_rate:g}"]
        if self.warm_up:
            words.append(f"warm-up {self.warm_up:g}")
        if self.weight_decay:
            words.append(f"weight decay {self.weight_decay:g}")
        words.append(f"batch {self.batch_size}")
        if self.milestones:
            shares = ", ".join(f"{share:g}" for share in self.milestones)
            words.append(f"rate x {self.decay:g} at {shares}")
        others = {"gradient clip": self.gradient_clip, "l1": self.l1, "averaging": self.averaging}
        words += [f"{name} {value:g}" for name, value in others.items() if value]
        words += [str(w) for w in (self.augment, self.precision) if w not in (None, "float32")]
        return ", ".join(words)

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of a network's parameters, which keeps latent ones clamped."""
        weights, rate, decay = model.parameters(), self.learning_rate, self.weight_decay
        made: torch.optim.Optimizer
        if self.optimizer == "sgd":
            made = torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)
        else:
            fused = self.optimizer == "fused_adam"
            made = torch.optim.Adam(weights, lr=rate, weight_decay=decay, fused=fused or None)
        clamp_after_steps(made, model)
        return made

    def make_schedule(self, optimizer: torch.optim.Optimizer, steps: int) -> Any:
        """Return the schedule of the learning rate over `steps` steps in all."""
        if not self.warm_up and not self.milestones:
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        rising = max(1, round(self.warm_up * steps)) if self.warm_up else 0
        falls = [round(share * steps) for share in self.milestones]

        def share(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            if falls:
                return self.decay ** sum(step >= fall for fall in falls)
            return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

        return torch.optim.lr_scheduler.LambdaLR(optimizer, share)

    def penalty(self, model: nn.Module) -> Tensor | float:
        """Return `l1` times the sum of the sizes of the weights of layers that multiply."""
        if not self.l1:
            return 0.0
        named = ((name.rpartition(".")[2], value) for name, value in model.named_parameters())
        # not those of normalisation, nor what an activation learns
        sizes = [value.abs().sum() for name, value in named if name == "weight" and value.ndim > 1]
        return self.l1 * torch.stack(sizes).sum() if sizes else 0.0

    def clip(self, model: nn.Module) -> None:
        """Shorten the gradient of all parameters together to `gradient_clip` in l2."""
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self.gradient_clip)


# settings that came later than files that name the others
_LATER: tuple[str, ...] = (
    "milestones",
    "decay",
    "gradient_clip",
    "l1",
    "averaging",
    "population_statistics",
)
_DEFAULTS: dict[str, Any] = {
    **{field.name: field.default for field in fields(Recipe)},
    "milestones": [],
}


def recipe_of(**settings: Any) -> Recipe:
    """Return the recipe of some settings of `train`; refuse unknown ones."""
    known = tuple(field.name for field in fields(Recipe))
    if odd := sorted(set(settings) - set(known)):
        msg = f"unknown setting of a training: {odd[0]!r}; there are {', '.join(known)}"
        raise InputError(msg)
    return Recipe(**settings)


def fastest_precision() -> str:
    """Return `bfloat16` where this processor multiplies it, `float32` where it only stores it."""
    # torch tells since 2.9; before, the one that is right everywhere
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if any(able[name] for name in able if name.endswith("bf16")) else "float32"


def check_share(value: float, name: str) -> float:
    """Return a share of the training as a float; refuse one outside [0, 1)."""
    if not 0 <= number_of(value) < 1:
        msg = f"{name} must be a share of the training in [0, 1), got {value!r}"
        raise InputError(msg)
    return float(value)


def check_shares(values: Iterable[float], name: str) -> tuple[float, ...]:
    """Return shares of the training as floats; refuse what is no sequence of them."""
    if not isinstance(values, Iterable):
        msg = f"{name} must be shares of the training, such as (0.7, 0.85), got {values!r}"
        raise InputError(msg)
    return tuple(check_share(value, name) for value in values)


def augmented(x: Tensor, how: str | None, generator: torch.Generator) -> Tensor:
    """Return images moved by up to two pixels each way (`shift`: one), mirrored for `crop_flip`.

    Pixels that come in from outside are 0. Source: the CIFAR-10 challenge of Madry et al. 2018
    (crops of 32x32 out of 36x36).
    """
    if how is None:
        return x
    n, _, height, width = x.shape
    margin = _MARGINS[how]
    wide = nn.functional.pad(x, (margin,) * 4)
    top, left = torch.randint(2 * margin + 1, (2, n), generator=generator)
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
