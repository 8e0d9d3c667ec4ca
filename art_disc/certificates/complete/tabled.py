"""One image in a search by tables of what few of its free units decide."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from art_disc.bounds import Choices, Patterns, Sums, TabledBounds, Tables, boxes_of, met
from art_disc.bounds.affine import Box
from art_disc.certificates.complete.frame import Region
from art_disc.certificates.complete.node import Looked, Node
from art_disc.codebox import CodeBox
from art_disc.core.checks import IntArray

# numbers that may be worked out for the tables of a value, a megabyte
_ROOM = 1 << 16
# patterns of the tables that margins are bounded by
_MARGIN_PATTERNS = 1 << 14
# code images are looked at one by one in boxes of at most 2^this, if so many at most are in doubt
_LOG2, _DOUBTFUL = 16, 1 << 10
# code images that go through the whole network at once sooner than through tables
_FEW = 16


@dataclass(frozen=True, slots=True)
class _Known:
    """Tables and boxes of a code box."""

    box: CodeBox
    tables: Tables
    boxes: list[Box]


class TabledFrame:
    """Code boxes of one image's free units, bounded by tables; a `Frame`.

    Args:
        region: The image.
        megabytes: Memory that tables may take.
        pause: Called between parts of the work on a box; what it raises ends that.

    Attributes:
        root: The code box of the free units, one row.
        at_once: Nodes that are best looked at together.
        whole: What is known of it.
    """

    at_once = 1

    def __init__(self, region: Region, megabytes: float, pause: Callable[[], object]) -> None:
        self.region, self.root, self.graph = region, region.root, region.scene.graph
        self.room, self.pause = megabytes * _ROOM, pause
        words = self.root.codewords
        places = region.places.reshape(len(region.units), words.shape[1])
        values = []
        for column in range(len(places)):
            codes = self.root.codes[0, column, : self.root.counts[0, column]]
            listed = torch.from_numpy(words[codes]).double()
            values.append(region.scene.entered(listed, places[column]))
        self.choices = Choices(tuple(places), tuple(values))
        self.whole = self._tables(Node(-np.inf, self.root))

    @property
    def useful(self) -> bool:
        """Whether there are tables of anything but the input."""
        return any(tables for value, tables in self.whole.tables.tables.items() if value)

    @torch.no_grad()
    def margins_at(self, codes: IntArray) -> Tensor:
        """See `Frame`."""
        if len(codes) <= _FEW:
            values = self.region.values_at(self.root.codewords[codes])
            x = self.region.filled(self.region.low, values, self.region.places)
            return self.graph(x) @ self.region.rows[0].T
        digits = (self.root.codes[0] < codes[..., None]).sum(axis=2)
        listed = Patterns(
            self.choices, tuple(range(len(self.choices.values))), torch.from_numpy(digits)
        )
        last = len(self.graph.steps)
        logits = self.whole.tables.values(last, torch.arange(self.region.scene.classes), listed)
        return logits @ self.region.rows[0].T

    @torch.no_grad()
    def look(self, nodes: Sequence[Node], tolerance: float) -> list[Looked]:
        """See `Frame`."""
        return [self._looked(node, tolerance) for node in nodes]

    def _looked(self, node: Node, tolerance: float) -> Looked:
        known = self.whole if node.known is None else self._tables(node)
        bounds = TabledBounds(known.tables, known.boxes)
        known = _Known(node.box, known.tables, bounds.bounds.boxes)
        rows, last = self.region.rows[0], len(self.graph.steps)
        pulled = bounds.sums(last, torch.arange(rows.shape[1]), rows)
        sums = pulled.merged(_MARGIN_PATTERNS)
        least = sums.least()
        bound, none = float(least.min()), node.box.codes[0, :, :0].T
        if bound > tolerance:
            return Looked(bound, none)
        # not greater, so that nan stays open
        open_rows = ~(least > tolerance)
        if node.box.log2[0] <= _LOG2 + 1e-9:
            codes = self._doubtful(node.box, sums, open_rows, tolerance)
            if len(codes) <= _DOUBTFUL:
                return Looked(bound, codes)
        worst = int(least.argmin())
        loss = bounds.loss(pulled, worst).numpy()
        unit = int(np.where(node.box.free[0], loss, -1.0).argmax())
        codes = _lowest(node.box, sums.only(torch.tensor([worst])))
        return Looked(bound, codes, unit, known)

    @torch.no_grad()
    def _tables(self, node: Node) -> _Known:
        ends, within = self.region.ends(node.box), None
        boxes, choices = boxes_of(self.graph, *ends), self.choices
        if node.known is not None:
            outer: _Known = node.known
            kept = _kept(outer.box, node.box)
            within, choices = (outer.tables, kept), outer.tables.choices.kept(kept)
            boxes = [met(*each) for each in zip(boxes, outer.boxes, strict=True)]
        tables = Tables(self.graph, boxes, choices, room=self.room, within=within, pause=self.pause)
        return _Known(node.box, tables, boxes)

    def _doubtful(self, box: CodeBox, sums: Sums, open_rows: Tensor, tolerance: float) -> IntArray:
        """Return the codes (m, free) of code images on which some margin is not proved."""
        units = np.flatnonzero(box.free[0])
        patterns = Patterns(sums.choices, tuple(units.tolist()))
        margins = sums.only(open_rows).at(patterns)
        rest = (~(margins > tolerance)).any(dim=1).nonzero()[:, 0].numpy()
        digits = np.zeros((len(rest), len(box.counts[0])), dtype=np.int64)
        for unit in units[::-1]:
            rest, digits[:, unit] = np.divmod(rest, box.counts[0, unit])
        return _codes(box, digits)


def _lowest(box: CodeBox, sums: Sums) -> IntArray:
    """Return codes (1, free) that make each of some tables of one row least."""
    digits = np.zeros((1, len(box.counts[0])), dtype=np.int64)
    for units, values in sums.tables.items():
        rest = int(values[:, 0].argmin())
        for unit in reversed(units):
            rest, digits[0, unit] = divmod(rest, len(sums.choices.values[unit]))
    return _codes(box, digits)


def _codes(box: CodeBox, digits: IntArray) -> IntArray:
    """Return the codes (m, free) at places (m, free) of the lists of a box of one row."""
    return np.asarray(np.take_along_axis(box.codes[0].T, digits, axis=0))


def _kept(outer: CodeBox, inner: CodeBox) -> dict[int, Tensor]:
    """Return for each unit that has fewer codes in the inner box their places in the outer's."""
    kept = {}
    for unit in np.flatnonzero(outer.counts[0] != inner.counts[0]).tolist():
        codes = outer.codes[0, unit, : outer.counts[0, unit]]
        kept[unit] = torch.from_numpy(np.flatnonzero(np.isin(codes, inner.codes[0, unit])))
    return kept
