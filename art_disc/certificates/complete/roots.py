"""Bounds of whole images, many at once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from art_disc.bounds import Graph, crown_ibp, interval_margins
from art_disc.certificates.complete.scene import Scene

Margins = Callable[[Graph, Tensor, Tensor, Tensor], Tensor]


def by_ibp(graph: Graph, low: Tensor, high: Tensor, rows: Tensor) -> Tensor:
    """Lower bounds (n, r) of margins by IBP, the margin folded into the last layer."""
    return interval_margins(graph, low, high, rows)


def by_crown_ibp(graph: Graph, low: Tensor, high: Tensor, rows: Tensor) -> Tensor:
    """Lower bounds (n, r) of margins by CROWN-IBP."""
    return crown_ibp(graph, low, high).lower(rows)


@torch.no_grad()
def root_bounds(scene: Scene, images: Sequence[int], margins: Margins) -> dict[int, float]:
    """Return for each image a lower bound of its least margin over all its code images."""
    found: dict[int, float] = {}
    for part in scene.parts(images):
        low, high = scene.ends(scene.boxes(part))
        bounds = margins(scene.graph, low, high, scene.rows(part))
        found.update(zip(part, bounds.amin(dim=1).tolist(), strict=True))
    return found
