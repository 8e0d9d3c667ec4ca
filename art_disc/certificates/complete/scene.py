"""What the search sees of a problem: the network's graph, code boxes, and boxes of images."""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from art_disc.bounds import Alternatives, Graph, float_tolerance, magnitudes, margin_rows
from art_disc.certificates.complete.network import graph_of
from art_disc.certificates.jobs import in_batches
from art_disc.certificates.problem import Problem
from art_disc.codebox import CodeBox, from_units, to_units
from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.errors import CertificateError
from art_disc.estimators.steadiness import SAME

_SAMPLE, _MIXED = 32, 64
# eight times what scores of an image are seen to differ by, twice, as a margin is of two
_MARGIN_GAP = 16.0
# of a pixel that are told apart
_MOST_COLOURS = 16
# numbers in the largest values of the images bounded at once, and in their masks
_MOST_VALUES = 1 << 22
# float32 ends at 3e38
_LARGEST = 1e30


class Scene:
    """The images of a problem that are to be decided, for bounds.

    Attributes:
        problem: The problem.
        graph: The network from images of codewords to logits, in float64.
        tolerances: By how much the margin of each image must exceed 0 to count; infinite where
            values could be too large for float32.
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
        self.tolerances = dict.fromkeys(problem.to_decide, 0.0)
        if self.tolerances:
            # the same ones whatever is settled
            sample = self.boxes(list(problem.packed)[:_SAMPLE])
            seen = 0.0
            if target.rounded is None:
                seen = float_tolerance(self.graph, *self.ends(sample))
                self.tolerances = self._tolerances(seen)
            self._check(sample, seen)
            if target.rounded is None:
                self._raise_tolerances()

    def _tolerances(self, seen: float) -> dict[int, float]:
        """Return the largest of what enumeration asks, what was seen, and what rounding does."""
        made: dict[int, float] = {}
        for part in self.parts(self.problem.to_decide):
            found = magnitudes(self.graph, *self.ends(self.boxes(part)))
            least = self.problem.target.tolerance * found.largest
            tolerance = torch.maximum(least, found.error).clamp(min=seen)
            tolerance[~(found.hidden <= _LARGEST)] = torch.inf
            made.update(zip(part, tolerance.tolist(), strict=True))
        return made

    def _raise_tolerances(self) -> None:
        """Ask of each image as much as its own scores differ by between graph and classifier."""
        # parts, and so rounding, are the same whatever is settled
        for part in self.parts(list(self.problem.packed)):
            if not self.tolerances.keys().isdisjoint(part):
                gaps = dict(zip(part, (_MARGIN_GAP * self._gaps(part)).tolist(), strict=True))
                for index in self.tolerances.keys() & gaps.keys():
                    self.tolerances[index] = max(self.tolerances[index], gaps[index])

    def part(self, images: Sequence[int]) -> "Scene":
        """Return the scene of some images, numbered by their places here; nothing is measured."""
        made = copy.copy(self)
        made.problem = self.problem.part(images)
        made.tolerances = {place: self.tolerances[index] for place, index in enumerate(images)}
        return made

    def parts(self, images: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield as many images at a time as are to be bounded at once."""
        codes = self.problem.target.codebook.n_codes_ * self.places.shape[0]
        # of each value a row for every class, or a number for every colour
        rows = max(self.classes, min(self.problem.target.codebook.n_codes_, _MOST_COLOURS))
        widest = max(codes, *(rows * shape.numel() for shape in self.graph.shapes))
        size = max(1, _MOST_VALUES // widest)
        return in_batches(images, size)

    def why(self, index: int, bound: float) -> str:
        """Say why a bound of an image's margin is no proof."""
        tolerance = self.tolerances[index]
        if tolerance == np.inf:
            return f"values beyond {_LARGEST:g} may be reached, which float32 could not hold"
        return f"margin at least {bound:.3g}, must be above {tolerance:.2g}"

    def boxes(self, images: Sequence[int]) -> CodeBox:
        """Return the code boxes of images, a row each, of all their units."""
        masks = np.stack([self.problem.mask(index) for index in images])
        return CodeBox.of_mask(masks, self.codewords)

    def ends(self, boxes: CodeBox) -> tuple[Tensor, Tensor]:
        """Return boxes of images (n, ...) around code boxes of all units, in float64."""
        low, high = (self.entered(self._images(end)) for end in boxes.hull())
        return low, high

    def pixels(self, boxes: CodeBox) -> Alternatives | None:
        """Return what pixels of code boxes of all units can be; None where that is their hull."""
        if self.codewords.shape[1] == 1 or not self.problem.target.channels_first:
            return None
        colours = boxes.colours(_MOST_COLOURS)
        if colours is None:
            return None
        images = [self.entered(self._images(colours[:, :, i])) for i in range(colours.shape[2])]
        return Alternatives(torch.stack(images, dim=1))

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

    def _scored(self, codes: IntArray) -> tuple[Tensor, Tensor]:
        """Return what graph and classifier score images of codewords, (n, classes) each."""
        target, x = self.problem.target, self._images(self.codewords[codes])
        scores = torch.from_numpy(target.scores(x.numpy().astype(np.float32), len(x)))
        with torch.no_grad():
            found = self.graph(self.entered(x))
        return found - found.amax(dim=1, keepdim=True) if target.rounded else found, scores

    def _gaps(self, images: Sequence[int]) -> Tensor:
        """Return by how much scores of three code images of each differ between the two, (n,)."""
        boxes = self.boxes(images)
        drawn = [
            boxes.take(np.array([place])).drawn(np.random.default_rng(index))
            for place, index in enumerate(images)
        ]
        gaps = torch.zeros(len(boxes), dtype=torch.float64)
        for codes in (boxes.codes[:, :, 0], boxes.codes[:, :, -1], np.concatenate(drawn)):
            found, scores = self._scored(codes)
            gap = (found - scores).abs().amax(dim=1)
            gaps = torch.maximum(gaps, torch.where(gap.isfinite(), gap, torch.inf))
        return gaps

    def _check(self, boxes: CodeBox, seen: float) -> None:
        """Refuse a graph that scores images of codewords otherwise than the classifier does."""
        # corners of a box of colours are no codewords; what acts on some code images alone may
        # spare the lowest and the highest
        mixed = boxes.take(np.arange(_MIXED) % len(boxes))
        # the same ones every time
        drawn = mixed.drawn(np.random.default_rng(0))
        for codes in (boxes.codes[:, :, 0], boxes.codes[:, :, -1], drawn):
            found, scores = self._scored(codes)
            same = max(SAME, self.problem.target.tolerance)
            most = max(seen, same * max(1.0, float(scores.abs().max())))
            if found.shape != scores.shape or not float((found - scores).abs().max()) <= most:
                msg = (
                    "the classifier's predictions are not those of its torch network on images of "
                    "codewords, so bounds of the network say nothing of it"
                )
                raise CertificateError(msg)
