"""Scoring adversarial examples: always by fresh predictions, never by an attack's own word."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array
from art_disc.core.errors import ArtDiscError

_BATCH = 256


class AttackOutputError(ArtDiscError, ValueError):
    """An attack returned something that is no adversarial example."""


def sanitise(adversarial: Any, x: Float32Array, upper: float) -> Float32Array:
    """Return adversarial images as float32 in the input range.

    Attacks without a clip of their own may leave the range; such pixels are brought back to it,
    which never enlarges the change.

    Raises:
        AttackOutputError: Another shape, or NaN.
    """
    images = np.asarray(adversarial, dtype=np.float32)
    if images.shape != x.shape or not np.isfinite(images).all():
        msg = f"expected finite images of shape {x.shape}, got {images.shape}"
        raise AttackOutputError(msg)
    return np.clip(images, 0, np.float32(upper))


def perturbation_norm(adversarial: Float32Array, x: Float32Array, norm: str) -> NDArray[np.float64]:
    """Norm of each example's change, shape (n,), in the input range."""
    change = (adversarial.astype(np.float64) - x).reshape(len(x), -1)
    order = np.inf if norm == "inf" else 2
    return np.asarray(np.linalg.norm(change, ord=order, axis=1))


def predict_labels(classifier: Any, x: Float32Array) -> NDArray[np.int64]:
    """Return predicted classes, shape (n,)."""
    return np.asarray(classifier.predict(x, batch_size=_BATCH).argmax(axis=1), dtype=np.int64)


def pick_targets(classifier: Any, x: Float32Array, y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each image the likeliest wrong class on the clean image."""
    scores = classifier.predict(x, batch_size=_BATCH).copy()
    scores[np.arange(len(y)), y] = -np.inf
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)
