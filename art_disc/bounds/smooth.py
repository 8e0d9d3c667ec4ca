"""Smooth functions of one value, and the lines between which they lie."""

from dataclasses import dataclass

import torch
from torch import Tensor

from art_disc.bounds.affine import Box
from art_disc.bounds.piecewise import Lines

# halvings of the slopes that the best one is searched among: none but 0 is below 2^-24, so that
# where tanh is as steep can be told
_HALVINGS = 24


@dataclass(frozen=True, slots=True)
class Tanh:
    """tanh(x), with the methods of `Piecewise`."""

    def __call__(self, value: Tensor) -> Tensor:
        """Return the function of each value."""
        return value.tanh()

    def interval(self, box: Box) -> Box:
        """Return the least box of its values."""
        return self(box[0]), self(box[1])

    def unstable(self, box: Box) -> Tensor:
        """Where it varies: no line is exact."""
        return box[0] < box[1]

    def lines(self, box: Box) -> Lines:
        """Return the lines on a box that are lowest, or highest, over its middle.

        A slope may be any; the offset is what makes the line touch. Below it is the line above of
        the mirrored box, mirrored.
        """
        low, high = box
        upper, upper_offset = _above(low, high)
        lower, lower_offset = _above(-high, -low)
        return Lines(lower, -lower_offset, upper, upper_offset)


def _above(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return slopes and offsets of lines above tanh on boxes.

    The height of the touching line over the middle is a convex function of its slope, which falls
    while the line touches beyond the middle.
    """
    with torch.no_grad():
        middle = (low + high) / 2
        least, most = torch.zeros_like(low), torch.ones_like(low)
        for _ in range(_HALVINGS):
            slope = (least + most) / 2
            beyond = _touched(slope, low, high)[0] > middle
            least, most = torch.where(beyond, slope, least), torch.where(beyond, most, slope)
    return least, _touched(least, low, high)[1]


def _touched(slope: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return where tanh(x) - slope x is largest on boxes, and its value there; slope in [0, 1].

    That is at an end of the box or where tanh is as steep, x >= 0: with tanh(x)^2 = 1 - slope.
    """
    steep = torch.minimum(torch.maximum((1 - slope).sqrt().atanh(), low), high)
    at = torch.stack([low, high, steep])
    best, chosen = (at.tanh() - slope * at).max(dim=0)
    return at.gather(0, chosen[None])[0], best
