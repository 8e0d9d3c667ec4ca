"""How a network with binarised activations is differentiated, whatever its layers say."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from art_disc.core.checks import check_choice, check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.networks.integer import Thresholds
from art_disc.networks.latent import binarised_layers
from art_disc.networks.sign import ESTIMATORS, estimating
from art_disc.surrogates import Vocabulary

_MOST = 20


@dataclass(frozen=True, slots=True)
class SignGradient(Shown):
    """A straight-through estimator and a temperature to attack a binarised network through.

    Attributes:
        estimator: Gradient of sign(x), see `networks.sign`; None: that of each layer.
        temperature: Of logits / temperature, a power of 2 from 2^-20 to 2^20, so that the quotients
            are exact and no prediction changes. Binarised networks have large logits, of whose
            cross-entropy float32 leaves no gradient.

    Raises:
        InputError: Another estimator, or a temperature that is no such power.

    Source: Gupta, Ajanthan 2022 (temperature scaling).
    """

    estimator: str | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.estimator is not None:
            check_choice(self.estimator, "estimator", ESTIMATORS)
        given = check_positive(self.temperature, "temperature")
        power = round(math.log2(given))
        if given != 2.0**power or abs(power) > _MOST:
            near = 2.0 ** max(-_MOST, min(_MOST, power))
            msg = (
                f"temperature must be a power of 2 from 2^-{_MOST} to 2^{_MOST}, got {given:g}: "
                f"another one could make logits equal that are not; take {near:g}"
            )
            raise InputError(msg)
        object.__setattr__(self, "temperature", given)

    @property
    def name(self) -> str:
        """`ste_ESTIMATOR(temperature=...)`."""
        return f"ste_{self.estimator or 'own'}(temperature={self.temperature:g})"

    def __call__(self, network: Callable[[Tensor], Any], x: Tensor) -> Any:
        """Return the network's logits of its inputs over the temperature."""
        with estimating(self.estimator):
            logits = network(x)
        return logits if self.temperature == 1 else logits / self.temperature


_USAGE = (
    f"one of {', '.join(f'ste_{name}' for name in ESTIMATORS)}, with :TEMPERATURE (a power of 2) "
    "or without, or a SignGradient"
)
# words for `with_surrogate`, `ste_hard_tanh:16`
SIGN_GRADIENTS = Vocabulary(
    _USAGE,
    {f"ste_{name}": partial(SignGradient, name) for name in ESTIMATORS},
    kinds=(SignGradient,),
)


def has_signs(model: nn.Module) -> bool:
    """Whether a network has binarised activations, which only an estimator has a gradient of."""
    # those of whole numbers take their estimator from the block that they run in, too
    whole = any(isinstance(module, Thresholds) for module in model.modules())
    return whole or any(
        layer.binarization.activations != "real" for layer in binarised_layers(model)
    )
