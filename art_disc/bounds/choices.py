"""Inputs of a graph that take one of a few values each, whatever the others do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Self

import torch
from torch import Tensor

from art_disc.core.showing import Shown

Units = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choices(Shown):
    """What the free inputs of a code box can be: units, and what each can take.

    Attributes:
        places: Of each unit's values in the flattened input, each of shape (d,).
        values: What they can be, each of shape (choices, d).
    """

    places: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def sizes(self, units: Units) -> tuple[int, ...]:
        """Return how many choices each of some units has."""
        return tuple(len(self.values[unit]) for unit in units)

    def count(self, units: Units) -> int:
        """Return how many patterns of choices some units have together."""
        return prod(self.sizes(units))

    def kept(self, kept: Mapping[int, Tensor]) -> Self:
        """Return these units with some choices (m,) of some of them alone."""
        values = [v[kept[unit]] if unit in kept else v for unit, v in enumerate(self.values)]
        return replace(self, values=tuple(values))

    def numbers(self, units: Units, kept: Mapping[int, Tensor]) -> Tensor:
        """Return the numbers of some units' patterns in which `kept` units have these choices."""
        number = torch.zeros(1, dtype=torch.long)
        for unit, size in zip(units, self.sizes(units), strict=True):
            chosen = kept.get(unit, torch.arange(size))
            number = (number[:, None] * size + chosen).flatten()
        return number


@dataclass(frozen=True, slots=True)
class Patterns(Shown):
    """All patterns of some units' choices, or a list of patterns of all units.

    Patterns are numbered in mixed radix, the first unit's choice the most significant.

    Attributes:
        choices: Of all units.
        units: Whose patterns, rising.
        digits: The choices listed, shape (patterns, units); None: all patterns in order.
    """

    choices: Choices
    units: Units
    digits: Tensor | None = None

    def __len__(self) -> int:
        return self.choices.count(self.units) if self.digits is None else len(self.digits)

    def number(self, inner: Units) -> Tensor:
        """Return for each pattern the number of the one that it is of inner units, among these."""
        if self.digits is None:
            # an axis for each unit that has a choice
            sizes = {unit: len(self.choices.values[unit]) for unit in self.units}
            sizes = {unit: size for unit, size in sizes.items() if size > 1}
            own = set(inner)
            numbers = torch.arange(self.choices.count(inner))
            numbers = numbers.reshape([s if unit in own else 1 for unit, s in sizes.items()])
            return numbers.expand(*sizes.values()).reshape(-1) if sizes else numbers
        number = torch.zeros(len(self.digits), dtype=torch.long)
        columns = {unit: column for column, unit in enumerate(self.units)}
        for unit, size in zip(inner, self.choices.sizes(inner), strict=True):
            number = number * size + self.digits[:, columns[unit]]
        return number
