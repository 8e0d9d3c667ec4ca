"""One image in a search: its free units, and the network over them."""

import numpy as np
import torch
from torch import Tensor

from art_disc.bounds import boxes_of, crown, crown_forward, crown_ibp, reduced
from art_disc.bounds.affine import Box
from art_disc.certificates.complete.scene import Scene
from art_disc.codebox import CodeBox
from art_disc.core.checks import Float32Array, Float64Array, IntArray

_BYTES = 8
# of the matrices of a reduced network; beyond it, making them takes longer than using them
_MOST_NUMBERS = 1 << 22


class Frame:
    """Boxes of codes of one image's free units, as boxes of the inputs of a graph.

    The graph is the reduced one, or the whole network's where that would take too much memory.

    Attributes:
        scene: What all images share.
        root: The code box of the free units, one row.
        graph: From its inputs to logits.
        known: Bounds of its values that hold for the whole image; None where every box gets its
            own, by functions of the free inputs.
    """

    def __init__(self, scene: Scene, index: int, megabytes: float) -> None:
        self.scene, self.index = scene, index
        whole = scene.boxes([index])
        self.units = np.flatnonzero(whole.free[0])
        self.root = CodeBox(
            whole.codewords, whole.codes[:, self.units], whole.counts[:, self.units]
        )
        self.rows = scene.rows([index])
        low, high = scene.ends(whole)
        with torch.no_grad():
            boxes = boxes_of(scene.graph, low, high)
            most = min(int(megabytes * 2**20 / 2 / _BYTES), _MOST_NUMBERS)
            small = reduced(scene.graph, boxes, most)
            self.forward = small is None and not scene.graph.rigorous
            self.base = low
            places = torch.from_numpy(scene.places[self.units].reshape(-1))
            self.places = places if small is None else small.free
            if small is None:
                self.graph, self.inputs = scene.graph, places
                self.chosen = torch.arange(len(places))
                self.known = None if self.forward else crown_ibp(self.graph, low, high)
            else:
                self.graph, self.inputs = small.graph, torch.arange(len(small.free))
                # values of units in the order of the graph's inputs
                order = places.argsort()
                self.chosen = order[torch.searchsorted(places[order], small.free)]
                self.base = low.new_zeros(1, len(small.free))
                self.known = crown(self.graph, *self.ends(self.root))

    def ends(self, nodes: CodeBox) -> Box:
        """Return boxes of the graph's inputs around code boxes of the free units."""
        low, high = (self.inputs_at(end) for end in nodes.hull())
        return low, high

    def inputs_at(self, values: Float32Array) -> Tensor:
        """Return the graph's inputs where the free units have these values (n, free, d)."""
        flat = torch.from_numpy(values.reshape(len(values), -1)).double()
        x = self.base.flatten(1).repeat(len(flat), 1)
        x[:, self.inputs] = self.scene.entered(flat[:, self.chosen], self.places)
        return x.reshape(len(flat), *self.base.shape[1:])

    def margins_at(self, codes: IntArray) -> Tensor:
        """Return the label's margins over the others on code images (m, free), shape (m, r)."""
        with torch.no_grad():
            logits = self.graph(self.inputs_at(self.root.codewords[codes]))
        gaps: Tensor = logits @ self.rows[0].T
        return gaps

    def bounded(self, nodes: CodeBox) -> tuple[Tensor, Float64Array, Float64Array]:
        """Return the least margin's lower bound on each node (n,), and its slopes in the box.

        The slopes are those with respect to the lower and the upper ends of the free units' values,
        shape (n, free, d).
        """
        low, high = (end.requires_grad_() for end in self.ends(nodes))
        if self.forward:
            bounds = crown_forward(self.graph, low, high, self.inputs)
        else:
            bounds = crown_ibp(self.graph, low, high, self.known)
        least = bounds.lower(self.rows.expand(len(nodes), -1, -1)).amin(dim=1)
        slopes = torch.autograd.grad(least.sum(), (low, high), allow_unused=True)
        shape = (*nodes.counts.shape, self.root.codewords.shape[1])
        made = []
        for slope in slopes:
            flat = np.zeros((len(nodes), shape[1] * shape[2]))
            if slope is not None:
                flat[:, self.chosen] = slope.flatten(1)[:, self.inputs].numpy()
            made.append(flat.reshape(shape))
        return least.detach(), made[0], made[1]
