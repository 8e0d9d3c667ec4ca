"""The margins of a label over each other class, and how far rounding moves their bounds."""

import torch
from torch import Tensor

from art_disc.bounds.graph import Graph
from art_disc.bounds.interval import boxes_of
from art_disc.bounds.linear import Bounds, crown_ibp

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
    """By how much a bound in float32 must exceed 0 to count, measured on the network at hand.

    Eight times the largest difference between float32 and float64 among margins of the network at
    both ends of the given boxes (n, ...), and their bounds by IBP and CROWN-IBP; at least 1e-5
    times the largest logit or 1. A tolerance and no proof: other boxes may differ by more.
    """
    ends, scores = [], torch.ones(1)
    for dtype in (torch.float32, torch.float64):
        typed, a, b = graph.to(dtype), low.to(dtype), high.to(dtype)
        scores = typed(torch.cat([a, b]))
        rows = margin_rows(typed((a + b) / 2).argmax(dim=1), scores.shape[1]).to(dtype)
        bounds = interval_margins(typed, a, b, rows), crown_ibp(typed, a, b).lower(rows)
        values = [(rows @ typed(end)[..., None])[..., 0] for end in (a, b)]
        ends.append(torch.stack([*bounds, *values]).double())
    largest = max(1.0, float(scores.abs().max()))
    return max(_LEAST * largest, _FACTOR * float((ends[0] - ends[1]).abs().max()))
