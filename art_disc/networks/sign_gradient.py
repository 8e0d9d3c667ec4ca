"""How a network with binarised activations is differentiated, whatever its layers say."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from art_disc.core.checks import check_choice, check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.networks.binarised import Binarization
from art_disc.networks.integer import Thresholds
from art_disc.networks.latent import binarised_layers
from art_disc.networks.sign import ESTIMATORS, SignActivation, estimating
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

    def of(self, network: nn.Module) -> "SignGradient":
        """Return it with the layers' own estimator by name, where they have one and it has none."""
        own = _estimators(network)
        return replace(self, estimator=own.pop()) if not self.estimator and len(own) == 1 else self

    def seen_by_margins(self) -> "SignGradient":
        """Return the same for the first of all temperatures that a margin cannot tell apart.

        A power of 2 scales a margin's gradient without rounding, so that its signs and directions
        stay; where an estimator clips values, they may not.
        """
        return self if self.estimator in (None, "clipped") else replace(self, temperature=1.0)

    # were it a call, it would pass for a surrogate of codewords
    def logits(self, network: Callable[[Tensor], Any], x: Tensor) -> Any:
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


# what a binarised network is attacked through unasked: cross-entropy has a gradient in float32 at
# one of these temperatures, whatever the size of the logits
SPREAD = tuple(
    f"ste_{name}:{temperature}"
    for name in ("hard_tanh", "identity", "polynomial")
    for temperature in (1, 16, 256)
)


def _estimators(model: nn.Module) -> set[str]:
    """Return the estimators that a network's binarised activations have of their own."""
    layers = [one.binarization for one in binarised_layers(model)]
    found = {how.estimator for how in layers if how.activations != "real"}
    found |= {one.estimator for one in model.modules() if isinstance(one, SignActivation)}
    # those of whole numbers have the usual one, unless the block that they run in has another
    whole = any(isinstance(module, Thresholds) for module in model.modules())
    return found | {Binarization().estimator} if whole else found


def has_signs(model: nn.Module) -> bool:
    """Whether a network has binarised activations, which only an estimator has a gradient of."""
    return bool(_estimators(model))
