"""The margins of a label over each other class, and how far rounding moves their bounds."""

import torch
from torch import Tensor

from art_disc.bounds.graph import Graph
from art_disc.bounds.interval import boxes_of
from art_disc.bounds.linear import Bounds

_FACTOR, _LEAST = 8.0, 1e-5


def margin_rows(labels: Tensor, classes: int) -> Tensor:
    """Return, for labels (n,), the rows label less other class, shape (n, classes - 1, classes).

    Classes keep their order; pulled back, these rows fold the margin into the last layer.

    >>> margin_rows(torch.tensor([1]), 3)
    tensor([[[-1.,  1.,  0.],
             [ 0.,  1., -1.]]])
    """
    eye = torch.eye(classes)
    others = [[c for c in range(classes) if c != label] for label in labels.tolist()]
    return eye[labels][:, None] - eye[torch.tensor(others).reshape(len(labels), -1)]


def interval_margins(graph: Graph, low: Tensor, high: Tensor, rows: Tensor) -> Tensor:
    """Bound rows (n, r, classes) of the output by IBP, the last affine steps folded in, (n, r)."""
    return Bounds(graph, boxes_of(graph, low, high)).lower(rows)


@torch.no_grad()
def float_tolerance(graph: Graph, low: Tensor, high: Tensor) -> float:
    """By how much a bound in float64 must exceed 0 to count for a network that runs in float32.

    Eight times the largest difference between float32 and float64 among the network's margins at
    the ends of the given boxes (n, ...), their middles and a random corner; at least 1e-5 times the
    largest logit or 1. A tolerance and no proof: other inputs may differ by more, and bounds that
    are themselves in float32 are off by more where they are loose.
    """
    generator = torch.Generator().manual_seed(0)
    corner = torch.where(torch.rand(low.shape, generator=generator) < 0.5, low, high)
    inputs = torch.cat([low, high, (low + high) / 2, corner]).to(torch.float32)
    exact = graph.to(torch.float64)(inputs.double())
    rows = margin_rows(exact.argmax(dim=1), exact.shape[1]).double()
    gaps = rows @ (graph.to(torch.float32)(inputs).double() - exact)[..., None]
    largest = max(1.0, float(exact.abs().max()))
    return max(_LEAST * largest, _FACTOR * float(gaps.abs().max()))
