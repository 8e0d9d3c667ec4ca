"""Linear functions of neurons that are in tables: sums of functions of few choices each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from art_disc.bounds.choices import Choices, Patterns, Units
from art_disc.core.showing import Shown


@dataclass(slots=True)
class Sums(Shown):
    """Rows that are bounded from below by a table for each of some sets of units, and a constant.

    Attributes:
        choices: Of the units.
        constant: Shape (rows,).
        error: By how much rounding may have raised the sum, shape (rows,).
        tables: Values (patterns, rows) by units.
        relaxed: Where lines stood for what they enclose: a value, places of it, and rows of these;
            of sums as they were pulled, not of parts of them.
    """

    choices: Choices
    constant: Tensor
    error: Tensor
    tables: dict[Units, Tensor] = field(default_factory=dict)
    relaxed: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)

    @classmethod
    def of(cls, choices: Choices, constant: Tensor) -> Self:
        """Return constants (rows,) without tables."""
        return cls(choices, constant, torch.zeros_like(constant))

    def add(self, units: Units, values: Tensor) -> None:
        """Add values (patterns, rows) that depend on the choices of some units."""
        known = self.tables.get(units)
        self.tables[units] = values if known is None else known + values

    def least(self) -> Tensor:
        """Return the sum of what each table is at least, and the constant, shape (rows,)."""
        parts = [values.amin(dim=0) for values in self.tables.values()]
        return sum(parts, start=self.constant) - self.error

    def only(self, rows: Tensor) -> Self:
        """Return some of the rows, as a mask or numbers (m,) say."""
        tables = {units: values[:, rows] for units, values in self.tables.items()}
        return type(self)(self.choices, self.constant[rows], self.error[rows], tables)

    def merged(self, most: int) -> Self:
        """Return the same rows in fewer tables, of at most so many patterns where they are joined.

        Their least sum is larger, and nearer to the truth.
        """
        made = type(self)(self.choices, self.constant, self.error)
        rest = dict(self.tables)
        for inner, outer in _nested(list(rest)):
            number = Patterns(self.choices, outer).number(inner)
            rest[outer] = rest[outer] + rest.pop(inner)[number]
        for units, members in _joined(list(rest), self.choices, most):
            patterns = Patterns(self.choices, units)
            for inner in members:
                values = rest[inner]
                made.add(units, values if inner == units else values[patterns.number(inner)])
        return made

    def at(self, patterns: Patterns) -> Tensor:
        """Return the rows for patterns of all units, shape (patterns, rows)."""
        total = (self.constant - self.error).expand(len(patterns), -1)
        for units, values in self.tables.items():
            total = total + values[patterns.number(units)]
        return total


def _nested(sets: list[Units]) -> Iterator[tuple[Units, Units]]:
    """Yield sets with the smallest of the others that holds them, if any, small ones first."""
    ordered = [(frozenset(units), units) for units in sorted(sets, key=len)]
    for number, (own, units) in enumerate(ordered):
        for other, outer in ordered[number + 1 :]:
            if own < other:
                yield units, outer
                break


def _joined(sets: list[Units], choices: Choices, most: int) -> list[tuple[Units, list[Units]]]:
    """Group sets of units, large ones first, where the union grows least and not beyond `most`."""
    unions: list[set[int]] = []
    members: list[list[Units]] = []
    for units in sorted(sets, key=len, reverse=True):
        best, least = -1, float("inf")
        for number, union in enumerate(unions):
            size = choices.count(tuple(union | set(units)))
            growth = size / choices.count(tuple(union))
            if size <= most and growth < least:
                best, least = number, growth
        if best < 0:
            unions.append(set(units))
            members.append([units])
        else:
            unions[best] |= set(units)
            members[best].append(units)
    return [(tuple(sorted(u)), m) for u, m in zip(unions, members, strict=True)]
