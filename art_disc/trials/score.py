"""Scoring adversarial examples: always by fresh predictions, never by an attack's own word."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from art_disc.core.checks import BoolArray, Float32Array, IntArray
from art_disc.core.showing import Shown

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Score(Shown):
    """What a model says of images.

    Attributes:
        correct: Whether each is classified rightly; where the model is random, by its own vote
            over as many of the draws as it votes over.
        draws: Fresh draws made of each image; 0 for a deterministic model.
        draw_correct: On how many of them it was right; empty without draws.
    """

    correct: BoolArray
    draws: int = 0
    draw_correct: tuple[int, ...] = ()


class Scorer(Shown):
    """A classifier examined on images, and on what becomes of them, by the same fresh draws.

    What changes nothing then changes no score.

    Args:
        classifier: Any ART classifier.
        x: Clean images in its input range.
        y: Labels (n,).
        draws: Fresh draws of each image that a random model is scored on.
        seed: Of the draws.

    Attributes:
        clean: Score of the clean images.
    """

    def __init__(
        self,
        classifier: Any,
        x: Float32Array,
        y: IntArray,
        *,
        draws: int = 20,
        seed: int = 0,
    ) -> None:
        self._classifier, self._x, self._y = classifier, x, y
        self._draws, self._seed = draws, seed
        self.clean = self.score(x)

    def score(self, images: Float32Array, at: IntArray | None = None) -> Score:
        """Score by fresh predictions what was made of the images at positions; None: of the first.

        A random model by draws that no attack saw, those that the images would meet among all; one
        that votes over more than were asked for, by as many as it votes over.
        """
        at, classifier = np.arange(len(images)) if at is None else at, self._classifier
        # an ART classifier that is none of ours may be a source of transfers
        if not getattr(classifier, "is_random", False):
            return Score(predict_labels(classifier, images) == self._y[at])
        draws = max(self._draws, classifier.vote_samples)
        whole = self._x.copy()
        whole[at] = images
        each = classifier.predict_draws(whole, draws, seed=self._seed)[:, at]
        # one prediction as the classifier makes it
        made = classifier.voting.count(torch.from_numpy(each[: classifier.vote_samples]))
        correct = np.asarray(made.argmax(dim=1).numpy() == self._y[at])
        return Score(correct, draws, right_draws(each, self._y[at]))


def right_draws(each: Float32Array, y: IntArray) -> tuple[int, ...]:
    """Return for each image how many of its draws, (draws, n, classes), are right."""
    return tuple(int(n) for n in (each.argmax(axis=2) == y).sum(axis=0))


def predict_labels(classifier: Any, x: Float32Array) -> IntArray:
    """Return predicted classes, shape (n,)."""
    return np.asarray(classifier.predict(x, batch_size=_BATCH).argmax(axis=1), dtype=np.int64)


def pick_targets(classifier: Any, x: Float32Array, y: IntArray) -> IntArray:
    """Return for each image the likeliest wrong class on the clean image."""
    scores = classifier.predict(x, batch_size=_BATCH).copy()
    scores[np.arange(len(y)), y] = -np.inf
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)
