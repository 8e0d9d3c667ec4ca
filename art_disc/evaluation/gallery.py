"""The pictures of a report: a few examples of the strongest attack at the largest budget."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.records import AttackOutcome
from art_disc.defences import traits
from art_disc.estimators.applied import stages
from art_disc.estimators.contract import WhiteBoxClassifier, top_of
from art_disc.evaluation.planned import PlannedTrial
from art_disc.report import Pictures
from art_disc.trials.score import predict_labels

_PICTURES = 8


@dataclass(slots=True, eq=False)
class Gallery:
    """Keeps the pictures of the best attack so far; None before one on the defended model ended."""

    classifier: WhiteBoxClassifier
    x: Float32Array
    y: IntArray
    ids: IntArray
    pictures: Pictures | None = None
    _rank: tuple[float, int] | None = None

    def offer(
        self, trial: PlannedTrial, adversarial: Float32Array, left: int, out: Path | None
    ) -> None:
        """Take the attack's pictures, into `out` too, if it left fewer images than any so far."""
        if self._better(trial, left):
            self.pictures = self._drawn(trial, adversarial)
            if out is not None:
                self.pictures.save(out / "pictures.npz")

    def remember(self, trial: PlannedTrial, outcomes: Iterable[AttackOutcome]) -> None:
        """Rank what an interrupted run had found; its pictures were loaded with it."""
        for outcome in outcomes:
            if outcome.scored_on == "defended":
                self._better(trial, outcome.share.count)

    def _better(self, trial: PlannedTrial, left: int) -> bool:
        """Tell whether the attack is the best so far, and remember it if so."""
        rank = (trial.eps, -left)
        better = self._rank is None or rank > self._rank
        if better:
            self._rank = rank
        return better

    def _drawn(self, trial: PlannedTrial, adversarial: Float32Array) -> Pictures:
        clean = predict_labels(self.classifier, self.x)
        after = predict_labels(self.classifier, adversarial)
        # examples that the attack broke come first, in data order
        order = np.argsort(~((clean == self.y) & (after != self.y)), kind="stable")[:_PICTURES]
        return Pictures(
            clean=self._nchw(self.x[order]),
            discretised=self._nchw(
                discretised(self.classifier.defences, self.x[order], top_of(self.classifier))
            ),
            adversarial=self._nchw(adversarial[order]),
            labels=self.y[order],
            clean_predictions=clean[order],
            adversarial_predictions=after[order],
            example_ids=self.ids[order],
            attack=trial.attack,
            eps=trial.eps,
        )

    def _nchw(self, x: Any) -> Float32Array:
        images = x if self.classifier.channels_first else np.moveaxis(x, -1, 1)
        upper = np.float32(top_of(self.classifier))
        return np.asarray(images / upper, dtype=np.float32)


def discretised(defences: Iterable[Any], x: Float32Array, upper: float = 1) -> Float32Array:
    """Return what defences make of images in [0, upper], as pictures of the same shape."""
    for defence, made in stages(defences, x):
        if made.shape != x.shape:
            # codes are no picture; their levels are, where there are any
            picture = traits(defence).decode(made)
            x = x if picture is None else picture
            break
        x = made
    # noise may leave the range
    return np.clip(x, 0, np.float32(upper))
