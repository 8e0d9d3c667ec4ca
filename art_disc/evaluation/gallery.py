"""The pictures of a report: a few examples of the strongest attack at the largest budget."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from art_disc.core.checks import Float32Array
from art_disc.defences import Thermometer
from art_disc.report import Pictures
from art_disc.trials.score import predict_labels

if TYPE_CHECKING:
    from art_disc.core.records import AttackOutcome
    from art_disc.evaluation.rows import PlannedTrial
    from art_disc.evaluation.runner import Runner

_PICTURES = 8


@dataclass(slots=True)
class Gallery:
    """Keeps the pictures of the best attack so far.

    Attributes:
        pictures: None before any attack on the defended model has finished.
    """

    pictures: Pictures | None = None
    _rank: tuple[float, int] | None = None

    def offer(
        self, run: "Runner", row: "PlannedTrial", adversarial: Float32Array, left: int
    ) -> None:
        """Take the attack's pictures if it left fewer images standing than the best so far.

        The budget of a check beyond those that were asked for is no picture of the evaluation.
        """
        if self._better(run, row, left):
            self.pictures = _pictures(run, row, adversarial)
            if run.out is not None:
                self.pictures.save(run.out / "pictures.npz")

    def remember(self, run: "Runner", row: "PlannedTrial", outcomes: "list[AttackOutcome]") -> None:
        """Rank what an interrupted run had found; its pictures were loaded with it."""
        for outcome in outcomes:
            if outcome.scored_on == "defended":
                self._better(run, row, outcome.share.count)

    def _better(self, run: "Runner", row: "PlannedTrial", left: int) -> bool:
        """Tell whether the attack is the best so far, and remember it if so."""
        rank = (row.eps, -left)
        asked = row.eps <= max(run.facts.get("eps", (row.eps,))) and not row.first
        better = asked and (self._rank is None or rank > self._rank)
        if better:
            self._rank = rank
        return better


def _pictures(run: "Runner", row: "PlannedTrial", adversarial: Float32Array) -> Pictures:
    clean = predict_labels(run.classifier, run.x)
    after = predict_labels(run.classifier, adversarial)
    # examples that the attack broke come first, in data order
    order = np.argsort(~((clean == run.y) & (after != run.y)), kind="stable")[:_PICTURES]
    return Pictures(
        clean=_nchw(run, run.x[order]),
        discretised=_nchw(run, _discretise(run, run.x[order])),
        adversarial=_nchw(run, adversarial[order]),
        labels=run.y[order],
        clean_predictions=clean[order],
        adversarial_predictions=after[order],
        example_ids=run.ids[order],
        attack=row.attack,
        eps=row.eps,
    )


def _discretise(run: "Runner", x: Float32Array) -> Float32Array:
    for defence in run.classifier.defences:
        made = defence(x)[0]
        if made.shape != x.shape:
            # codes are no picture; their levels are, where they can be told
            x = defence.decode(made) if isinstance(defence, Thermometer) else x
            break
        x = made
    # noise may leave the range
    return np.clip(x, 0, np.float32(run.upper))


def _nchw(run: "Runner", x: Any) -> Float32Array:
    images = x if run.classifier.channels_first else np.moveaxis(x, -1, 1)
    return np.asarray(images / np.float32(run.upper), dtype=np.float32)
