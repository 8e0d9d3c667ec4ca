"""Affine steps of a network: A x + b, with |A| x for boxes and the transpose of A for rows."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

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
class Scale(Affine):
    """A factor and an offset for each value, or each channel, which broadcast to `shape`.

    `terms_of_offset` is the sum of the sizes of what the offset is made of, where it is a sum.
    """

    factor: Tensor
    offset: Tensor | None
    shape: tuple[int, ...]
    terms_of_offset: Tensor | None = None

    def size(self, *largest: Tensor) -> Tensor:
        """See `Affine`."""
        size = self.linear(*largest, absolute=True)
        charged = self.offset if self.terms_of_offset is None else self.terms_of_offset
        return size if charged is None else size + charged.abs()

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
