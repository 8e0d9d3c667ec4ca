"""Stand-ins of a width: steps blurred at their borders, and bits that rise along a line."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from art_disc.codebooks import Codebook
from art_disc.core.checks import check_positive
from art_disc.core.showing import Shown
from art_disc.surrogates.levels import LevelCode
from art_disc.surrogates.pixels import channels_255, from_channels


@dataclass(frozen=True, slots=True)
class Widened:
    """A stand-in with a width, in words `WORD[:WIDTH]`.

    Raises:
        InputError: `width` is not a positive number.
    """

    width: float | None = None
    word: ClassVar[str]

    def __post_init__(self) -> None:
        if self.width is not None:
            check_positive(self.width, "width", scale=" (range of [0, 1])")

    @property
    def name(self) -> str:
        """Its word, with its width if one was given."""
        return self.word if self.width is None else f"{self.word}(width={self.width:g})"


@dataclass(frozen=True, slots=True)
class Ramp(Shown, Widened):
    """The published stand-in for a thermometer code: each bit rises along a straight line.

    Bit l, which is on above the border l / L, rises over the `width` below that border, so a pixel
    differentiates the next bit above it alone, and one in the highest level none at all: attack
    through another surrogate too. Codewords have no bits: it is for level codes alone.

    Args:
        width: Length > 0 of the rise on the [0, 1] scale; None: one level, 1 / L, as published.

    Raises:
        InputError: `width` is not a positive number.

    Source: Athalye, Carlini, Wagner 2018, section 5.1 (thermometer encoding); the place and width
    are those of their published code.
    """

    word: ClassVar[str] = "ramp"

    def of_levels(self, x: Tensor, levels: LevelCode) -> Tensor:
        """Return codes whose bits rise; see `LevelSurrogate`."""
        width = self.width or 1 / levels.n_levels
        borders = torch.arange(1, levels.n_levels, dtype=torch.float64) / levels.n_levels
        # in 64 bits first: at a border the sum is 0 or 1, where a rise still has its slope
        start = (borders / width - 1).to(torch.float32).to(x.device).view(-1, 1, 1)
        return levels.from_upper_bits((x.unsqueeze(2) / width - start).clamp(0, 1))


@dataclass(frozen=True, slots=True)
class SmoothedStep(Shown, Widened):
    """Sigmoid steps at the cell borders: the mean codeword under Gaussian noise.

    s(x) = sum_j c_j exp(-|x - c_j|^2 / 2 w^2) / sum_j exp(-|x - c_j|^2 / 2 w^2) with Euclidean
    distances: what a codeword that was observed with noise of standard deviation w is expected to
    be. Two scalar codewords at a distance g give one sigmoid, of slope g^2 / 4 w^2 midway, which,
    unlike `SoftAssignment`, has a slope beyond the outer codewords too.

    Args:
        width: w > 0 on the [0, 1] scale; None: 0.3 times the smallest gap between two codewords,
            which makes a step about a third of the gap wide, whatever the codebook.

    Raises:
        InputError: `width` is not a positive number.

    Source: the sigmoid in place of the step is Athalye, Carlini, Wagner 2018, section 4.1.2 (a
    smooth approximation); the default width is ours.
    """

    word: ClassVar[str] = "smooth"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:
        """Return s of every pixel; see `PixelSurrogate`."""
        levels = codebook.levels
        width = 255 * self.width if self.width is not None else 0.3 * _smallest_gap(levels)
        pixels = torch.stack(channels_255(x, codebook))
        codes = [pixels.new_tensor(code).view(-1, *[1] * (pixels.ndim - 1)) for code in levels]
        away = torch.stack([(pixels - code).square().sum(dim=0) for code in codes])
        weights = torch.softmax(away / (-2 * width**2), dim=0)
        table = weights.new_tensor(levels) / 255
        smooth = [torch.einsum("k...,k->...", weights, column) for column in table.unbind(dim=1)]
        return from_channels(smooth, codebook)

    def of_levels(self, x: Tensor, levels: LevelCode) -> Tensor:
        """Return softened codes by squared distances to the levels' middles."""
        width = self.width or 0.3 / levels.n_levels
        scores = (x.unsqueeze(2) - levels.middles(x)) ** 2 / (-2 * width**2)
        return levels.from_shares(torch.softmax(scores, dim=2))


def _smallest_gap(levels: list[list[float]]) -> float:
    # a single codeword has no border; any width does
    return float(pdist(np.asarray(levels)).min()) if len(levels) > 1 else 255.0
