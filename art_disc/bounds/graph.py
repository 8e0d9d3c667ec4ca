"""A network as a list of steps that bounds understand."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from art_disc.bounds.affine import Dense, Reshape, Scale, Sum
from art_disc.bounds.convolutions import Convolution, TransposedConvolution
from art_disc.bounds.maxima import Maxima
from art_disc.bounds.piecewise import HardTanh, LeakyRelu, Ramp, Relu
from art_disc.bounds.smooth import Tanh
from art_disc.core.showing import Shown

Step: TypeAlias = (
    Dense
    | Convolution
    | TransposedConvolution
    | Scale
    | Reshape
    | Sum
    | Relu
    | LeakyRelu
    | HardTanh
    | Ramp
    | Tanh
    | Maxima
)


@dataclass(frozen=True, slots=True)
class Graph(Shown):
    """Steps in order. Value 0 is the input, step i makes value i + 1, the last is the output.

    Attributes:
        steps: The steps.
        inputs: For each step, the values that it takes.
        shapes: Of all values, without the batch axis.
        rigorous: Whether rounding is to be charged to linear bounds (see `linear`).
    """

    steps: tuple[Step, ...]
    inputs: tuple[tuple[int, ...], ...]
    shapes: tuple[torch.Size, ...]
    rigorous: bool = False

    def __iter__(self) -> Iterator[tuple[int, Step, tuple[int, ...]]]:
        """Go over (value made, step, values taken)."""
        return iter(zip(range(1, len(self.steps) + 1), self.steps, self.inputs, strict=True))

    def __call__(self, x: Tensor) -> Tensor:
        """Return the output for inputs (n, ...)."""
        values = [x]
        for _, step, taken in self:
            values.append(step(*[values[i] for i in taken]))
        return values[-1]

    def to(self, dtype: torch.dtype) -> "Graph":
        """Return the same steps with numbers of another precision."""
        return replace(self, steps=tuple(cast_step(step, dtype) for step in self.steps))


def cast_step(step: Step, dtype: torch.dtype) -> Step:
    """Return a step with numbers of another precision."""
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    return replace(step, **{name: cast(value, dtype) for name, value in values.items()})


def cast(value: Any, dtype: torch.dtype) -> Any:
    """Return numbers, alone or in a tuple, in another precision; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(cast(each, dtype) for each in value)
    floats = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if floats else value
