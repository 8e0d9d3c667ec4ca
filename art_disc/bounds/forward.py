"""Linear functions of the inputs that are free, pushed forward through a network.

Cheap where few inputs are free, whatever the size of the network: one image for each of them goes
through every layer.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from art_disc.bounds.affine import Affine, Box
from art_disc.bounds.graph import Graph
from art_disc.bounds.linear import UNIT, Bounds
from art_disc.bounds.maxima import MaximaLines
from art_disc.bounds.piecewise import Lines
from art_disc.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Functions:
    """Linear functions of p inputs below and above each entry of a value.

    Attributes:
        slopes: Of the lower and of the upper function, each of shape (n, p, ...).
        offsets: Of both, each of shape (n, ...).
        error: By how much rounding may have moved either, shape (n, ...).
    """

    slopes: Box
    offsets: Box
    error: Tensor

    def size(self, inputs: Tensor) -> Tensor:
        """Return the sum of the sizes of their terms, where inputs (n, p) are at most so large."""
        slope, offset = (torch.maximum(a.abs(), b.abs()) for a, b in (self.slopes, self.offsets))
        return offset + (slope.flatten(2).mT @ inputs[..., None]).reshape(offset.shape)

    def box(self, inputs: Box) -> Box:
        """Return the box of the value on boxes of the p inputs, ends of shape (n, p)."""
        shape = self.offsets[0].shape
        low, high = (end[:, None] for end in inputs)
        below, above = (slope.flatten(2) for slope in self.slopes)
        least = below.clamp(min=0).mT @ low.mT + below.clamp(max=0).mT @ high.mT
        most = above.clamp(min=0).mT @ high.mT + above.clamp(max=0).mT @ low.mT
        low, high = self.offsets[0] + least.reshape(shape), self.offsets[1] + most.reshape(shape)
        return low - self.error, high + self.error


def crown_forward(graph: Graph, low: Tensor, high: Tensor, free: Tensor) -> Bounds:
    """Boxes by IBP and by functions of the free inputs, whichever is better, and lines on them.

    Args:
        graph: The network; not a `rigorous` one, since rounding is charged to the functions here,
            but to no boxes and no lines.
        low: Lower ends of n boxes of inputs, shape (n, ...).
        high: Upper ends, the same as the lower ones but for the free inputs.
        free: Places of these in the flattened input, shape (p,).

    Raises:
        InputError: The graph is rigorous.

    Source: Zhang, Weng, Chen, Hsieh, Daniel 2018 (their forward mode); Xu et al. 2020.
    """
    if graph.rigorous:
        msg = "crown_forward charges no rounding; use crown or crown_ibp on a rounded network"
        raise InputError(msg)
    bounds = Bounds(graph, [(low, high)])
    inputs = low.flatten(1)[:, free], high.flatten(1)[:, free]
    known = [_identity(low, free)]
    largest = torch.maximum(*(end.abs() for end in inputs)).detach()
    for made, step, taken in graph:
        if isinstance(step, Affine):
            known.append(_through(step, [known[i] for i in taken], largest))
            bounds.add(step, taken)
            bounds.meet(made, known[made].box(inputs))
        else:
            lines = bounds.lines[made] = step.lines(bounds.boxes[taken[0]])
            known.append(_bent(lines, known[taken[0]], largest))
            bounds.add(step, taken)
    return bounds


def _identity(low: Tensor, free: Tensor) -> Functions:
    slope = low.new_zeros(len(free), low[0].numel())
    slope[torch.arange(len(free)), free] = 1.0
    slopes = slope.reshape(1, len(free), *low.shape[1:]).expand(len(low), *[-1] * low.ndim)
    offset = low.flatten(1).index_fill(1, free, 0.0).reshape(low.shape)
    return Functions((slopes, slopes), (offset, offset), torch.zeros_like(offset))


def _charged(made: Functions, terms: int, size: Tensor, inputs: Tensor) -> Functions:
    """Add what rounding of as many terms of a size, and of those of a box, can amount to."""
    unit = 2 * (terms + inputs.shape[1] + 16) * UNIT
    return replace(made, error=(made.error + unit * (size + made.size(inputs))).detach())


def _bent(lines: Lines | MaximaLines, known: Functions, inputs: Tensor) -> Functions:
    """Slopes of lines are at least 0, so that the lower function stays the lower one."""
    carried = torch.maximum(*(end[:, 0] for end in lines.push((known.error[:, None],) * 2)))
    made = Functions(lines.push(known.slopes), lines.push_offsets(known.offsets), carried)
    return _charged(made, known.offsets[0][0].numel(), lines.size(known.size(inputs)), inputs)


def _through(step: Affine, known: list[Functions], inputs: Tensor) -> Functions:
    """Positive factors take the lower function below and the upper one above, negative ones not."""
    size = known[0].slopes[0].shape[:2]
    flat = [tuple(end.flatten(0, 1) for end in each.slopes) for each in known]
    middle = step.linear(*[(low + high) / 2 for low, high in flat])
    radius = step.linear(*[(high - low) / 2 for low, high in flat], absolute=True)
    slopes = (middle - radius).unflatten(0, size), (middle + radius).unflatten(0, size)
    error = step.linear(*[each.error for each in known], absolute=True)
    made = Functions(slopes, step.interval(*[each.offsets for each in known]), error)
    return _charged(made, step.terms, step.size(*[each.size(inputs) for each in known]), inputs)
