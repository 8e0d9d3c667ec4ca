"""CROWN on a code box, with tables in place of the boxes and the lines of what few choices decide.

Boxes of neurons without a table, and margins, are pulled back through the network as CROWN does,
but only as far as the tables: there they are sums of functions of few choices each.
"""

import torch
from torch import Tensor

from art_disc.bounds.affine import Affine, Box, Part
from art_disc.bounds.linear import Bounds, relative_error
from art_disc.bounds.sums import Sums
from art_disc.bounds.tables import Tables
from art_disc.core.showing import Shown

# patterns of the tables that single neurons are bounded by
_NEURON_PATTERNS = 1 << 10
_ROWS = 256


class TabledBounds(Shown):
    """Boxes and lines of a graph's values on one code box.

    Args:
        tables: On this code box.
        boxes: Of all values (n = 1), which hold on it.

    Attributes:
        tables: The tables.
        bounds: Boxes of all values, and lines.
    """

    def __init__(self, tables: Tables, boxes: list[Box]) -> None:
        self.tables = tables
        self.graph = tables.graph
        self.bounds = Bounds(self.graph, [boxes[0]])
        for made, step, taken in self.graph:
            if not isinstance(step, Affine):
                self._tighten(made, taken[0])
                self.bounds.lines[made] = step.lines(self.bounds.boxes[taken[0]])
            self.bounds.add(step, taken)
            self.bounds.meet(made, boxes[made])
            self.bounds.meet(made, self._tabled_box(made))

    def _tabled_box(self, made: int) -> Box:
        shape = self.graph.shapes[made]
        low = torch.full((shape.numel(),), -torch.inf, dtype=self.tables.low[0].dtype)
        high = -low
        for table in self.tables.tables.get(made, ()):
            low[table.places] = table.values.amin(dim=0)
            high[table.places] = table.values.amax(dim=0)
        return low.reshape(1, *shape), high.reshape(1, *shape)

    def _tighten(self, made: int, source: int) -> None:
        """Bound what steps that are not affine, and of which there are no tables, take."""
        step, box = self.graph.steps[made - 1], self.bounds.boxes[source]
        known = not source or not isinstance(self.graph.steps[source - 1], Affine)
        if isinstance(step, Affine) or known:
            return
        unstable = step.unstable(box).flatten() & self.tables.inputs_of(made)
        low, high = (torch.full_like(end.flatten(), torch.inf) for end in box)
        low = -low
        for _, places in self.tables.groups(source, unstable):
            for own in places.split(_ROWS):
                self.tables.pause()
                eye = torch.eye(len(own), dtype=low.dtype)
                sums = self.sums(source, own, torch.cat([eye, -eye]))
                least = sums.merged(_NEURON_PATTERNS).least()
                low[own], high[own] = least[: len(own)], -least[len(own) :]
        shape = box[0].shape
        self.bounds.meet(source, (low.reshape(shape), high.reshape(shape)))

    def sums(self, value: int, places: Tensor, rows: Tensor) -> Sums:
        """Bound rows (r, p) of p places of a value from below."""
        found = Sums.of(self.tables.choices, rows.new_zeros(len(rows)))
        pending = {value: (places, rows)}
        for source in range(value, -1, -1):
            if source not in pending:
                continue
            places, rows = self._looked_up(source, *pending.pop(source), found)
            if not len(places):
                continue
            if source in self.bounds.lines:
                found.relaxed.append((source, places, rows))
            for before, part in self._pulled(source, places, rows, found):
                pending[before] = _together(pending[before], part) if before in pending else part
        return found

    def loss(self, sums: Sums, row: int) -> Tensor:
        """Return what lines cost one row of `sums`, by the units that it depends on, (units,).

        That is how far apart the lines are around each neuron, as the row weighs it, for every unit
        that the neuron sees.
        """
        total = torch.zeros(len(self.tables.choices.values), dtype=self.tables.low[0].dtype)
        for value, places, rows in sums.relaxed:
            gap = self.bounds.lines[value].gap().flatten()[places]
            total += self.tables.seen[value][:, places].to(total.dtype) @ (rows[row].abs() * gap)
        return total

    def _looked_up(self, value: int, places: Tensor, rows: Tensor, found: Sums) -> Part:
        """Take what is constant, or in a table, out of rows; return the others."""
        self._charge(found, value, places, rows, self.bounds.largest(value).flatten())
        rest = self.tables.looked_up(value, places, rows, found)
        return places[rest], rows[:, rest]

    def _charge(
        self, found: Sums, value: int, places: Tensor, rows: Tensor, size: Tensor, terms: int = 0
    ) -> None:
        """Count what rounding of sums of terms of these sizes, and of their sums, can amount to."""
        if self.graph.rigorous:
            # each place is a term of one table at most, and the tables of all values are added up
            most = sum(shape.numel() for shape in self.graph.shapes)
            unit = relative_error(self.graph, self.graph.shapes[value].numel() + most + terms)
            found.error = found.error + unit * (rows.abs() @ size[places])

    def _pulled(
        self, value: int, places: Tensor, rows: Tensor, found: Sums
    ) -> list[tuple[int, Part]]:
        step, taken = self.graph.steps[value - 1], self.graph.inputs[value - 1]
        largest = [self.bounds.largest(i) for i in taken]
        if not isinstance(step, Affine):
            lines = self.bounds.lines[value]
            part, constant = lines.pull_at(rows, places)
            found.constant = found.constant + constant
            self._charge(found, value, places, rows, lines.size(largest[0]).flatten())
            return [(taken[0], part)]
        shape = self.graph.shapes[value]
        offset = step.offset_at(places, shape)
        found.constant = found.constant + rows @ (offset + rows.new_zeros(len(places)))
        self._charge(found, value, places, rows, step.size(*largest).flatten(), step.terms)
        return list(zip(taken, step.pull_at(rows, places), strict=True))


def _together(one: Part, other: Part) -> Part:
    places, column = torch.cat([one[0], other[0]]).unique(return_inverse=True)
    rows = one[1].new_zeros(len(one[1]), len(places))
    return places, rows.index_add(1, column, torch.cat([one[1], other[1]], dim=1))
