"""What a certified training of small images is begun with, for four budgets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from art_disc.core.checks import number_of
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.data import Dataset
from art_disc.networks import CertifiedNet, ibp_initialised_
from art_disc.training.cache import trained
from art_disc.training.certified import Certified, ibp_accuracy
from art_disc.training.loop import OnEpoch, TrainingResult

_EPOCHS = 40
# the same for all budgets
_SETTINGS: Mapping[str, Any] = {
    "epochs": _EPOCHS,
    "batch_size": 256,
    "learning_rate": 5e-4,
    "milestones": (0.7, 0.85),
    "decay": 0.2,
    "gradient_clip": 10.0,
    "l1": 2e-6,
    "augment": "shift",
    "population_statistics": True,
}


@dataclass(frozen=True, slots=True)
class Preset(Shown):
    """A training to begin with.

    Attributes:
        network: Options of `CertifiedNet`, whose weights `ibp_initialised_` draws.
        objective: The loss.
        settings: Those of `train`.
    """

    network: Mapping[str, Any]
    objective: Certified
    settings: Mapping[str, Any]

    def initial(self, data: Dataset) -> nn.Module:
        """Return the network for such images as a training begins with it, drawn by torch."""
        network = CertifiedNet(data.input_shape, data.nb_classes, **self.network)
        return ibp_initialised_(network)

    def trained(
        self, data: Dataset, defence: Any, *, device: Any = "cpu", **changes: Any
    ) -> tuple[nn.Module, TrainingResult]:
        """Train the network behind a codebook map, or take it from the cache; see `trained`.

        Args:
            data: Trains it.
            defence: The map, fitted to the training images where it is not fitted yet.
            device: Where the network is trained.
            **changes: Of the settings, and what else `trained` takes: `seed`, `epochs`,
                `on_epoch`, ...

        Raises:
            InputError: As for `trained`, or of `Certified`.
        """

        def make() -> nn.Module:
            return self.initial(data).to(device)

        options = {"objective": self.objective, **self.settings, **changes}
        return trained(make, data, defences=[defence], **options)


def watched(
    data: Dataset, eps: float, tell: Callable[[int, float, float], None], *, images: int = 1000
) -> OnEpoch:
    """Return an `on_epoch` that tells epoch, clean and IBP accuracy on the first test images.

    Args:
        data: What is looked at is its test part; give `data.held_out(n)`, so that nothing is
            fitted to the real one.
        eps: Budget of the bounds, on the [0, 1] scale.
        tell: Called with the epoch, from 1, and two shares in [0, 1]; see `ibp_accuracy`.
        images: Looked at, at most.
    """
    x, y = torch.tensor(data.x_test[:images]), torch.tensor(data.y_test[:images])

    def look(epoch: int, module: nn.Module) -> None:
        device = next(module.parameters()).device
        images, labels = x.to(device), y.to(device)
        with torch.no_grad():
            right = torch.cat([module(part).argmax(dim=1) for part in images.split(500)]) == labels
        tell(epoch, float(right.float().mean()), ibp_accuracy(module, images, labels, eps=eps))

    return look


def _preset(eps: float, kappa: float) -> Preset:
    objective = Certified(
        eps,
        kappa=kappa,
        warm_up=1 / _EPOCHS,
        ramp=14 / _EPOCHS,
        tightness=0.5,
        relu_balance=0.5,
    )
    return Preset({"size": "medium"}, objective, _SETTINGS)


# by the budget that is to be certified; trained at a little more, or, where it is small, much more
PRESETS: Mapping[float, Preset] = {
    2 / 255: _preset(2.2 / 255, 0.5),
    0.1: _preset(0.15, 0.5),
    0.2: _preset(0.22, 0.4),
    0.3: _preset(0.31, 0.3),
}


def certified_preset(eps: float) -> Preset:
    """Return the training to begin with for a budget on the [0, 1] scale.

    They are 0.1, 0.2 and 0.3, for MNIST and its like, and 2/255, for colour images.

    Raises:
        InputError: Another budget.
    """
    if (found := PRESETS.get(number_of(eps))) is None:
        known = ", ".join(f"{budget:g}" for budget in PRESETS if budget >= 0.1)
        msg = (
            f"there are presets for eps 2/255, {known}, got {eps!r}; write a Certified(...) of "
            "your own"
        )
        raise InputError(msg)
    return found
