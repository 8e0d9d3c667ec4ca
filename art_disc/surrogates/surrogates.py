"""Differentiable stand-ins for a discretisation, for the backward pass of BPDA."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.surrogates.pixels import Surrogate, channels_255
from art_disc.surrogates.ramp import Ramp
from art_disc.surrogates.smoothed import SmoothedStep
from art_disc.surrogates.soft import soft_mean


@dataclass(frozen=True, slots=True)
class SoftAssignment:
    """The papers' g: a softmax-weighted mean of the codewords.

    g(x) = sum_j c_j exp(-alpha |x - c_j|) / sum_j exp(-alpha |x - c_j|), with the codebook's
    metric, not squared. With scalar codewords it is flat beyond the outer ones (all distances move
    together): a pixel that a random start puts there gets no gradient and is lost to the attack.
    Attack through `Identity` or with a `leak` too.

    Args:
        alpha: Inverse temperature > 0 on the [0, 1] scale: the papers' 10 for MNIST, 25.5 for
            colour (their 0.1 on 0..255). More is sharper.
        leak: Slope >= 0 with which a scalar g goes on beyond the outer codewords; 0 is the papers'.

    Raises:
        InputError: `alpha` is not a positive number, or `leak` is negative.

    Source: Chen et al. 2018, section 5 (evaluation methods).
    """

    alpha: float = 10.0
    leak: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.leak) and self.leak >= 0):
            msg = f"leak must be a number >= 0, got {self.leak}"
            raise InputError(msg)
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            msg = f"alpha must be a positive number (1 / range of [0, 1]), got {self.alpha}"
            raise InputError(msg)

    @property
    def name(self) -> str:
        """`soft(alpha=...)`, with its leak if it has one."""
        leak = f", leak={self.leak:g}" if self.leak else ""
        return f"soft(alpha={self.alpha:g}{leak})"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:
        """Return g of every pixel; see `Surrogate`."""
        levels = codebook.levels
        channels = channels_255(x, codebook)
        beyond = None
        if len(channels) == 1:
            # same value; without it the flat part has a gradient of rounding noise, and a sign
            outer = [code[0] for code in levels]
            inside = channels[0].clamp(min(outer), max(outer))
            beyond = channels[0] - inside
            channels = [inside]
        rate = self.alpha / 255
        means = soft_mean(channels, levels, codebook.nearest_metric, rate)
        smooth = [mean / 255 for mean in means]
        if self.leak and beyond is not None:
            smooth = [smooth[0] + self.leak / 255 * beyond]
        return smooth[0] if codebook.per_channel else torch.stack(smooth, dim=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """The straight-through gradient: the map is differentiated as if it were not there.

    Source: Athalye, Carlini, Wagner 2018, section 4.1 (BPDA with the identity).
    """

    @property
    def name(self) -> str:
        """`identity`."""
        return "identity"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:  # noqa: ARG002 - protocol
        """Return `x`."""
        return x.clone()


@dataclass(frozen=True, slots=True)
class Custom:
    """A user's own stand-in for the whole map.

    Args:
        function: Differentiable map from images (n, c, h, w) in [0, 1] to images of that shape.
        label: Name for tables.
    """

    function: Callable[[Tensor], Tensor]
    label: str = "custom"

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:  # noqa: ARG002 - protocol
        """Apply the function.

        Raises:
            InputError: It changed the shape.
        """
        smooth = self.function(x)
        if smooth.shape != x.shape:
            msg = f"{self.label} must keep the shape {tuple(x.shape)}, got {tuple(smooth.shape)}"
            raise InputError(msg)
        return smooth


SurrogateLike = Surrogate | Callable[[Tensor], Tensor] | str
# those of codebooks; level codes have a ramp too
WORDS = "identity, soft[:ALPHA[:LEAK]], smooth[:WIDTH]"


def as_surrogate(surrogate: SurrogateLike) -> Surrogate:
    """Return a surrogate from an object, a callable or a name.

    Args:
        surrogate: A surrogate of this package; a callable on images in [0, 1]; or `identity`,
            `soft`, `soft:25.5` with its alpha, `soft:25.5:1` with its alpha and leak, `smooth`,
            `smooth:0.1` with its width, or, for level codes, `ramp` and `ramp:0.1`.

    Raises:
        InputError: None of these.
    """
    if isinstance(surrogate, SoftAssignment | SmoothedStep | Ramp | Identity | Custom):
        return surrogate
    if isinstance(surrogate, str):
        name, _, value = surrogate.partition(":")
        if name == "identity" and not value:
            return Identity()
        kinds: dict[str, Callable[..., Surrogate]]
        kinds = {"soft": SoftAssignment, "smooth": SmoothedStep, "ramp": Ramp}
        if name in kinds:
            try:
                return kinds[name](*(float(part) for part in value.split(":") if value))
            except (ValueError, TypeError):
                pass
    elif callable(surrogate) and hasattr(surrogate, "name"):
        return surrogate  # type: ignore[return-value]  # a protocol cannot be told by call alone
    elif callable(surrogate):
        return Custom(surrogate, getattr(surrogate, "__name__", "custom"))
    msg = f"surrogate must be {WORDS}, ramp[:WIDTH] or a callable, got {surrogate!r}"
    raise InputError(msg)
