"""Following an attack's iterates: the best one is kept, and what each step achieved is noted.

ART's attacks return their last iterate, which need not be adversarial although an earlier one was
(Pintor et al. 2022, "best over iterates"). The iterates pass through the classifier's module
anyway, so nothing of the attack has to change.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.core.budget import Budget
from art_disc.core.checks import BoolArray, Float32Array, IntArray


class Follower:
    """Watches one batch on its way through the module under attack.

    A forward pass whose input has the batch's shape is taken for an iterate of the whole batch. No
    harm is done where it is not: an image is kept only if it lies within the budget around its own
    clean image and is classified wrongly.

    Args:
        x: Clean images of the batch, in the module's input range.
        y: True labels.
        budget: Within which an iterate counts.
    """

    def __init__(self, x: Float32Array, y: IntArray, budget: Budget) -> None:
        self._x, self._y, self._budget = x, np.ascontiguousarray(y), budget
        self.found: dict[int, Float32Array] = {}
        self.by_step: list[int] = []
        self.loss_by_step: list[float] = []

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator["Follower"]:
        """Follow the passes through `module` inside the block."""
        with module.register_forward_hook(self._note):
            yield self

    @torch.no_grad()
    def _note(self, module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002 - hook
        images = inputs[0]
        if not isinstance(output, Tensor) or images.shape != self._x.shape:
            return
        logits = output.detach()
        y = torch.from_numpy(self._y).to(logits.device)
        wrong = torch.nonzero(logits.argmax(dim=1) != y)[:, 0].tolist()
        if new := [i for i in wrong if i not in self.found]:
            tried = images[new].detach().cpu().float().numpy()
            in_range = ((tried >= 0) & (tried <= self._budget.upper)).reshape(len(new), -1)
            kept = self._budget.holds(tried, self._x[new]) & in_range.all(axis=1)
            self.found |= {i: tried[k] for k, i in enumerate(new) if kept[k]}
        if output.requires_grad:
            loss = nn.functional.cross_entropy(logits, y, reduction="sum")
            self.loss_by_step.append(float(loss))
            self.by_step.append(len(self._y) - len(self.found))

    def better(self, images: Float32Array, failed: BoolArray) -> Float32Array:
        """Return images with the iterate that was found in place of each one that failed."""
        better = images.copy()
        for i, image in self.found.items():
            if failed[i]:
                better[i] = image
        return better


@dataclass(slots=True)
class Steps:
    """What an attack's iterates did on the way, over all batches.

    Attributes:
        alive: Images that no step so far had fooled, after each.
        loss: Sum of their losses at each step.
        lost: Whether a batch could not be followed: then nothing is known.
    """

    alive: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    lost: bool = False

    def add(self, follower: Follower) -> None:
        """Add a batch; an attack that passes on a part of it alone cannot be followed."""
        self.lost = self.lost or not follower.by_step
        self.alive = add_padded(self.alive, [float(n) for n in follower.by_step])
        self.loss = add_padded(self.loss, follower.loss_by_step)

    def fields(self, n: int) -> dict[str, tuple[float, ...]]:
        """Return `by_step` and `loss_by_step` of an outcome on n images; nothing where lost.

        Losses that are not all finite are no curve, and left out.
        """
        if self.lost:
            return {}
        loss = tuple(round(v / n, 6) for v in self.loss)
        return {
            "by_step": tuple(round(v) for v in self.alive),
            "loss_by_step": loss if all(map(math.isfinite, loss)) else (),
        }


def add_padded(total: list[float], part: list[float]) -> list[float]:
    """Add two curves; the shorter one stays at its last value."""
    if not total or not part:
        return list(total or part)
    length = max(len(total), len(part))
    a, b = (
        np.pad(np.asarray(v, dtype=float), (0, length - len(v)), mode="edge") for v in (total, part)
    )
    return list((a + b).tolist())
