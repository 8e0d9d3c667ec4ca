"""Linear bounds pulled back through a network: CROWN, and CROWN with the boxes of IBP.

In a graph that is `rigorous` (float64, sums in any order but no fast algorithms for convolutions)
every rounding error is charged where it arises: a sum of N products is off by at most
N 2^-53 / (1 - N 2^-53) times the sum of their sizes, and those are bounded by |rows| times
|A| max|x| + |b| on the box. Slopes may be any, so that theirs does not matter. Factors of 2 and 16
more cover offsets of lines, sums of parts and the charge's own rounding.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from art_disc.bounds.affine import Affine, Box
from art_disc.bounds.alternatives import Alternatives, first_boxes
from art_disc.bounds.graph import Graph, Step
from art_disc.bounds.maxima import MaximaLines
from art_disc.bounds.piecewise import Lines
from art_disc.core.showing import Shown

UNIT = 2.0**-53
# values of pulled rows that are held at once
_MOST_VALUES = 1 << 24


@dataclass(slots=True)
class Bounds(Shown):
    """What is known of the values of a graph for a batch of n input boxes.

    Attributes:
        graph: The graph.
        boxes: A box for each value known so far, each end of shape (n, ...).
        lines: For steps that are not affine, by the value made, linear functions around them.
        inputs: Linear functions of the input around single values, which hold on the whole boxes.
        pixels: What pixels of the input can be, where that is less than the first box.
    """

    graph: Graph
    boxes: list[Box]
    lines: dict[int, Lines | MaximaLines] = field(default_factory=dict)
    inputs: list["InputLines"] = field(default_factory=list)
    pixels: Alternatives | None = None

    def lower(self, rows: Tensor, value: int = -1) -> Tensor:
        """Bound rows (n, r, ...) of a value, the output unless told, from below, shape (n, r).

        Rows are pulled back through affine steps and those that have lines; what stands before
        others is taken from its box.
        """
        parts, total = self.pulled(rows, len(self.graph.steps) if value == -1 else value)
        for source, part in parts.items():
            total = total + self._lowest(source, part)
        return total

    def pulled(self, rows: Tensor, value: int) -> tuple[dict[int, Tensor], Tensor]:
        """Bound rows of a value from below by rows of earlier values, and constants (n, r)."""
        pending = {value: rows}
        total = rows.new_zeros(rows.shape[:2])
        for made, step, taken in reversed(list(self.graph)[:value]):
            if made not in pending or not (isinstance(step, Affine) or made in self.lines):
                continue
            rows = pending.pop(made)
            parts, constant = self._pull(made, step, rows)
            total = total + constant - self._charge(made, step, taken, rows)
            for source, part in zip(taken, parts, strict=True):
                pending[source] = pending[source] + part if source in pending else part
        return pending, total

    def _pull(self, made: int, step: Step, rows: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        if not isinstance(step, Affine):
            pulled, constant = self.lines[made].pull(rows)
            return (pulled,), constant
        flat, size = rows.flatten(0, 1), rows.shape[:2]
        parts = tuple(part.unflatten(0, size) for part in step.pull(flat))
        return parts, (rows.new_zeros(len(flat)) + step.constant(flat)).unflatten(0, size)

    def _lowest(self, source: int, rows: Tensor) -> Tensor:
        if source or self.pixels is None:
            return lowest(rows, self.boxes[source], self._error(source))
        return self.pixels.lowest(rows) - self._error(0) * sizes(rows, self.boxes[0])

    def _error(self, value: int) -> float:
        """Relative error of a sum over a value; 0 where rounding is not charged."""
        terms = self.graph.shapes[value].numel()
        return relative_error(self.graph, terms) if self.graph.rigorous else 0.0

    def _charge(
        self, made: int, step: Step, taken: tuple[int, ...], rows: Tensor
    ) -> Tensor | float:
        """What rounding of `_pull` can amount to, shape (n, r)."""
        if not self.graph.rigorous:
            return 0.0
        largest = [self.largest(i) for i in taken]
        terms = self.graph.shapes[made].numel()
        if isinstance(step, Affine):
            terms, size = terms + step.terms, step.size(*largest)
        else:
            size = self.lines[made].size(largest[0])
        size = (rows.abs() * size[:, None]).flatten(2).sum(dim=2)
        return relative_error(self.graph, terms) * size

    def largest(self, value: int) -> Tensor:
        """Return how large a value can be, shape (n, ...)."""
        return torch.maximum(*(end.abs() for end in self.boxes[value]))

    def add(self, step: Step, taken: tuple[int, ...], known: Box | None = None) -> None:
        """Append the box of one more value: a known one, or from those of the values taken."""
        boxes = [self.boxes[i] for i in taken]
        if not isinstance(step, Affine):
            self.boxes.append(step.interval(boxes[0]))
            return
        low, high = step.interval(*boxes) if known is None else known
        if self.graph.rigorous:
            size = step.size(*[self.largest(i) for i in taken])
            error = relative_error(self.graph, step.terms) * size
            low, high = low - error, high + error
        self.boxes.append((low, high))

    def tighten(self, value: int, unstable: Tensor) -> None:
        """Pull back single values where `unstable` (n, ...) is set, and take what is better."""
        flat = self.boxes[value][0].flatten(1)
        for places in _chosen(unstable.flatten(1), self._rows_at_once()):
            rows = flat.new_zeros(*places.shape, flat.shape[1]).scatter(2, places[..., None], 1.0)
            rows = rows.unflatten(2, self.graph.shapes[value])
            ends = tuple(self.pulled(sign * rows, value) for sign in (1, -1))
            lines = InputLines(value, places, *((part[0], total) for part, total in ends))
            self.inputs.append(lines)
            self.use(lines)

    def use(self, lines: "InputLines") -> None:
        """Take what is better of the box of a value and what functions of the input say of it."""
        box = lines.ends(self.boxes[0], self.boxes[lines.value], self._error(0))
        self.meet(lines.value, box)

    def meet(self, value: int, box: Box) -> None:
        """Take what is better of the box of a value and of another that holds."""
        self.boxes[value] = met(self.boxes[value], box)

    def _rows_at_once(self) -> int:
        widest = max(shape.numel() for shape in self.graph.shapes)
        return max(1, _MOST_VALUES // (widest * len(self.boxes[0][0])))


def met(one: Box, other: Box) -> Box:
    """Return what two boxes that both hold share."""
    low = torch.maximum(one[0], other[0])
    # rounding alone can part them
    return low, torch.maximum(low, torch.minimum(one[1], other[1]))


def relative_error(graph: Graph, terms: int) -> float:
    """Bound the relative error of sums of so many terms in a graph; see the module."""
    return 2 * (terms + len(graph.steps) + 16) * UNIT


def lowest(rows: Tensor, box: Box, error: float) -> Tensor:
    """Least values (n, r) of rows (n, r, ...) on boxes (n, ...), less a relative error."""
    low, high = (end.flatten(1)[..., None] for end in box)
    flat = rows.flatten(2)
    least = (flat.clamp(min=0) @ low + flat.clamp(max=0) @ high)[..., 0]
    return least - error * sizes(rows, box) if error else least


def sizes(rows: Tensor, box: Box) -> Tensor:
    """Bound the sums of sizes of terms (n, r) of rows (n, r, ...) on boxes (n, ...)."""
    largest = torch.maximum(*(end.abs() for end in box)).flatten(1)[..., None]
    return (rows.flatten(2).abs() @ largest)[..., 0]


@dataclass(frozen=True, slots=True)
class InputLines:
    """Linear functions of the input below and above single values of a graph.

    Attributes:
        value: Number of the value.
        places: Places in it, flattened, shape (n, r).
        lower: Rows (n, r, ...) of the input and constants (n, r).
        upper: The same for the negated places.
    """

    value: int
    places: Tensor
    lower: tuple[Tensor, Tensor]
    upper: tuple[Tensor, Tensor]

    def ends(self, inputs: Box, like: Box, error: float) -> Box:
        """Return a box of the value (m, ...) on boxes of inputs (m, ...), m = n or n = 1.

        What has no function is unbounded; `like` is another box of the value.
        """
        made = []
        for sign, (rows, constant) in ((1, self.lower), (-1, self.upper)):
            least = lowest(rows, inputs, error) + constant
            blank = torch.full_like(like[0].flatten(1), -torch.inf)
            places = self.places.expand(len(blank), -1)
            made.append(sign * blank.scatter(1, places, least).reshape(like[0].shape))
        return made[0], made[1]


def _chosen(unstable: Tensor, size: int) -> Iterator[Tensor]:
    """Yield places (n, <= size) until for each of n all that are set are among them."""
    most = int(unstable.sum(dim=1).max()) if unstable.numel() else 0
    # those set come first; what fills up does no harm
    order = unstable.long().sort(dim=1, descending=True, stable=True).indices[:, :most]
    if most:
        yield from order.split(size, dim=1)


def crown_ibp(
    graph: Graph,
    low: Tensor,
    high: Tensor,
    within: Bounds | None = None,
    pixels: Alternatives | None = None,
) -> Bounds:
    """Boxes by IBP, and lines on them; differentiable with respect to the box.

    Args:
        graph: The network.
        low: Lower ends of n boxes of inputs, shape (n, ...).
        high: Upper ends.
        within: Bounds on one box that holds all of these: its boxes, and its functions of the input
            on the smaller boxes, are used as well.
        pixels: What pixels of these inputs can be, within the boxes.

    Source: Zhang et al. 2020 (CROWN-IBP).
    """
    bounds = Bounds(graph, [(low, high)], pixels=pixels)
    first = first_boxes(graph, pixels)
    for made, step, taken in graph:
        if not isinstance(step, Affine):
            bounds.lines[made] = step.lines(bounds.boxes[taken[0]])
        bounds.add(step, taken, first.get(made))
        if within is not None:
            bounds.meet(made, within.boxes[made])
            for lines in (lines for lines in within.inputs if lines.value == made):
                bounds.use(lines)
    return bounds


def crown(graph: Graph, low: Tensor, high: Tensor) -> Bounds:
    """Boxes by CROWN itself wherever a step is neither affine nor decided, layer after layer.

    Source: Zhang, Weng, Chen, Hsieh, Daniel 2018.
    """
    bounds = Bounds(graph, [(low, high)])
    for made, step, taken in graph:
        if not isinstance(step, Affine):
            # before the first lines, boxes are as good
            if bounds.lines:
                bounds.tighten(taken[0], step.unstable(bounds.boxes[taken[0]]))
            bounds.lines[made] = step.lines(bounds.boxes[taken[0]])
        bounds.add(step, taken)
    return bounds
