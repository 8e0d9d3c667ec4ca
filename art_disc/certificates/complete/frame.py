"""One image in a search by CROWN: its free units, and the network over them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from art_disc.bounds import Graph, Reduced, crown, crown_ibp
from art_disc.bounds.affine import Box
from art_disc.certificates.complete.node import Looked, Node
from art_disc.certificates.complete.scene import Scene
from art_disc.codebox import CodeBox
from art_disc.core.checks import Float32Array, Float64Array, IntArray

_MOST_NODES = 64


class Region:
    """The free units of one image, and where their values go.

    Attributes:
        scene: What all images share.
        units: The free units.
        root: Their code box, one row.
        rows: The label's margins as rows (1, r, classes) of the logits.
        low: Least input of the graph, shape (1, ...).
        high: Largest input.
        pixels: What pixels can be, where that is less than the box.
        places: Places of the free units' values in the flattened input, unit by unit.
    """

    def __init__(self, scene: Scene, index: int) -> None:
        self.scene = scene
        whole = scene.boxes([index])
        self.units = np.flatnonzero(whole.free[0])
        self.root = CodeBox(
            whole.codewords, whole.codes[:, self.units], whole.counts[:, self.units]
        )
        self.rows = scene.rows([index])
        self.low, self.high = scene.ends(whole)
        self.pixels = scene.pixels(whole)
        self.places = torch.from_numpy(scene.places[self.units].reshape(-1))

    def values_at(self, values: Float32Array) -> Tensor:
        """Return the free units' values (n, free, d) as the graph takes them, (n, free d)."""
        flat = torch.from_numpy(values.reshape(len(values), -1)).double()
        return self.scene.entered(flat, self.places)

    def filled(self, base: Tensor, values: Tensor, places: Tensor) -> Tensor:
        """Return inputs (n, ...) like a base (1, ...), with values (n, p) at places of it."""
        x = base.flatten(1).repeat(len(values), 1)
        x[:, places] = values
        return x.reshape(len(values), *base.shape[1:])

    def ends(self, nodes: CodeBox) -> Box:
        """Return boxes of the graph's inputs around code boxes of the free units."""
        low, high = (
            self.filled(self.low, self.values_at(end), self.places) for end in nodes.hull()
        )
        return low, high


class CrownFrame:
    """Boxes of codes of one image's free units, as boxes of the inputs of a graph; a `Frame`.

    Args:
        region: The image.
        small: The network over its free units; None: the whole one is used.
        megabytes: Memory that boxes bounded at once may take.

    Attributes:
        root: The code box of the free units, one row.
        at_once: Nodes that are best looked at together.
    """

    @torch.no_grad()
    def __init__(self, region: Region, small: Reduced | None, megabytes: float) -> None:
        self.region, self.root = region, region.root
        self.graph: Graph = region.scene.graph if small is None else small.graph
        self.places, order = region.places.sort()
        if small is None:
            self.base, self.inputs, self.chosen = region.low, self.places, order
            self.known = crown_ibp(self.graph, region.low, region.high, pixels=region.pixels)
        else:
            self.inputs = torch.arange(len(small.free))
            # values of units in the order of the graph's inputs
            self.chosen = order[torch.searchsorted(self.places, small.free)]
            self.base = region.low.new_zeros(1, len(small.free))
            self.known = crown(self.graph, *self._ends(self.root))
        widest = max(shape.numel() for shape in self.graph.shapes) * 64 * region.scene.classes
        self.at_once = int(np.clip(megabytes * 2**20 / widest, 1, _MOST_NODES))

    def _ends(self, nodes: CodeBox) -> Box:
        low, high = (self._inputs_at(end) for end in nodes.hull())
        return low, high

    def _inputs_at(self, values: Float32Array) -> Tensor:
        chosen = self.region.values_at(values)[:, self.chosen]
        return self.region.filled(self.base, chosen, self.inputs)

    @torch.no_grad()
    def margins_at(self, codes: IntArray) -> Tensor:
        """See `Frame`."""
        logits = self.graph(self._inputs_at(self.root.codewords[codes]))
        margins: Tensor = logits @ self.region.rows[0].T
        return margins

    def look(self, nodes: Sequence[Node], tolerance: float) -> list[Looked]:
        """See `Frame`."""
        boxes = joined([node.box for node in nodes])
        least, *slopes = self._bounded(boxes)
        codes = lowest_codes(boxes, slopes[0] + slopes[1])
        units = best_units(boxes, *slopes)
        # not greater, so that nan stays open
        seen = [
            codes[[row]] if not bound > tolerance else codes[:0] for row, bound in enumerate(least)
        ]
        return [Looked(*each) for each in zip(least, seen, units.tolist(), strict=True)]

    def _bounded(self, nodes: CodeBox) -> tuple[list[float], Float64Array, Float64Array]:
        """Return the least margin's lower bound on each node, and its slopes in the box.

        The slopes are those with respect to the lower and the upper ends of the free units' values,
        shape (n, free, d).
        """
        low, high = (end.requires_grad_() for end in self._ends(nodes))
        bounds = crown_ibp(self.graph, low, high, self.known)
        least = bounds.lower(self.region.rows.expand(len(nodes), -1, -1)).amin(dim=1)
        slopes = torch.autograd.grad(least.sum(), (low, high), allow_unused=True)
        shape = (*nodes.counts.shape, self.root.codewords.shape[1])
        made = []
        for slope in slopes:
            flat = np.zeros((len(nodes), shape[1] * shape[2]))
            if slope is not None:
                flat[:, self.chosen] = slope.flatten(1)[:, self.inputs].numpy()
            made.append(flat.reshape(shape))
        return least.tolist(), made[0], made[1]


def joined(boxes: list[CodeBox]) -> CodeBox:
    """Return the rows of boxes of the same units."""
    codes = np.concatenate([box.codes for box in boxes])
    return CodeBox(boxes[0].codewords, codes, np.concatenate([box.counts for box in boxes]))


def lowest_codes(nodes: CodeBox, slope: Float64Array) -> IntArray:
    """Codes (n, free) of the codewords that lie lowest along a slope (n, free, d) of each unit."""
    height = (nodes.codewords[nodes.codes] * slope[:, :, None]).sum(axis=-1)
    best = height.argmin(axis=2)
    return np.asarray(np.take_along_axis(nodes.codes, best[..., None], axis=2)[..., 0])


def best_units(nodes: CodeBox, by_low: Float64Array, by_high: Float64Array) -> IntArray:
    """Return of each node (n,) the unit whose halves both gain most, to first order."""
    rows, units = np.nonzero(nodes.free)
    single = CodeBox(
        nodes.codewords, nodes.codes[rows, units][:, None], nodes.counts[rows, units][:, None]
    )
    low, high = (end[:, 0] for end in single.hull())
    gains = []
    for half in single.split(np.zeros(len(rows), dtype=np.int64)):
        less, more = (end[:, 0] for end in half.hull())
        gain = by_low[rows, units] * (less - low) + by_high[rows, units] * (more - high)
        gains.append(gain.sum(axis=1))
    score = np.full(nodes.counts.shape, -np.inf)
    # the larger one tells apart those whose smaller one is 0
    score[rows, units] = np.minimum(*gains) + 1e-3 * np.maximum(*gains)
    return np.asarray(score.argmax(axis=1))
