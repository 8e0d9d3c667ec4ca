"""Exact values where few choices decide them: a table for each group of neurons with the same ones.

A neuron of the first layers sees few of the units that have a choice. All its values are known
then, one for each pattern of their choices, whatever steps led there, maxima among them. Linear
functions of such neurons are sums of tables (see `sums`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from art_disc.bounds.affine import Affine, Box
from art_disc.bounds.choices import Choices, Patterns, Units
from art_disc.bounds.graph import Graph
from art_disc.bounds.maxima import Maxima
from art_disc.bounds.sums import Sums
from art_disc.core.showing import Shown

# patterns of a table
_MOST = 1 << 12
# places that are worked out at once
_PLACES = 512

Group = tuple[Units, Tensor]


@dataclass(frozen=True, slots=True)
class Table(Shown):
    """Values of some places for all patterns of the units that decide them.

    Attributes:
        units: The units, rising.
        places: Places in the flattened value.
        values: Shape (patterns, places).
    """

    units: Units
    places: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Parted:
    """Columns of some places of a value: those that are constant, in tables, and neither.

    Attributes:
        constant: Columns of constant places.
        tabled: For tables, by number, columns here and columns of the table.
        rest: Columns of other places.
    """

    constant: Tensor
    tabled: Mapping[int, tuple[Tensor, Tensor]]
    rest: Tensor


class Tables(Shown):
    """Tables of a graph's values on one code box.

    Args:
        graph: The network.
        boxes: Of all its values (n = 1), as `boxes_of` makes them.
        choices: Of its inputs that are free.
        room: Numbers that may be worked out for the tables of each value.
        within: Tables on a larger code box, and the choices of its units that are left, by unit.
        pause: Called between parts of the work, here and in bounds by these tables; what it raises
            ends it.

    Attributes:
        tables: Of the input, and of values whose step is not affine.
        low: Of each value, flattened, its lower end: its value where it does not vary.
        varies: Of each value, which places may differ in the box.
        seen: Of each value, which units its places may depend on, shape (units, places).
        wanted: Of values whose step is not affine, the places that vary, are of use and have no
            table.
    """

    def __init__(
        self,
        graph: Graph,
        boxes: list[Box],
        choices: Choices,
        *,
        room: float,
        within: tuple["Tables", Mapping[int, Tensor]] | None = None,
        pause: Callable[[], object] = lambda: None,
    ) -> None:
        self.graph, self.choices, self.room, self.pause = graph, choices, room, pause
        self.low = [low.flatten() for low, _ in boxes]
        self.varies = [(low < high).flatten() for low, high in boxes]
        self.rivals = {
            made: step.rivals(boxes[taken[0]])[0]
            for made, step, taken in graph
            if isinstance(step, Maxima)
        }
        known = {} if within is None else _restricted(*within)
        self.seen = self._seen_units(known)
        self.tables: dict[int, list[Table]] = {}
        # number of the table that a place is in, -1 for none, and its column there
        self._at: dict[int, tuple[Tensor, Tensor]] = {}
        self.wanted: dict[int, Tensor] = {}
        free = [unit for unit, values in enumerate(choices.values) if len(values) > 1]
        self._add(0, [((unit,), choices.places[unit]) for unit in free], known.get(0, []))
        planned = self._planned(known)
        for made in sorted(planned):
            self._add(made, planned[made], known.get(made, []))

    def _seen_units(self, known: Mapping[int, Sequence[Table]]) -> list[Tensor]:
        free = torch.tensor([len(v) > 1 for v in self.choices.values], dtype=torch.bool)
        first = torch.zeros(len(free), len(self.low[0]), dtype=torch.bool)
        for unit, places in enumerate(self.choices.places):
            first[unit, places] = True
        seen = [first & self.varies[0]]
        for made, step, taken in self.graph:
            if isinstance(step, Affine):
                images = [
                    seen[i].to(self.low[0].dtype).reshape(-1, *self.graph.shapes[i]) for i in taken
                ]
                found = step.linear(*images, absolute=True).flatten(1) > 0
            elif isinstance(step, Maxima):
                rivals = self.rivals[made]
                found = (seen[taken[0]][:, step.windows.clamp(min=0)] & rivals).any(dim=2)
            else:
                found = seen[taken[0]].clone()
            for table in known.get(made, ()):
                # what is in a table is looked up by all of its units
                found[:, table.places] = False
                found[torch.tensor(table.units)[:, None], table.places] = True
            seen.append(found & self.varies[made] & free[:, None])
        return seen

    def _planned(self, known: Mapping[int, Sequence[Table]]) -> dict[int, list[Group]]:
        """Choose groups of places to work out; what late ones need on the way is not kept."""
        planned = {}
        needed = [torch.zeros_like(varies) for varies in self.varies]
        needed[-1][:] = True
        for made, step, taken in reversed(list(self.graph)):
            if isinstance(step, Affine):
                for source in taken:
                    needed[source][:] = True
                continue
            wanted = needed[made] & self.varies[made]
            for table in known.get(made, ()):
                wanted[table.places] = False
            planned[made] = self._affordable(made, wanted)
            for _, places in planned[made]:
                wanted[places] = False
            self.wanted[made] = wanted
            needed[taken[0]] |= self.inputs_of(made)
        return planned

    def inputs_of(self, made: int) -> Tensor:
        """Return which places of its input the wanted ones of a value are made from."""
        step, wanted = self.graph.steps[made - 1], self.wanted[made]
        if not isinstance(step, Maxima):
            return wanted
        places = step.windows[wanted].flatten()
        inputs = torch.zeros_like(self.varies[self.graph.inputs[made - 1][0]])
        return inputs.index_fill(0, places[places >= 0], value=True)

    def groups(self, value: int, wanted: Tensor) -> list[Group]:
        """Group places of a value where `wanted` is true by the units that they depend on."""
        places = wanted.nonzero()[:, 0]
        if not len(places):
            return []
        columns, which = self.seen[value][:, places].unique(dim=1, return_inverse=True)
        order = which.argsort(stable=True)
        parts = places[order].split(which.bincount(minlength=columns.shape[1]).tolist())
        units = [tuple(column.nonzero()[:, 0].tolist()) for column in columns.T]
        return list(zip(units, parts, strict=True))

    def _affordable(self, made: int, wanted: Tensor) -> list[Group]:
        """Return groups of wanted places that the room is enough for, cheapest first."""
        fan, room, chosen = self._fan(made), self.room, []
        groups = self.groups(made, wanted)
        groups = [each for each in groups if each[0] and self.choices.count(each[0]) <= _MOST]
        costs = [self.choices.count(units) * len(own) * fan for units, own in groups]
        for cost, (units, own) in sorted(zip(costs, groups, strict=True), key=lambda each: each[0]):
            room -= cost
            if room >= 0:
                chosen.append((units, own))
        return chosen

    def _fan(self, made: int) -> int:
        """Numbers that one place of a value needs, back to the last value that has tables."""
        step = self.graph.steps[made - 1]
        if not made or isinstance(step, Affine):
            return 1
        width = step.windows.shape[1] if isinstance(step, Maxima) else 1
        return width * self._fan(self.graph.inputs[made - 1][0])

    def _add(self, made: int, groups: Sequence[Group], known: Sequence[Table]) -> None:
        table = torch.full_like(self.low[made], -1, dtype=torch.long)
        column, found = torch.zeros_like(table), list(known) if made else []
        for units, places in groups:
            values = self.values(made, places, Patterns(self.choices, units))
            found.append(Table(units, places, values))
        for number, each in enumerate(found):
            table[each.places] = number
            column[each.places] = torch.arange(len(each.places))
        self.tables[made], self._at[made] = found, (table, column)

    def parted(self, value: int, places: Tensor) -> Parted:
        """Part places of a value into constant ones, those in tables, and others."""
        varies = self.varies[value][places]
        if value not in self._at:
            return Parted((~varies).nonzero()[:, 0], {}, varies.nonzero()[:, 0])
        table, column = (each[places] for each in self._at[value])
        table = torch.where(varies, table, -2)
        order = table.argsort(stable=True)
        numbers, counts = table[order].unique_consecutive(return_counts=True)
        parts = dict(zip(numbers.tolist(), order.split(counts.tolist()), strict=True))
        none = places.new_zeros(0)
        constant, rest = parts.pop(-2, none), parts.pop(-1, none)
        return Parted(constant, {n: (own, column[own]) for n, own in parts.items()}, rest)

    def values(self, value: int, places: Tensor, patterns: Patterns) -> Tensor:
        """Return places (p,) of a value for patterns of units that decide them, (patterns, p).

        Exact but for rounding.
        """
        out = self.low[value].new_empty(len(patterns), len(places))
        parted = self.parted(value, places)
        out[:, parted.constant] = self.low[value][places[parted.constant]]
        for number, (own, columns) in parted.tabled.items():
            table = self.tables[value][number]
            out[:, own] = table.values[:, columns][patterns.number(table.units)]
        for own in parted.rest.split(_PLACES):
            self.pause()
            made = self._made if value else self._entered
            out[:, own] = made(value, places[own], patterns)
        return out

    def _entered(self, value: int, places: Tensor, patterns: Patterns) -> Tensor:  # noqa: ARG002
        out = self.low[0].new_empty(len(patterns), len(places))
        for unit in patterns.units:
            hit, column = (places[:, None] == self.choices.places[unit]).nonzero().T
            values = self.choices.values[unit][:, column]
            out[:, hit] = values[patterns.number((unit,))]
        return out

    def _made(self, value: int, places: Tensor, patterns: Patterns) -> Tensor:
        step, taken = self.graph.steps[value - 1], self.graph.inputs[value - 1]
        if isinstance(step, Maxima):
            return self._maxima(step, value, places, patterns)
        if not isinstance(step, Affine):
            return step(self.values(taken[0], places, patterns))
        shape = self.graph.shapes[value]
        eye = torch.eye(len(places), dtype=self.low[0].dtype)
        total = eye.new_zeros(())
        sums = Sums.of(self.choices, eye.new_zeros(len(places)) + step.offset_at(places, shape))
        for source, (inputs, matrix) in zip(taken, step.pull_at(eye, places), strict=True):
            # a weight of 0 may lead to units that no pattern is of
            used = (matrix != 0).any(dim=0)
            at, rows = inputs[used], matrix[:, used]
            rest = self.looked_up(source, at, rows, sums, most=len(patterns))
            if len(rest):
                total = total + self.values(source, at[rest], patterns) @ rows[:, rest].T
        return total + sums.merged(len(patterns)).at(patterns)

    def looked_up(
        self, value: int, places: Tensor, rows: Tensor, sums: Sums, most: float = torch.inf
    ) -> Tensor:
        """Add rows (r, p) of places that are constant, or in tables, to sums.

        Returns the columns of the others, and of those in tables of more patterns than `most`.
        """
        parted = self.parted(value, places)
        constant, rest = parted.constant, [parted.rest]
        sums.constant = sums.constant + rows[:, constant] @ self.low[value][places[constant]]
        for number, (own, columns) in parted.tabled.items():
            table = self.tables[value][number]
            if len(table.values) > most:
                rest.append(own)
            else:
                sums.add(table.units, table.values[:, columns] @ rows[:, own].T)
        return torch.cat(rest)

    def _maxima(self, step: Maxima, value: int, places: Tensor, patterns: Patterns) -> Tensor:
        """What is no rival never exceeds the maximum: its lower end stands for it."""
        source = self.graph.inputs[value - 1][0]
        windows, rivals = step.windows[places], self.rivals[value][places]
        floor = self.low[source][windows.clamp(min=0)]
        floor = floor.masked_fill((windows < 0) | rivals, -torch.inf).amax(dim=1)
        if step.floor is not None:
            floor = torch.maximum(floor, step.floor[places])
        inputs, column = windows[rivals].unique(return_inverse=True)
        found = self.values(source, inputs, patterns)
        parts = found.new_full((len(found), *windows.shape), -torch.inf)
        parts[:, rivals] = found[:, column]
        return torch.maximum(parts.amax(dim=2), floor)


def _restricted(tables: Tables, kept: Mapping[int, Tensor]) -> dict[int, list[Table]]:
    """Return tables with the patterns alone that are left; units that are decided stay in them."""

    def left(each: Table) -> Table:
        if kept.keys().isdisjoint(each.units):
            return each
        return replace(each, values=each.values[tables.choices.numbers(each.units, kept)])

    return {value: [left(each) for each in own] for value, own in tables.tables.items()}
