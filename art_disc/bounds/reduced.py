"""The same network over what a box leaves free: a smaller graph, for many boxes inside that one.

Everything that is constant on the box, and every neuron that is, is folded into offsets; runs of
affine steps, sums of branches among them, become one matrix for each of what they start from.
"""

from dataclasses import dataclass
from functools import cache
from typing import cast

import torch
from torch import Tensor

from art_disc.bounds.affine import Affine, Box, Dense
from art_disc.bounds.graph import Graph, Step
from art_disc.bounds.maxima import Maxima
from art_disc.core.showing import Shown

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Reduced(Shown):
    """A graph on vectors of the free inputs.

    Attributes:
        graph: Its output is the whole network's.
        free: Places of its inputs in the flattened input of the whole network, rising.
    """

    graph: Graph
    free: Tensor


def reduced(graph: Graph, boxes: list[Box], most: int = 1 << 25) -> Reduced | None:
    """Return a graph that agrees with the given one on a box, or None where it would be larger.

    Args:
        graph: The network.
        boxes: Of all its values, for one box of inputs (n = 1), as `boxes_of` makes them.
        most: Numbers that its matrices may have together.
    """
    builder = _Builder(graph, boxes, most)
    for made, step, taken in graph:
        if not isinstance(step, Affine) and not builder.add(made, step, taken[0]):
            return None
    last = len(graph.steps)
    if builder.made.get(last) is None and not builder.add_affine(
        last, torch.arange(_size(graph, last))
    ):
        return None
    return builder.result()


def _size(graph: Graph, value: int) -> int:
    return graph.shapes[value].numel()


class _Builder:
    """Steps of the smaller graph, one after the other."""

    def __init__(self, graph: Graph, boxes: list[Box], most: int) -> None:
        self.graph, self.room = graph, most
        self.low = [low.flatten(1) for low, _ in boxes]
        self.varies = [(low < high).flatten() for low, high in boxes]
        self.maker = {made: (step, taken) for made, step, taken in graph}
        self.steps: list[Step] = []
        self.inputs: list[tuple[int, ...]] = []
        # for the input and what is not affine: its number in the new graph, and its places
        self.made = {0: 0}
        self.kept = {0: self.varies[0].nonzero()[:, 0]}
        self.sizes = [len(self.kept[0])]

    def result(self) -> Reduced:
        shapes = tuple(torch.Size((size,)) for size in self.sizes)
        graph = Graph(tuple(self.steps), tuple(self.inputs), shapes, self.graph.rigorous)
        return Reduced(graph, self.kept[0])

    def _append(self, step: Step, taken: tuple[int, ...], size: int) -> int:
        self.steps.append(step)
        self.inputs.append(taken)
        self.sizes.append(size)
        return len(self.steps)

    def add(self, made: int, step: Step, source: int) -> bool:
        """Add a step that is not affine, and before it the matrices that lead to its input."""
        wanted = self.varies[made].nonzero()[:, 0]
        places = self._rivals(step, source, wanted) if isinstance(step, Maxima) else wanted
        if source in self.made:
            places, taken = self.kept[source], self.made[source]
            wanted = wanted if isinstance(step, Maxima) else places
        else:
            if not self.add_affine(source, places):
                return False
            taken = len(self.steps)
        if isinstance(step, Maxima):
            step = self._windows(step, source, wanted, places)
        self.made[made] = self._append(step, (taken,), len(wanted))
        self.kept[made] = wanted
        return True

    def _rivals(self, step: Maxima, source: int, wanted: Tensor) -> Tensor:
        """Places that can be the maximum of one of the wanted windows, and vary."""
        places: Tensor = step.windows[wanted].flatten().clamp(min=0).unique()
        return places[self.varies[source][places]]

    def _windows(self, step: Maxima, source: int, wanted: Tensor, places: Tensor) -> Maxima:
        """Return the wanted windows over the vector of `places`; what is constant is a floor."""
        where = torch.full((_size(self.graph, source),), -1)
        where[places] = torch.arange(len(places))
        windows = step.windows[wanted]
        varies = (windows >= 0) & self.varies[source][windows.clamp(min=0)]
        low = self.low[source][0]
        constant = low[windows.clamp(min=0)].masked_fill((windows < 0) | varies, -torch.inf)
        floor = constant.amax(dim=1) if len(wanted) else low.new_zeros(0)
        if step.floor is not None:
            floor = torch.maximum(floor, step.floor[wanted])
        table = torch.where(varies, where[windows.clamp(min=0)], -1)
        return Maxima(table, (len(places),), (len(wanted),), floor)

    def add_affine(self, value: int, places: Tensor) -> bool:
        """Add the matrices from what is made to some places of a value; False if too large."""
        sources = sorted(self._sources(value))
        needed = sum(len(self.kept[s]) for s in sources) * len(places)
        self.room -= needed
        if self.room < 0:
            return False
        at = {s: torch.where(self.varies[s], 0.0, self.low[s]) for s in sources}
        for s in sources:
            # what is kept although it does not vary is a variable too
            at[s][:, self.kept[s]] = 0.0
        offset = self._value(value, at, offsets=True)[0, places]
        weights = tuple(self._columns(value, s, places) for s in sources)
        self._append(Dense(weights, offset), tuple(self.made[s] for s in sources), len(places))
        return True

    def _sources(self, value: int) -> set[int]:
        if value in self.made:
            return {value}
        return {s for i in self.maker[value][1] for s in self._sources(i)}

    def _columns(self, value: int, source: int, places: Tensor) -> Tensor:
        """Return the matrix from one source to some places of a value, shape (places, kept)."""
        size, columns = len(self.low[source][0]), []
        for part in self.kept[source].split(_AT_ONCE):
            units = self.low[source].new_zeros(len(part), size)
            units[torch.arange(len(part)), part] = 1.0
            columns.append(self._value(value, {source: units}, offsets=False)[:, places])
        return torch.cat(columns).T if columns else self.low[source].new_zeros(len(places), 0)

    def _value(self, value: int, at: dict[int, Tensor], *, offsets: bool) -> Tensor:
        """Return a value (n, size) where its sources have these; others are 0."""
        rows = len(next(iter(at.values())))

        @cache
        def work_out(i: int) -> Tensor:
            if i in self.made:
                flat = at.get(i, self.low[i].new_zeros(rows, self.low[i].shape[1]))
                return flat.reshape(rows, *self.graph.shapes[i])
            step, taken = self.maker[i]
            parts = [work_out(j) for j in taken]
            # what is not affine is made already
            return cast(Affine, step)(*parts) if offsets else cast(Affine, step).linear(*parts)

        return work_out(value).flatten(1)
