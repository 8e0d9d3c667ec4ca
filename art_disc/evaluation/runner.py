"""Running the rows of a plan one by one, and keeping what they found."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from art_disc.core.checks import Float32Array
from art_disc.core.records import AttackOutcome, EvaluationRecord
from art_disc.core.seeds import derive_seed, global_seeds
from art_disc.estimators import DefendedClassifier
from art_disc.evaluation.counting import Ledger
from art_disc.evaluation.plan import Row
from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.score import perturbation_norm, pick_targets, predict_labels, sanitise
from art_disc.report import Pictures

_PICTURES = 8


@dataclass(slots=True)
class Runner:
    """State of one evaluation: images, what was found so far, and the strongest attack."""

    classifier: DefendedClassifier
    x: Float32Array
    y: NDArray[np.int64]
    upper: float
    batch_size: int
    seed: int
    clean: dict[str, NDArray[np.bool_]]
    outcomes: list[AttackOutcome] = field(default_factory=list)
    best: tuple[Row, Float32Array] | None = None
    best_left: int = 0

    def through(
        self,
        rows: Sequence[Row],
        facts: dict[str, Any],
        ids: NDArray[np.int64],
        out: Path | None,
        *,
        verbose: bool,
    ) -> Evaluation:
        """Run every row and write the record, as incomplete, after each."""
        total = max(1, round(sum(row.cost for row in rows) * len(self.x)))
        with tqdm(total=total, unit="pass", unit_scale=True, disable=not verbose) as bar:
            try:
                for row in rows:
                    bar.set_description(f"{row.attack} eps {row.eps:.3g}")
                    self.outcomes += self._row(row, bar)
                    if out is not None:
                        self._record(facts, complete=False).save(out / "record.json")
            except KeyboardInterrupt:
                record = self._record(facts, complete=False)
                if out is not None:
                    record.save(out / "record.json")
                raise EvaluationInterrupted(Evaluation(record, self._pictures(ids))) from None
        return Evaluation(self._record(facts, complete=True), self._pictures(ids))

    def _row(self, row: Row, bar: Any) -> list[AttackOutcome]:
        if row.refusal:
            return [self._outcome(row, m, status="skipped", reason=row.refusal) for m in row.models]
        ledger = Ledger()
        start = time.perf_counter()
        try:
            with ledger.watching(self.classifier.base_network):
                adversarial = self._attack(row, bar)
        # an attack that fails is a row of the record, not the end of the run
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            return [self._outcome(row, m, status="failed", reason=reason) for m in row.models]
        spent = {
            "gradients": ledger.gradients,
            "queries": ledger.queries,
            "seconds": round(time.perf_counter() - start, 3),
        }
        if row.own is not None and not ledger.gradients:
            row = replace(row, knowledge="none", models=("defended",))
        sizes = perturbation_norm(adversarial, self.x, row.norm)
        done = []
        for model in row.models:
            target = self.classifier.base if model == "base" else self.classifier
            clean = self.clean[model]
            correct = clean & (predict_labels(target, adversarial) == self.y)
            outcome = self._outcome(
                row,
                model,
                correct=tuple(correct.tolist()),
                # what is wrong already needs no change
                perturbation=tuple(np.round(np.where(clean, sizes, 0), 9).tolist()),
                **spent,
            )
            if model == "defended":
                self._keep(row, adversarial, outcome.share.count)
            done.append(outcome)
        return done

    def _attack(self, row: Row, bar: Any) -> Float32Array:
        parts = []
        for start in range(0, len(self.x), self.batch_size):
            x = self.x[start : start + self.batch_size]
            y = self.y[start : start + self.batch_size]
            goal = pick_targets(row.source, x, y) if row.targeted else y
            onehot = np.eye(self.classifier.nb_classes, dtype=np.float32)[goal]
            seed = derive_seed(self.seed, *row.key, start)
            with global_seeds(seed), torch.random.fork_rng(devices=self._cuda):
                torch.manual_seed(seed)
                found = row.make(self.batch_size).generate(x.copy(), onehot)
            parts.append(sanitise(found, x, self.upper))
            bar.update(round(row.cost * len(x)))
        return np.concatenate(parts)

    @property
    def _cuda(self) -> list[int]:
        device = self.classifier.device
        return [device.index or 0] if device.type == "cuda" else []

    def _outcome(self, row: Row, model: str, **rest: Any) -> AttackOutcome:
        return AttackOutcome(
            attack=row.attack,
            scored_on=model,
            knowledge=row.knowledge,
            surrogate=row.surrogate,
            norm=row.norm,
            eps=row.eps,
            targeted=row.targeted,
            settings=row.settings,
            seed=self.seed,
            tolerance=1e-6 * self.upper,
            **rest,
        )

    def _keep(self, row: Row, adversarial: Float32Array, left: int) -> None:
        """Keep the strongest attack at the largest budget for the pictures."""
        if self.best is None or (row.eps, -left) > (self.best[0].eps, -self.best_left):
            self.best, self.best_left = (row, adversarial), left

    def _record(self, facts: dict[str, Any], *, complete: bool) -> EvaluationRecord:
        return EvaluationRecord(**facts, outcomes=tuple(self.outcomes), complete=complete)

    def _pictures(self, ids: NDArray[np.int64]) -> Pictures | None:
        if self.best is None:
            return None
        row, adversarial = self.best
        clean = predict_labels(self.classifier, self.x)
        after = predict_labels(self.classifier, adversarial)
        # examples that the attack broke come first, in data order
        order = np.argsort(~((clean == self.y) & (after != self.y)), kind="stable")[:_PICTURES]
        return Pictures(
            clean=self._nchw(self.x[order]),
            discretised=self._nchw(self._discretise(self.x[order])),
            adversarial=self._nchw(adversarial[order]),
            labels=self.y[order],
            clean_predictions=clean[order],
            adversarial_predictions=after[order],
            example_ids=ids[order],
            attack=row.attack,
            eps=row.eps,
        )

    def _discretise(self, x: Float32Array) -> Float32Array:
        for defence in self.classifier.defences:
            x = defence(x)[0]
        return x

    def _nchw(self, x: Float32Array) -> Float32Array:
        images = x if self.classifier.channels_first else np.moveaxis(x, -1, 1)
        return np.asarray(images / np.float32(self.upper), dtype=np.float32)
