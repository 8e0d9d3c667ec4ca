"""Bounds of whole images, many at once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from art_disc.bounds import Alternatives, Graph, crown_ibp, interval_margins
from art_disc.bounds.affine import Box
from art_disc.certificates.complete.scene import Scene

Margins = Callable[[Graph, Box, Tensor, Alternatives | None], Tensor]


def by_ibp(graph: Graph, box: Box, rows: Tensor, pixels: Alternatives | None) -> Tensor:
    """Lower bounds (n, r) of margins by IBP, the margin folded into the last layer."""
    return interval_margins(graph, *box, rows, pixels)


def by_crown_ibp(graph: Graph, box: Box, rows: Tensor, pixels: Alternatives | None) -> Tensor:
    """Lower bounds (n, r) of margins by CROWN-IBP."""
    return crown_ibp(graph, *box, pixels=pixels).lower(rows)


@torch.no_grad()
def root_bounds(scene: Scene, images: Sequence[int], margins: Margins) -> dict[int, float]:
    """Return for each image a lower bound of its least margin over all its code images."""
    found: dict[int, float] = {}
    for part in scene.parts(images):
        boxes = scene.boxes(part)
        bounds = margins(scene.graph, scene.ends(boxes), scene.rows(part), scene.pixels(boxes))
        found.update(zip(part, bounds.amin(dim=1).tolist(), strict=True))
    return found
