"""Interval bound propagation: a box for each value of a network, from a box for its input."""

import torch
from torch import Tensor, nn

from art_disc.bounds.affine import Affine, Box
from art_disc.bounds.alternatives import Alternatives, first_boxes
from art_disc.bounds.graph import Graph
from art_disc.bounds.trace import trace
from art_disc.core.checks import check_count
from art_disc.core.errors import InputError


def boxes_of(
    graph: Graph, low: Tensor, high: Tensor, pixels: Alternatives | None = None
) -> list[Box]:
    """Return the boxes of all values of a graph, for inputs between `low` and `high` (n, ...).

    They can be differentiated with respect to the box. With `pixels` inputs are only those.

    Source: Gowal et al. 2018.
    """
    boxes: list[Box] = [(low, high)]
    first = first_boxes(graph, pixels)
    for made, step, taken in graph:
        if made in first:
            boxes.append(first[made])
        elif isinstance(step, Affine):
            boxes.append(step.interval(*[boxes[i] for i in taken]))
        else:
            boxes.append(step.interval(boxes[taken[0]]))
    return boxes


@torch.no_grad()
def ibp(network: nn.Module | Graph, low: Tensor, high: Tensor, *, batch_size: int = 512) -> Box:
    """Return the least and the largest logits, up to rounding, for each of n boxes of inputs.

    Args:
        network: In evaluation mode, of layers that have bounds; see `trace`.
        low: Lower ends, shape (n, ...).
        high: Upper ends, of the same shape.
        batch_size: Boxes at once.

    Returns:
        Two tensors of shape (n, classes), in the precision of the boxes.

    Raises:
        InputError: Ends that do not fit one another.
        CertificateError: A layer that has no bounds.
    """
    check_count(batch_size, "batch_size")
    if low.shape != high.shape or not bool((low <= high).all()):
        msg = f"expected low <= high of one shape, got {tuple(low.shape)} and {tuple(high.shape)}"
        raise InputError(msg)
    if isinstance(network, Graph):
        graph = network.to(low.dtype)
    else:
        graph = trace(network, tuple(low.shape[1:]), low.dtype)
    parts = zip(low.split(batch_size), high.split(batch_size), strict=True)
    ends = [boxes_of(graph, *part)[-1] for part in parts]
    return torch.cat([a for a, _ in ends]), torch.cat([b for _, b in ends])
