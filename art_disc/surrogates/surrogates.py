"""Differentiable stand-ins for a discretisation, for the backward pass of BPDA."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from art_disc.codebooks import Codebook, distance
from art_disc.core.errors import InputError


@runtime_checkable
class Surrogate(Protocol):
    """A differentiable stand-in for the map of each pixel to its nearest codeword."""

    @property
    def name(self) -> str:
        """Short name for tables, with its parameter."""
        ...

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:
        """Return the smoothed images.

        Args:
            x: Images (n, c, h, w), float32 on the [0, 1] scale.
            codebook: The codebook whose hard map is stood in for.
        """
        ...


def channels_255(x: Tensor, codebook: Codebook) -> list[Tensor]:
    """Return images (n, c, h, w) as one tensor a codeword channel, on the 255 scale."""
    scaled = 255 * x
    return [scaled] if codebook.per_channel else list(scaled.unbind(dim=1))


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
        away = torch.stack([distance(channels, code, codebook.metric, torch) for code in levels])
        if codebook.metric == "l2" and len(channels) > 1:
            # the root has no slope at a codeword; the floor makes the gradient 0 there
            away = away.clamp_min(1e-12).sqrt()
        weights = torch.softmax(away * (-self.alpha / 255), dim=0)
        table = weights.new_tensor(levels) / 255
        smooth = [torch.einsum("k...,k->...", weights, column) for column in table.unbind(dim=1)]
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


def as_surrogate(surrogate: SurrogateLike) -> Surrogate:
    """Return a surrogate from an object, a callable or a name.

    Args:
        surrogate: A surrogate of this package; a callable on images in [0, 1]; or `identity`,
            `soft`, `soft:25.5` with its alpha, or `soft:25.5:1` with its alpha and leak.

    Raises:
        InputError: None of these.
    """
    if isinstance(surrogate, SoftAssignment | Identity | Custom):
        return surrogate
    if isinstance(surrogate, str):
        name, _, value = surrogate.partition(":")
        if name == "identity" and not value:
            return Identity()
        if name == "soft":
            try:
                return SoftAssignment(*(float(part) for part in value.split(":") if value))
            except (ValueError, TypeError):
                pass
    elif callable(surrogate) and hasattr(surrogate, "name"):
        return surrogate  # type: ignore[return-value]  # a protocol cannot be told by call alone
    elif callable(surrogate):
        return Custom(surrogate, getattr(surrogate, "__name__", "custom"))
    msg = f"surrogate must be identity, soft, soft:ALPHA[:LEAK] or a callable, got {surrogate!r}"
    raise InputError(msg)
