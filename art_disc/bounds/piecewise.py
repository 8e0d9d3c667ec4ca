"""Monotone piecewise linear functions of one value, and the lines between which they lie.

The lines are those of CROWN (Zhang, Weng, Chen, Hsieh, Daniel 2018): slopes may be any, and offsets
are then the best that are true, taken at the corners of the function.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from art_disc.bounds.affine import Box, Part


@dataclass(frozen=True, slots=True)
class Lines:
    """slope x + offset below and above a function of one value; each of shape (n, ...)."""

    lower: Tensor
    lower_offset: Tensor
    upper: Tensor
    upper_offset: Tensor

    def pull(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Bound rows (n, r, ...) of the output from below: rows of the input, constants (n, r)."""
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        pulled = positive * self.lower[:, None] + negative * self.upper[:, None]
        constant = positive * self.lower_offset[:, None] + negative * self.upper_offset[:, None]
        return pulled, constant.flatten(2).sum(dim=2)

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, Tensor]:
        """Bound rows (m, p) of some flattened places from below, for lines on one box (n = 1).

        Returns the places of the input and rows of them, and constants (m,).
        """
        names = (self.lower, self.lower_offset, self.upper, self.upper_offset)
        lower, lower_offset, upper, upper_offset = (each.flatten()[places] for each in names)
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        constant = positive @ lower_offset + negative @ upper_offset
        return (places, positive * lower + negative * upper), constant

    def gap(self) -> Tensor:
        """Return how far apart the offsets of the lines are, shape (n, ...)."""
        return (self.upper_offset - self.lower_offset).abs()

    def size(self, largest: Tensor) -> Tensor:
        """Bound the sizes of the terms of a pulled unit row, for |x| <= `largest`."""
        slope = torch.maximum(self.lower.abs(), self.upper.abs())
        offset = torch.maximum(self.lower_offset.abs(), self.upper_offset.abs())
        return slope * largest + offset


class Piecewise(ABC):
    """A function of each value that never falls, and is linear between its kinks."""

    @property
    @abstractmethod
    def steepest(self) -> float:
        """Slope of the steepest piece, at least 1."""

    @property
    @abstractmethod
    def rounds(self) -> bool:
        """Whether values are worked out, and not only chosen."""

    @abstractmethod
    def __call__(self, value: Tensor) -> Tensor:
        """Return the function of each value."""

    @property
    @abstractmethod
    def kinks(self) -> tuple[float, ...]:
        """Where its slope changes, rising."""

    def interval(self, box: Box) -> Box:
        """Return the least box of its values."""
        return self(box[0]), self(box[1])

    def unstable(self, box: Box) -> Tensor:
        """Where a kink lies inside the box, so that no line is exact."""
        low, high = box
        return torch.stack([(low < kink) & (kink < high) for kink in self.kinks]).any(dim=0)

    def lines(self, box: Box) -> Lines:
        """Return lines on a box: of all edges of the hull, those over its middle.

        They enclose the least area. For a ReLU the upper one is the chord and the lower one the
        piece on which the middle lies.
        """
        low, high = box
        inner = [torch.minimum(torch.maximum(low, low.new_tensor(k)), high) for k in self.kinks]
        at = torch.stack([low, *inner, high])
        value = self(at)
        lower, upper = _hull_slopes(at, value)
        lower_offset = (value - lower * at).amin(dim=0)
        return Lines(lower, lower_offset, upper, (value - upper * at).amax(dim=0))


def _hull_slopes(at: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of the lower and the upper hull of points (points, ...) over their middle."""
    middle = (at[0] + at[-1]) / 2
    slopes, heights, spans = [], [], []
    for i, j in combinations(range(len(at)), 2):
        width = at[j] - at[i]
        slope = (value[j] - value[i]) / torch.where(width > 0, width, torch.ones_like(width))
        slopes.append(slope)
        heights.append(value[i] + slope * (middle - at[i]))
        spans.append((width > 0) & (at[i] <= middle) & (middle <= at[j]))
    slope, height, span = torch.stack(slopes), torch.stack(heights), torch.stack(spans)
    infinite = torch.full_like(height, torch.inf)
    low = torch.where(span, height, infinite).argmin(dim=0, keepdim=True)
    high = torch.where(span, height, -infinite).argmax(dim=0, keepdim=True)
    return slope.gather(0, low)[0], slope.gather(0, high)[0]


@dataclass(frozen=True, slots=True)
class Relu(Piecewise):
    """max(x, 0)."""

    steepest: ClassVar[float] = 1.0
    rounds: ClassVar[bool] = False

    def __call__(self, value: Tensor) -> Tensor:
        """Return the function of each value."""
        return functional.relu(value)

    @property
    def kinks(self) -> tuple[float, ...]:
        """See `Piecewise`."""
        return (0.0,)


@dataclass(frozen=True, slots=True)
class LeakyRelu(Piecewise):
    """x where it is positive, `slope` x elsewhere; `slope` >= 0."""

    slope: float
    rounds: ClassVar[bool] = True

    @property
    def steepest(self) -> float:
        """The steepest piece."""
        return max(1.0, self.slope)

    def __call__(self, value: Tensor) -> Tensor:
        """Return the function of each value."""
        return functional.leaky_relu(value, self.slope)

    @property
    def kinks(self) -> tuple[float, ...]:
        """See `Piecewise`."""
        return (0.0,)


@dataclass(frozen=True, slots=True)
class HardTanh(Piecewise):
    """x, but at least `low` and at most `high`."""

    low: float
    high: float
    steepest: ClassVar[float] = 1.0
    rounds: ClassVar[bool] = False

    def __call__(self, value: Tensor) -> Tensor:
        """Return the function of each value."""
        return value.clamp(self.low, self.high)

    @property
    def kinks(self) -> tuple[float, ...]:
        """See `Piecewise`."""
        return (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Ramp(Piecewise):
    """leak x + (1 - leak) min(max(x, 0), 1); `leak` in [0, 1]."""

    leak: float
    steepest: ClassVar[float] = 1.0
    rounds: ClassVar[bool] = True

    def __call__(self, value: Tensor) -> Tensor:
        """Return the function of each value."""
        clipped = value.clamp(0, 1)
        return clipped if self.leak == 0 else self.leak * value + (1 - self.leak) * clipped

    @property
    def kinks(self) -> tuple[float, ...]:
        """See `Piecewise`."""
        return (0.0, 1.0)
