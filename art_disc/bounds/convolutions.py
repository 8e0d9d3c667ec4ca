"""Affine steps of images: convolutions, and transposed ones."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from art_disc.bounds.affine import Affine, Part


@dataclass(frozen=True, slots=True)
class Windows(Affine):
    """An affine step of images (c, h, w) of `shape` whose outputs see windows of the input.

    Attributes:
        weight: As torch's functional form takes it.
        offset: Shape (out, 1, 1), or None.
        options: stride, padding, dilation and groups, likewise, the first three in pairs.
        shape: Of the input, without the batch axis.
    """

    weight: Tensor
    offset: Tensor | None
    options: dict[str, Any]
    shape: tuple[int, ...]

    @property
    def kernels(self) -> Tensor:
        """The weights of each output channel's window, (out, c / groups, kh, kw)."""
        raise NotImplementedError

    def sees(self, axis: int) -> Tensor:
        """Rows, or columns, of the input that each of the output's sees (out, k); -1 for none."""
        raise NotImplementedError

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, ...]:
        """See `Affine`."""
        sides = [self.sees(axis) for axis in (0, 1)]
        after = [len(side) for side in sides]
        channel = places.div(math.prod(after), rounding_mode="floor")
        kernels = self.kernels
        out, each = kernels.shape[:2]
        group = channel.div(out // int(self.options["groups"]), rounding_mode="floor")
        position = places % math.prod(after)
        # places of one group and position, in all channels, have the same window
        window, which = (group * math.prod(after) + position).unique(return_inverse=True)
        group, position = window // math.prod(after), window % math.prod(after)
        down, right = sides[0][position // after[1]], sides[1][position % after[1]]
        channels = group[:, None] * each + torch.arange(each)
        pixel = down[:, :, None] * self.shape[2] + right[:, None, :]
        at = channels[:, :, None, None] * math.prod(self.shape[1:]) + pixel[:, None]
        inside = (down >= 0)[:, None, :, None] & (right >= 0)[:, None, None, :]
        at = torch.where(inside, at, -1).flatten(1)
        inputs, number = at.unique(return_inverse=True)
        matrix = self.weight.new_zeros(len(places), len(inputs))
        matrix.scatter_(1, number[which], kernels[channel].flatten(1))
        first = int(len(inputs) > 0 and inputs[0] < 0)
        return ((inputs[first:], rows @ matrix[:, first:]),)

    @property
    def terms(self) -> int:
        """See `Affine`."""
        out, each, height, width = self.weight.shape
        return height * width * max(each, out // int(self.options["groups"]))


@dataclass(frozen=True, slots=True)
class Convolution(Windows):
    """A two-dimensional convolution with zeros around; weight (out, c / groups, kh, kw)."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """Shape of an offset."""
        return (len(self.weight), 1, 1)

    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:
        """See `Affine`."""
        weight = self.weight.abs() if absolute else self.weight
        return functional.conv2d(values[0], weight, None, **self.options)

    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """See `Affine`."""
        stride, padding, dilation = (self.options[k] for k in ("stride", "padding", "dilation"))
        # what the stride leaves over at the far border is no part of any window
        least = [
            (out - 1) * s - 2 * p + d * (k - 1) + 1
            for out, s, p, d, k in zip(
                rows.shape[2:], stride, padding, dilation, self.weight.shape[2:], strict=True
            )
        ]
        rest = [size - own for size, own in zip(self.shape[1:], least, strict=True)]
        pulled = functional.conv_transpose2d(
            rows, self.weight, None, output_padding=rest, **self.options
        )
        return (pulled,)

    @property
    def kernels(self) -> Tensor:
        """See `Windows`."""
        return self.weight

    def sees(self, axis: int) -> Tensor:
        """See `Windows`."""
        stride, padding, dilation = (
            self.options[name][axis] for name in ("stride", "padding", "dilation")
        )
        size, kernel = self.shape[1 + axis], self.weight.shape[2 + axis]
        out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        at = torch.arange(out)[:, None] * stride - padding + torch.arange(kernel) * dilation
        return torch.where((at >= 0) & (at < size), at, -1)


@dataclass(frozen=True, slots=True)
class TransposedConvolution(Windows):
    """The transpose of a convolution's matrix, and an offset; weight (c, out / groups, kh, kw).

    Attributes:
        beyond: Rows and columns more at the far border (torch's `output_padding`).
    """

    beyond: tuple[int, int]

    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:
        """See `Affine`."""
        weight = self.weight.abs() if absolute else self.weight
        return functional.conv_transpose2d(
            values[0], weight, None, output_padding=self.beyond, **self.options
        )

    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """See `Affine`."""
        pulled = functional.conv2d(rows, self.weight, None, **self.options)
        # rows beyond the border may hold a window more, which no input is spread over
        return (pulled[:, :, : self.shape[1], : self.shape[2]],)

    @property
    def kernels(self) -> Tensor:
        """See `Windows`."""
        groups = int(self.options["groups"])
        each, *rest = self.weight.shape[1:]
        grouped = self.weight.reshape(groups, -1, each, *rest).transpose(1, 2)
        return grouped.reshape(groups * each, -1, *rest)

    def sees(self, axis: int) -> Tensor:
        """See `Windows`."""
        stride, padding, dilation = (
            self.options[name][axis] for name in ("stride", "padding", "dilation")
        )
        size, kernel = self.shape[1 + axis], self.weight.shape[2 + axis]
        out = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + self.beyond[axis]
        # input i is spread over outputs i stride - padding + k dilation
        spread = torch.arange(out)[:, None] + padding - torch.arange(kernel) * dilation
        at = spread.div(stride, rounding_mode="floor")
        met = (spread % stride == 0) & (at >= 0) & (at < size)
        return torch.where(met, at, -1)
