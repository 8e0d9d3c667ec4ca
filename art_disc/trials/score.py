"""Scoring adversarial examples: always by fresh predictions, never by an attack's own word."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array

_BATCH = 256


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


class Scorer:
    """A classifier examined on images, and on what becomes of them, by the same fresh draws.

    What changes nothing then changes no score.

    Args:
        classifier: Any ART classifier.
        x: Clean images in its input range.
        y: Labels (n,).
        draws: Fresh draws of each image that a random model is scored on; as for `score`.
        seed: Of the draws.

    Attributes:
        clean: Score of the clean images.
    """

    def __init__(
        self,
        classifier: Any,
        x: Float32Array,
        y: NDArray[np.int64],
        *,
        draws: int = 20,
        seed: int = 0,
    ) -> None:
        self._classifier, self._x, self._y = classifier, x, y
        self._draws, self._seed = draws, seed
        self.clean = self.score(x)

    def score(self, images: Float32Array) -> Score:
        """Score what was made of the first images; a random model's draws are those of all."""
        n = len(images)
        if n == len(self._x) or not getattr(self._classifier, "is_random", False):
            return self._score(images, self._y[:n])
        whole = self._score(np.concatenate([images, self._x[n:]]), self._y)
        return Score(whole.correct[:n], whole.draws, whole.draw_correct[:n])

    def _score(self, images: Float32Array, y: NDArray[np.int64]) -> Score:
        return score(self._classifier, images, y, draws=self._draws, seed=self._seed)


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
