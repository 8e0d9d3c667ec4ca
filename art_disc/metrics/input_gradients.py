"""Gradients of single images as an attack gets them."""

import numpy as np
import torch
from torch import nn

from art_disc.attacks import MarginLoss
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.estimators.mean_loss import MeanLoss

_BATCH = 100


def input_gradients(
    classifier: WhiteBoxClassifier,
    x: Float32Array,
    y: IntArray,
    loss: str,
    *,
    batch_size: int = _BATCH,
) -> Float32Array:
    """Return each image's own gradient of `cross_entropy` or `margin`; NaN where none exists.

    Cross-entropy is of the row or of each draw, as the classifier says (`Voting.gradient`). A
    forward pass that autograd cannot follow gives NaN.
    """
    parts = []
    for start in range(0, len(x), batch_size):
        leaf = torch.tensor(x[start : start + batch_size], device=classifier.device)
        leaf.requires_grad_()
        labels = torch.tensor(y[start : start + batch_size], device=classifier.device)
        logits = classifier.graph_logits(leaf)
        value = (
            MeanLoss(nn.CrossEntropyLoss(reduction="sum"))(logits, labels)
            if loss == "cross_entropy"
            else MarginLoss("sum")(logits, labels)
        )
        gradient = None
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
        if gradient is None:
            gradient = torch.full_like(leaf, torch.nan)
        parts.append(gradient.detach().cpu().numpy())
    return np.concatenate(parts)


def directions(gradients: Float32Array) -> tuple[Float64Array, BoolArray]:
    """Return gradients (n, ...) as unit vectors (n, d), and which have no direction.

    A gradient that is zero, or not finite, has none; its row is zero.
    """
    flat = gradients.reshape(len(gradients), -1).astype(np.float64)
    # the largest entry first: squares of the smallest float32 would vanish
    largest = np.abs(flat).max(axis=1)
    none = ~(np.isfinite(largest) & (largest > 0))
    scaled = np.where(none[:, None], 0.0, flat) / np.where(none, 1.0, largest)[:, None]
    norms = np.linalg.norm(scaled, axis=1)
    return scaled / np.where(none, 1.0, norms)[:, None], none
