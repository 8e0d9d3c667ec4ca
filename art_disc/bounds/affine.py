"""Affine steps of a network: A x + b, with |A| x for boxes and the transpose of A for rows."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Box = tuple[Tensor, Tensor]
Part = tuple[Tensor, Tensor]


class Affine(ABC):
    """One step A x + b; images have a batch axis first, `shapes` have none."""

    offset: Tensor | None

    @abstractmethod
    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:
        """Return A x, or |A| x, of one tensor (n, ...) for each of the step's inputs."""

    @abstractmethod
    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return rows (m, ...) of the output, times A: rows of each input."""

    @abstractmethod
    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, ...]:
        """Return rows (m, p) of p places of the flattened output, times A: a part for each input.

        A part is the places of the flattened input that these may depend on, rising, and the rows
        there.
        """

    @property
    @abstractmethod
    def terms(self) -> int:
        """How many products the longest sum of `linear` or `pull` has."""

    def __call__(self, *values: Tensor) -> Tensor:
        """Return A x + b."""
        result = self.linear(*values)
        return result if self.offset is None else result + self.offset

    def interval(self, *boxes: Box) -> Box:
        """Return the least box that holds the step's values on the boxes of its inputs."""
        middle = self(*[(low + high) / 2 for low, high in boxes])
        radius = self.linear(*[(high - low) / 2 for low, high in boxes], absolute=True)
        return middle - radius, middle + radius

    def size(self, *largest: Tensor) -> Tensor:
        """Return |A| x + |b|, which bounds the sizes of all terms where |values| <= x."""
        size = self.linear(*largest, absolute=True)
        return size if self.offset is None else size + self.offset.abs()

    def offset_at(self, places: Tensor, shape: tuple[int, ...]) -> Tensor | float:
        """Return b at some places of the flattened output, of `shape`; 0 where there is no b."""
        if self.offset is None:
            return 0.0
        return self.offset.expand(shape).reshape(-1)[places]

    def constant(self, rows: Tensor) -> Tensor | float:
        """Return rows (m, ...) of the output, times b, shape (m,); 0 where there is no b."""
        if self.offset is None:
            return 0.0
        return (rows * self.offset).flatten(1).sum(dim=1)


@dataclass(frozen=True, slots=True)
class Dense(Affine):
    """Sum of weight (out, in) times vector, one weight an input, and an offset (out,)."""

    weights: tuple[Tensor, ...]
    offset: Tensor | None

    @property
    def outputs(self) -> tuple[int, ...]:
        """Shape of an offset."""
        return (len(self.weights[0]),)

    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:
        """See `Affine`."""
        weights = [w.abs() for w in self.weights] if absolute else self.weights
        first, *rest = (v @ w.T for v, w in zip(values, weights, strict=True))
        return sum(rest, start=first)

    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """See `Affine`."""
        return tuple(rows @ weight for weight in self.weights)

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, ...]:
        """See `Affine`."""
        return tuple((torch.arange(w.shape[1]), rows @ w[places]) for w in self.weights)

    @property
    def terms(self) -> int:
        """See `Affine`."""
        return max(len(self.weights[0]), sum(weight.shape[1] for weight in self.weights))


@dataclass(frozen=True, slots=True)
class Convolution(Affine):
    """A two-dimensional convolution with zeros around images (c, h, w) of `shape`.

    Attributes:
        weight: Shape (out, c / groups, kh, kw).
        offset: Shape (out, 1, 1), or None.
        options: stride, padding, dilation, groups, as torch's functional form takes them.
        shape: Of its input, without the batch axis.
    """

    weight: Tensor
    offset: Tensor | None
    options: dict[str, Any]
    shape: tuple[int, ...]

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

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, ...]:
        """See `Affine`."""
        sides = [self._side(axis) for axis in (0, 1)]
        after = [len(side) for side in sides]
        channel = places.div(math.prod(after), rounding_mode="floor")
        out, each = self.weight.shape[:2]
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
        matrix.scatter_(1, number[which], self.weight[channel].flatten(1))
        first = int(len(inputs) > 0 and inputs[0] < 0)
        return ((inputs[first:], rows @ matrix[:, first:]),)

    def _side(self, axis: int) -> Tensor:
        """Rows, or columns, of the input that each of the output's sees (out, k); -1 outside."""
        stride, padding, dilation = (
            self.options[name][axis] for name in ("stride", "padding", "dilation")
        )
        size, kernel = self.shape[1 + axis], self.weight.shape[2 + axis]
        out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        at = torch.arange(out)[:, None] * stride - padding + torch.arange(kernel) * dilation
        return torch.where((at >= 0) & (at < size), at, -1)

    @property
    def terms(self) -> int:
        """See `Affine`."""
        out, each, height, width = self.weight.shape
        return height * width * max(each, out // int(self.options["groups"]))


@dataclass(frozen=True, slots=True)
class Scale(Affine):
    """A factor and an offset for each value, or each channel, which broadcast to `shape`."""

    factor: Tensor
    offset: Tensor | None
    shape: tuple[int, ...]

    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:
        """See `Affine`."""
        return values[0] * (self.factor.abs() if absolute else self.factor)

    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """See `Affine`."""
        return (rows * self.factor,)

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, ...]:
        """See `Affine`."""
        return ((places, rows * self.factor.expand(self.shape).reshape(-1)[places]),)

    @property
    def terms(self) -> int:
        """See `Affine`."""
        return 1


@dataclass(frozen=True, slots=True)
class Reshape(Affine):
    """Images of one shape to another, in order."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    offset: None = None

    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:  # noqa: ARG002
        """See `Affine`."""
        return values[0].reshape(len(values[0]), *self.after)

    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """See `Affine`."""
        return (rows.reshape(len(rows), *self.before),)

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, ...]:
        """See `Affine`."""
        return ((places, rows),)

    @property
    def terms(self) -> int:
        """See `Affine`."""
        return 1


@dataclass(frozen=True, slots=True)
class Sum(Affine):
    """Inputs of one shape, added with their signs."""

    signs: tuple[int, ...]
    offset: None = None

    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:
        """See `Affine`."""
        parts = [
            -value if sign < 0 and not absolute else value
            for sign, value in zip(self.signs, values, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """See `Affine`."""
        return tuple(-rows if sign < 0 else rows for sign in self.signs)

    def pull_at(self, rows: Tensor, places: Tensor) -> tuple[Part, ...]:
        """See `Affine`."""
        return tuple((places, sign * rows) for sign in self.signs)

    @property
    def terms(self) -> int:
        """See `Affine`."""
        return len(self.signs)
