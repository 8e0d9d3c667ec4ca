"""What the search sees of a problem: the network's graph, code boxes, and boxes of images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from art_disc.bounds import Graph, float_tolerance, margin_rows
from art_disc.certificates.complete.network import graph_of
from art_disc.certificates.problem import Problem
from art_disc.codebox import CodeBox, from_units, to_units
from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.errors import CertificateError
from art_disc.estimators.steadiness import SAME

_SAMPLE = 32


class Scene:
    """The images of a problem that are to be decided, for bounds.

    Attributes:
        problem: The problem.
        graph: The network from images of codewords to logits, in float64.
        tolerance: By how much a margin must exceed 0 to count.
        places: Place in the flattened image of each unit's values, shape (units, d).
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        target, shape = problem.target, problem.images.shape[1:]
        self.graph: Graph = graph_of(target, shape)
        self.classes = self.graph.shapes[-1].numel()
        book = target.codebook
        numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
        self.places: IntArray = to_units(numbers, book, channels_first=target.channels_first)[
            0
        ].astype(np.int64)
        words = book.codewords_
        self.codewords: Float32Array = (
            words if target.upper == 1 else words * np.float32(target.upper)
        )
        self.tolerance = 0.0
        if problem.to_decide:
            sample = self.boxes(problem.to_decide[:_SAMPLE])
            if target.rounded is None:
                self.tolerance = float_tolerance(self.graph, *self.ends(sample))
            self._check(sample)

    def boxes(self, images: Sequence[int]) -> CodeBox:
        """Return the code boxes of images, a row each, of all their units."""
        masks = np.stack([self.problem.mask(index) for index in images])
        return CodeBox.of_mask(masks, self.codewords)

    def ends(self, boxes: CodeBox) -> tuple[Tensor, Tensor]:
        """Return boxes of images (n, ...) around code boxes of all units, in float64."""
        low, high = (self.entered(self._images(end)) for end in boxes.hull())
        return low, high

    def entered(self, values: Tensor, places: Tensor | None = None) -> Tensor:
        """Return inputs of the graph for images, or for values (n, p) at places of them."""
        rounded = self.problem.target.rounded
        return values if rounded is None else rounded.entry(values, places)

    def _images(self, units: Float32Array) -> Tensor:
        target = self.problem.target
        shape = self.problem.images.shape[1:]
        x = from_units(units, shape, target.codebook, channels_first=target.channels_first)
        return torch.from_numpy(x).double()

    def rows(self, images: Sequence[int]) -> Tensor:
        """Return the margins of images' labels as rows (n, classes - 1, classes) of the logits."""
        labels = torch.from_numpy(self.problem.labels[list(images)].astype(np.int64))
        return margin_rows(labels, self.classes).double()

    def _check(self, boxes: CodeBox) -> None:
        """Refuse a graph that scores images of codewords otherwise than the classifier does."""
        # corners of a box of colours are no codewords
        for codes in (boxes.codes[:, :, 0], boxes.codes[:, :, -1]):
            x = self._images(self.codewords[codes])
            predicted = self.problem.target.scores(x.numpy().astype(np.float32), len(x))
            scores = torch.from_numpy(predicted)
            with torch.no_grad():
                found = self.graph(self.entered(x))
            if self.problem.target.rounded is not None:
                found = found - found.amax(dim=1, keepdim=True)
            same = max(SAME, self.problem.target.tolerance)
            most = max(self.tolerance, same * max(1.0, float(scores.abs().max())))
            if found.shape != scores.shape or not float((found - scores).abs().max()) <= most:
                msg = (
                    "the classifier's predictions are not those of its torch network on images of "
                    "codewords, so bounds of the network say nothing of it"
                )
                raise CertificateError(msg)
