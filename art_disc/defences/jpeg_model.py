"""JPEG as differentiable arithmetic: everything but the file."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from art_disc.core.checks import check_positive
from art_disc.core.showing import Shown
from art_disc.defences.jpeg_codec import SUBSAMPLINGS

Rounding = Callable[[Tensor, Tensor], Tensor]

_TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


@dataclass(frozen=True, slots=True)
class DctModel(Shown):
    """The gradient of JPEG with smooth steps in place of the rounding of its coefficients.

    The steps of a coefficient's rounding, of the quantisation table's height, are logistic curves
    sigma(alpha t), t its distance on [0, 1] images; each is scaled so that multiples of the step
    stay as they are. Fine steps are then nearly straight and coarse ones steep. The other
    roundings and limits, those of pixels to the 8-bit range, are differentiated straight through.

    Args:
        alpha: Steepness > 0, in 1 / range of [0, 1], the paper's 40 / t^2 of RandMix; None: the
            coefficients' rounding is differentiated straight through as well. Of grey images the
            identity is left, of colour its brightness and blurred colour differences.

    Raises:
        InputError: `alpha` is no positive number.

    Source: Zhang, Liang 2019, section 5.2 (logistic functions in place of steps); Shin, Song 2017
    (differentiable JPEG).
    """

    alpha: float | None = 40.0

    def __post_init__(self) -> None:
        if self.alpha is not None:
            check_positive(self.alpha, "alpha", scale=" (1 / range of [0, 1])")

    @property
    def name(self) -> str:
        """`dct(alpha=...)` or `dct-identity`."""
        return "dct-identity" if self.alpha is None else f"dct(alpha={self.alpha:g})"

    def rounded(self, units: Tensor, steps: Tensor) -> Tensor:
        """Return what stands in for the nearest whole numbers to coefficients in units of steps."""
        return units if self.alpha is None else soft_round(units, self.alpha / 255 * steps)


def soft_round(units: Tensor, rate: Tensor) -> Tensor:
    """Return whole numbers joined by logistic curves of steepness `rate`, one between each two.

    As the rate tends to 0 the numbers themselves, as it grows the nearest whole ones.
    """
    below = units.detach().floor()
    beyond = units - below - 0.5
    return below + 0.5 + torch.tanh(rate * beyond / 2) / (2 * torch.tanh(rate / 4))


def jpeg_model(values: Tensor, tables: Tensor, subsampling: str, rounding: Rounding) -> Tensor:
    """Return decoded images of 0..255, not rounded to levels and not limited to the range.

    Args:
        values: Shape (n, c, h, w), c 1 or 3, on the 0..255 scale.
        tables: Quantisation tables, shape (n or 1, c, 8, 8).
        subsampling: A name of `SUBSAMPLINGS`; colour differences are means of their pixels, and
            come back by the decoder's interpolation, of weights 3/4 and 1/4.
        rounding: From coefficients by their steps, and steps, to whole numbers or a stand-in.
    """
    if values.shape[1] == 1:
        return _blocks(values - 128, tables, rounding) + 128
    planes = torch.einsum("ij,njhw->nihw", values.new_tensor(_TO_YCC), values)
    bright = _blocks(planes[:, :1] - 128, tables[:, :1], rounding) + 128
    colour = _coarse(planes[:, 1:], tables[:, 1:], SUBSAMPLINGS[subsampling], rounding)
    planes = torch.cat([bright, colour], dim=1)
    return torch.einsum("ij,njhw->nihw", values.new_tensor(_TO_RGB), planes)


def _padded(planes: Tensor, rows: int, columns: int) -> Tensor:
    """Go on with the last row and column to a multiple of `rows` and `columns`."""
    down, right = -planes.shape[2] % rows, -planes.shape[3] % columns
    return functional.pad(planes, (0, right, 0, down), mode="replicate")


def _coarse(planes: Tensor, tables: Tensor, by: tuple[int, int], rounding: Rounding) -> Tensor:
    """Return colour differences (n, 2, h, w) that went through at a lower resolution."""
    (rows, columns), (height, width) = by, planes.shape[2:]
    # the encoder repeats the last column before it takes means, and the last row of means
    means = functional.avg_pool2d(_padded(planes, rows, 8 * columns), by)
    small = _blocks(means, tables, rounding)[:, :, :, : -(-width // columns)]
    size = (rows * small.shape[2], columns * small.shape[3])
    # the decoder repeats the values of rows of one or two
    if small.shape[3] > 2:
        large = functional.interpolate(small, size, mode="bilinear", align_corners=False)
    else:
        large = functional.interpolate(small, size, mode="nearest")
    return large[:, :, :height, :width]


def _basis(like: Tensor) -> Tensor:
    """Return the orthonormal cosine transform (8, 8), rows of frequencies."""
    place = torch.arange(8, device=like.device, dtype=torch.float64)
    waves = torch.cos(math.pi * place[:, None] * (2 * place + 1) / 16) / 2
    waves[0] /= math.sqrt(2)
    return waves.to(like.dtype)


def _blocks(planes: Tensor, tables: Tensor, rounding: Rounding) -> Tensor:
    """Return planes (n, p, h, w) whose 8 x 8 blocks' coefficients are quantised."""
    height, width = planes.shape[2:]
    whole = _padded(planes, 8, 8)
    n, p, rows, columns = whole.shape
    waves = _basis(planes)
    parts = whole.reshape(n, p, rows // 8, 8, columns // 8, 8)
    steps = tables[:, :, None, :, None, :]
    units = torch.einsum("ai,npyixj,bj->npyaxb", waves, parts, waves) / steps
    kept = rounding(units, steps) * steps
    back = torch.einsum("ai,npyaxb,bj->npyixj", waves, kept, waves)
    return back.reshape(n, p, rows, columns)[:, :, :height, :width]
