"""Differentiable stand-ins for a discretisation, for the backward pass of BPDA."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from art_disc.codebooks import Codebook
from art_disc.core.checks import check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.surrogates.levels import LevelCode
from art_disc.surrogates.pixels import Surrogate, channels_255, from_channels
from art_disc.surrogates.smoothed import SmoothedStep
from art_disc.surrogates.soft import soft_mean


@dataclass(frozen=True, slots=True)
class SoftAssignment(Shown):
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
        check_positive(self.leak, "leak", zero=True)
        check_positive(self.alpha, "alpha", scale=" (1 / range of [0, 1])")

    @property
    def name(self) -> str:
        """`soft(alpha=...)`, with its leak if it has one."""
        leak = f", leak={self.leak:g}" if self.leak else ""
        return f"soft(alpha={self.alpha:g}{leak})"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:
        """Return g of every pixel; see `PixelSurrogate`."""
        levels = np.float32(255) * codebook.codewords_
        channels = channels_255(x, codebook)
        beyond = None
        if len(channels) == 1:
            # same value; without it the flat part has a gradient of rounding noise, and a sign
            inside = channels[0].clamp(float(levels.min()), float(levels.max()))
            beyond = channels[0] - inside
            channels = [inside]
        means = soft_mean(channels, levels, codebook.nearest_metric, self.alpha / 255)
        smooth = [mean / 255 for mean in means]
        if self.leak and beyond is not None:
            smooth = [smooth[0] + self.leak / 255 * beyond]
        return from_channels(smooth, codebook)

    def of_levels(self, x: Tensor, levels: LevelCode) -> Tensor:
        """Return softened codes by distances to the levels' middles; see `LevelSurrogate`."""
        # all distances move together beyond the outer middles: the clamp keeps rounding noise
        # from becoming a sign there
        inside = x.clamp(0.5 / levels.n_levels, 1 - 0.5 / levels.n_levels)
        scores = (inside.unsqueeze(2) - levels.middles(x)).abs() * -self.alpha
        code = levels.from_shares(torch.softmax(scores, dim=2))
        if not self.leak:
            return code
        return code + (self.leak * (x - inside)).unsqueeze(2) * levels.direction(x)


@dataclass(frozen=True, slots=True)
class Identity(Shown):
    """The straight-through gradient: the map is differentiated as if it were not there.

    Source: Athalye, Carlini, Wagner 2018, section 4.1 (BPDA with the identity).
    """

    name: ClassVar[str] = "identity"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:  # noqa: ARG002 - protocol
        """Return `x`."""
        return x.clone()

    def of_levels(self, x: Tensor, levels: LevelCode) -> Tensor:
        """Return `x` times the slopes of `LevelCode.direction`."""
        return x.unsqueeze(2) * levels.direction(x)


@dataclass(frozen=True, slots=True)
class Custom(Shown):
    """A user's own stand-in for the whole map.

    Args:
        function: Differentiable map from images (n, c, h, w) in [0, 1] to images of that shape;
            for level codes to codes (n, c * L, h, w).
        name: For tables.
    """

    function: Callable[[Tensor], Tensor]
    name: str = "custom"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:  # noqa: ARG002 - protocol
        """Apply the function, which must keep the shape."""
        return self._applied(x, tuple(x.shape), "keep the shape")

    def of_levels(self, x: Tensor, levels: LevelCode) -> Tensor:
        """Apply the function, which must return codes (n, c * L, h, w)."""
        shape = (x.shape[0], x.shape[1] * levels.n_levels, *x.shape[2:])
        codes: Tensor = self._applied(x, shape, "return codes").unflatten(1, (-1, levels.n_levels))
        return codes

    def _applied(self, x: Tensor, shape: tuple[int, ...], duty: str) -> Tensor:
        smooth = self.function(x)
        if smooth.shape != shape:
            msg = f"{self.name} must {duty} {shape}, got {tuple(smooth.shape)}"
            raise InputError(msg)
        return smooth


SurrogateLike = Surrogate | Callable[[Tensor], Tensor] | str


def soft_spread(own: Surrogate) -> tuple[Surrogate, ...]:
    """Return the stand-ins of codewords or levels to attack through beside `own`.

    A softmax at its temperature (or 10) and at a blunter one, one that leaks, and smoothed steps.
    """
    alpha = own.alpha if isinstance(own, SoftAssignment) else 10.0
    soft = SoftAssignment(alpha), SoftAssignment(alpha / 4), SoftAssignment(alpha, leak=1.0)
    return (*soft, SmoothedStep())
