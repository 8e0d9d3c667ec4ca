"""Sigmoid steps: the hard map blurred at its borders."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.surrogates.pixels import channels_255


@dataclass(frozen=True, slots=True)
class SmoothedStep:
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

    width: float | None = None

    def __post_init__(self) -> None:
        if self.width is not None and not (math.isfinite(self.width) and self.width > 0):
            msg = f"width must be a positive number (range of [0, 1]), got {self.width}"
            raise InputError(msg)

    @property
    def name(self) -> str:
        """`smooth`, with its width if one was given."""
        return "smooth" if self.width is None else f"smooth(width={self.width:g})"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:
        """Return s of every pixel; see `Surrogate`."""
        channels = channels_255(x, codebook)
        levels = codebook.levels
        width = 255 * self.width if self.width is not None else 0.3 * _smallest_gap(levels)
        away = torch.stack(
            [
                torch.stack([(part - v) ** 2 for part, v in zip(channels, code, strict=True)]).sum(
                    0
                )
                for code in levels
            ]
        )
        weights = torch.softmax(away / (-2 * width**2), dim=0)
        table = weights.new_tensor(levels) / 255
        smooth = [torch.einsum("k...,k->...", weights, column) for column in table.unbind(dim=1)]
        return smooth[0] if codebook.per_channel else torch.stack(smooth, dim=1)


def _smallest_gap(levels: list[list[float]]) -> float:
    # a single codeword has no border; any width does
    return float(pdist(np.asarray(levels)).min()) if len(levels) > 1 else 255.0
