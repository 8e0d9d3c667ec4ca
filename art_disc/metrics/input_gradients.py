"""Gradients of single images as an attack gets them, and what measures of them accept."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.attacks import MarginLoss
from art_disc.core.checks import Float32Array, check_images, check_labels
from art_disc.core.errors import InputError
from art_disc.estimators import DefendedClassifier, RandomizedClassifier
from art_disc.estimators.mean_loss import MeanLoss

_BATCH = 100


def graph_logits(classifier: Any, x: Tensor) -> Tensor:
    """Return the logits that ART's gradients are taken of, with their graph."""
    output = classifier._predict_framework(x)[0]
    return output if isinstance(output, Tensor) else output[-1]


def input_gradients(
    classifier: Any, x: Float32Array, y: NDArray[np.int64], loss: str, *, batch_size: int = _BATCH
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
        logits = graph_logits(classifier, leaf)
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


def directions(gradients: Float32Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
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


def images_and_labels(
    classifier: Any, x: Any, y: Any
) -> tuple[Float32Array, NDArray[np.int64], float]:
    """Return images and labels as a classifier takes them, and the top of its input range.

    Raises:
        InputError: No classifier of ours, or images or labels that do not fit it.
    """
    if not isinstance(classifier, DefendedClassifier):
        msg = (
            f"expected a classifier of build_classifier, got {type(classifier).__name__}; "
            "defend(classifier, []) makes one of an ART PyTorchClassifier"
        )
        raise InputError(msg)
    upper = float(np.max(classifier.clip_values[1]))
    images = check_images(x, upper=upper)
    if images.shape[1:] != tuple(classifier.input_shape):
        msg = f"the classifier takes images {classifier.input_shape}, got {images.shape[1:]}"
        raise InputError(msg)
    return images, check_labels(y, len(images), classifier.nb_classes), upper


def check_draws(classifier: Any) -> RandomizedClassifier:
    """Return a classifier that makes fresh draws.

    Raises:
        InputError: It makes none.
    """
    if not isinstance(classifier, RandomizedClassifier) or not classifier.is_random:
        what = "frozen draws" if isinstance(classifier, RandomizedClassifier) else "no draws"
        msg = (
            f"expected a classifier with a defence that draws, got {type(classifier).__name__} "
            f"with {what}; build it with build_classifier(model, defences=[RandDisc(...)])"
        )
        raise InputError(msg)
    return classifier


def defence_lines(classifier: Any) -> tuple[str, ...]:
    """Return one line a defence, for a record."""
    return tuple(_line(defence) for defence in getattr(classifier, "defences", ()))


def _line(defence: Any) -> str:
    if hasattr(defence, "describe"):
        return str(defence.describe())
    inner = getattr(defence, "preprocessor", defence)
    told = ", ".join(f"{k}={getattr(inner, k, None)!r}" for k in getattr(inner, "params", ()))
    return f"{type(inner).__name__}({told})" if told else type(inner).__name__
