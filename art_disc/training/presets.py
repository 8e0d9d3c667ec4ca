"""What a certified training of MNIST's size is begun with, for three budgets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from art_disc.core.checks import number_of
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.training.certified import Certified

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
    0.1: _preset(0.15, 0.5),
    0.2: _preset(0.22, 0.4),
    0.3: _preset(0.31, 0.3),
}


def certified_preset(eps: float) -> Preset:
    """Return the training to begin with for a budget, 0.1, 0.2 or 0.3 on the [0, 1] scale.

    Raises:
        InputError: Another budget.
    """
    if (found := PRESETS.get(number_of(eps))) is None:
        known = ", ".join(f"{budget:g}" for budget in PRESETS)
        msg = f"there are presets for eps {known}, got {eps!r}; write a Certified(...) of your own"
        raise InputError(msg)
    return found
