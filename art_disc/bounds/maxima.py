"""Maxima of windows of values, and the linear functions between which they lie."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from art_disc.bounds.affine import Box, Part

# below all values, and finite, so that gradients stay so
_NOTHING = -1e30


@dataclass(frozen=True, slots=True)
class Maxima:
    """The largest value of each of several windows.

    Attributes:
        windows: For each output, in order, the places of its inputs in the flattened image, shape
            (outputs, k); -1 where a window has fewer.
        before: Shape of the input, without the batch axis.
        after: Shape of the output.
        floor: What an output is at least, shape (outputs,), or None.
    """

    windows: Tensor
    before: tuple[int, ...]
    after: tuple[int, ...]
    floor: Tensor | None = None

    def parts(self, value: Tensor) -> Tensor:
        """Return the values of each window, shape (n, outputs, k)."""
        flat = value.flatten(1)[:, self.windows.clamp(min=0)]
        return flat if (self.windows >= 0).all() else flat.masked_fill(self.windows < 0, _NOTHING)

    def at_least(self, best: Tensor) -> Tensor:
        """Raise outputs (n, outputs) to the floor."""
        return best if self.floor is None else torch.maximum(best, self.floor)

    def __call__(self, value: Tensor) -> Tensor:
        """Return the maxima, shape (n, *after)."""
        return self.at_least(self.parts(value).amax(dim=2)).reshape(len(value), *self.after)

    def interval(self, box: Box) -> Box:
        """Return the least box of its values."""
        return self(box[0]), self(box[1])

    def unstable(self, box: Box) -> Tensor:
        """Inputs, of the shape of the box, whose window none of its inputs wins on all of it."""
        rivals = self.rivals(box)
        several = (rivals & (rivals.sum(dim=2, keepdim=True) > 1)).flatten(1).long()
        count = several.new_zeros(box[0].flatten(1).shape)
        places = self.windows.clamp(min=0).flatten().expand(len(several), -1)
        return count.scatter_add(1, places, several).bool().reshape(box[0].shape)

    def rivals(self, box: Box) -> Tensor:
        """Inputs of each window that can be its maximum, and vary, shape (n, outputs, k)."""
        low, high = (self.parts(end) for end in box)
        return (high > self.at_least(low.amax(dim=2))[:, :, None]) & (low < high)

    def lines(self, box: Box) -> "MaximaLines":
        """Return linear functions below and above on a box.

        Below: the input of the largest lower end, or the floor. Above, with t the larger of these
        two: t + sum of max(x_i - t, 0), each under its chord; or the largest upper end, where that
        is less in the middle of the box.
        """
        low, high = (self.parts(end) for end in box)
        best, chosen = low.max(dim=2)
        least = self.at_least(best)
        lower = (best >= least).to(low.dtype)
        above = high > least[:, :, None]
        width = torch.where(above, high - low, torch.ones_like(low))
        upper = torch.where(above, high - least[:, :, None], torch.zeros_like(low)) / width
        top = self.at_least(high.amax(dim=2))
        flat = top < least + (upper * width).sum(dim=2) / 2
        upper = torch.where(flat[:, :, None], torch.zeros_like(upper), upper)
        tilted = least - torch.where(above, upper * low, torch.zeros_like(low)).sum(dim=2)
        chosen_at = self.windows.gather(1, chosen.T).T.clamp(min=0)
        return MaximaLines(
            self, chosen_at, lower, (1 - lower) * least, upper, torch.where(flat, top, tilted)
        )


@dataclass(frozen=True, slots=True)
class MaximaLines:
    """Linear functions below and above the maxima of windows.

    Attributes:
        step: The maxima.
        chosen: Place of the input that is the lower function, shape (n, outputs).
        lower: Its slope, 0 where the floor is the function.
        lower_offset: Its offset.
        upper: Slopes of the upper function, shape (n, outputs, k).
        upper_offset: Its offset, shape (n, outputs).
    """

    step: Maxima
    chosen: Tensor
    lower: Tensor
    lower_offset: Tensor
    upper: Tensor
    upper_offset: Tensor

    def pull(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Bound rows (n, r, ...) of the output from below: rows of the input, constants (n, r)."""
        rows = rows.flatten(2)
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        n, r, _ = rows.shape
        pulled = rows.new_zeros(n, r, math.prod(self.step.before))
        chosen = self.chosen[:, None].expand(n, r, -1)
        pulled = pulled.scatter_add(2, chosen, positive * self.lower[:, None])
        parts = (negative[..., None] * self.upper[:, None]).flatten(2)
        places = self.step.windows.clamp(min=0).flatten().expand(n, r, -1)
        pulled = pulled.scatter_add(2, places, parts)
        constant = positive * self.lower_offset[:, None] + negative * self.upper_offset[:, None]
        return pulled.reshape(n, r, *self.step.before), constant.sum(dim=2)

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, Tensor]:
        """Bound rows (m, p) of some flattened places from below, for lines on one box (n = 1).

        Returns the places of the input and rows of them, and constants (m,).
        """
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        windows, chosen = self.step.windows[places].clamp(min=0), self.chosen[0, places]
        inputs, column = torch.cat([windows, chosen[:, None]], dim=1).unique(return_inverse=True)
        upper = (negative[..., None] * self.upper[0, places]).flatten(1)
        pulled = rows.new_zeros(len(rows), len(inputs))
        pulled = pulled.index_add(1, column[:, :-1].flatten(), upper)
        pulled = pulled.index_add(1, column[:, -1], positive * self.lower[0, places])
        constant = positive @ self.lower_offset[0, places] + negative @ self.upper_offset[0, places]
        return (inputs, pulled), constant

    def gap(self) -> Tensor:
        """Return how far apart the offsets of the functions are, shape (n, outputs)."""
        return (self.upper_offset - self.lower_offset).abs()

    def size(self, largest: Tensor) -> Tensor:
        """Bound the sizes of the terms of a pulled unit row, for |x| <= `largest`."""
        below = self.lower * largest.flatten(1).gather(1, self.chosen) + self.lower_offset.abs()
        above = (self.upper * self.step.parts(largest)).sum(dim=2) + self.upper_offset.abs()
        return torch.maximum(below, above).reshape(len(largest), *self.step.after)
