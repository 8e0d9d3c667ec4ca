"""Scoring adversarial examples: always by fresh predictions, never by an attack's own word."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
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


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of images.

    Attributes:
        correct: Whether each is classified rightly; where the model is random, by its own vote
            over as many of the draws as it votes over.
        draws: Fresh draws made of each image; 0 for a deterministic model.
        draw_correct: On how many of them it was right; empty without draws.
    """

    correct: NDArray[np.bool_]
    draws: int = 0
    draw_correct: tuple[int, ...] = ()


def score(
    classifier: Any, x: Float32Array, y: NDArray[np.int64], *, draws: int = 20, seed: int = 0
) -> Score:
    """Score images by fresh predictions, a random model on `draws` draws that no attack saw.

    A model that votes over more draws than that gets as many as it votes over.
    """
    # an ART classifier that is none of ours may be a source of transfers
    if not getattr(classifier, "is_random", False):
        return Score(predict_labels(classifier, x) == y)
    draws = max(draws, classifier.vote_samples)
    each = classifier.predict_draws(x, draws, seed=seed)
    # one prediction as the classifier makes it, of draws that no attack saw
    made = classifier.voting.count(torch.from_numpy(each[: classifier.vote_samples]))
    correct = np.asarray(made.argmax(dim=1).numpy() == y)
    return Score(correct, draws, right_draws(each, y))


def right_draws(each: Float32Array, y: NDArray[np.int64]) -> tuple[int, ...]:
    """Return for each image how many of its draws, (draws, n, classes), are right."""
    return tuple(int(n) for n in (each.argmax(axis=2) == y).sum(axis=0))


def predict_labels(classifier: Any, x: Float32Array) -> NDArray[np.int64]:
    """Return predicted classes, shape (n,)."""
    return np.asarray(classifier.predict(x, batch_size=_BATCH).argmax(axis=1), dtype=np.int64)


def pick_targets(classifier: Any, x: Float32Array, y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each image the likeliest wrong class on the clean image."""
    scores = classifier.predict(x, batch_size=_BATCH).copy()
    scores[np.arange(len(y)), y] = -np.inf
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)
