"""What keeps interval bounds from growing while they are learnt: two terms of Shi et al. 2021."""

from collections.abc import Sequence

import torch
from torch import Tensor

from art_disc.bounds import Graph
from art_disc.bounds.affine import Box
from art_disc.bounds.piecewise import Piecewise

# of both terms, as published
TOLERANCE = 0.5
_LEAST = 1e-12


def tightness(graph: Graph, boxes: Sequence[Box]) -> Tensor:
    """Return by how much boxes grow through the network, a mean over its activations.

    Of the inputs of each activation max(0, t - w0 / w) / t, with w their mean width in the batch,
    w0 that of the network's input and t = 0.5; 0 where no input has a width.

    Args:
        graph: The network.
        boxes: Of all its values, each end of shape (n, ...).

    Source: Shi, Wang, Zhang, Yi, Hsieh 2021, section 3.3 (bound tightness).
    """
    first = _width(boxes[0])
    widths = [_width(box) for box in _entering(graph, boxes)]
    if not widths or not bool(first > 0):
        return torch.zeros_like(first)
    terms = [(TOLERANCE - first / width.clamp(min=_LEAST)).clamp(min=0) for width in widths]
    return torch.stack(terms).mean() / TOLERANCE


def relu_balance(graph: Graph, boxes: Sequence[Box]) -> Tensor:
    """Return how far active and inactive neurons are from balance, a mean over activations.

    With c the middles of the boxes of an activation's inputs, a the sum of c over neurons whose box
    is above 0 and b that of -c over those whose box is below: max(0, t - min(a / b, b / a)) / t,
    with t = 0.5; and the same of the squared distances of c from its mean. Where one side is empty,
    or has no spread, that ratio is left out: it has no gradient.

    Args:
        graph: The network.
        boxes: Of all its values, each end of shape (n, ...).

    Source: Shi, Wang, Zhang, Yi, Hsieh 2021, section 3.3 (ReLU balance).
    """
    total, count = torch.zeros_like(boxes[0][0].sum()), 0
    for low, high in _entering(graph, boxes):
        middle, count = (low + high) / 2, count + 1
        active, inactive = (low > 0).to(low.dtype), (high < 0).to(low.dtype)
        spread = (middle - middle.mean()).square()
        for above, below in (
            ((middle * active).sum(), -(middle * inactive).sum()),
            ((spread * active).sum(), (spread * inactive).sum()),
        ):
            if bool(torch.minimum(above, below) > 0):
                ratio = torch.minimum(above / below, below / above)
                total = total + (TOLERANCE - ratio).clamp(min=0) / TOLERANCE
    return total / max(1, count)


def _entering(graph: Graph, boxes: Sequence[Box]) -> list[Box]:
    """Return the boxes of what enters activations."""
    return [boxes[taken[0]] for _, step, taken in graph if isinstance(step, Piecewise)]


def _width(box: Box) -> Tensor:
    return (box[1] - box[0]).mean()
