"""Running the rows of a plan one by one, and keeping what they found."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from art_disc.core.checks import Float32Array
from art_disc.core.records import AttackOutcome, EvaluationRecord
from art_disc.core.seeds import derive_seed
from art_disc.estimators import DefendedClassifier
from art_disc.evaluation.gallery import Gallery
from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.rows import PlannedTrial
from art_disc.evaluation.store import FinishedTrials, set_path, write_set
from art_disc.trials.follower import Follower, add_padded
from art_disc.trials.grid import round_to_grid
from art_disc.trials.ledger import Ledger
from art_disc.trials.score import (
    Score,
    perturbation_norm,
    pick_targets,
    predict_labels,
    sanitise,
    score,
)
from art_disc.trials.streams import global_streams, own_streams


@dataclass(slots=True)
class Steps:
    """What an attack's iterates did on the way; empty where they were not followed."""

    alive: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    lost: bool = False

    def add(self, follower: Follower) -> None:
        """Add a batch; an attack that passes on a part of it alone cannot be followed."""
        self.lost = self.lost or not follower.by_step
        self.alive = add_padded(self.alive, [float(n) for n in follower.by_step])
        self.loss = add_padded(self.loss, follower.loss_by_step)

    def fields(self, n: int) -> dict[str, Any]:
        """Return the fields of an outcome."""
        if self.lost:
            return {}
        return {
            "by_step": tuple(round(v) for v in self.alive),
            "loss_by_step": tuple(round(v / n, 6) for v in self.loss),
        }


@dataclass(slots=True)
class Runner:
    """State of one evaluation: models and images, and what was found so far.

    Attributes:
        models: `defended`, and `base`, `reference` and `frozen` where there are any.
        x, y, ids: Images in the input range, labels, and their ids.
        upper: Top of the input range.
        draws: Fresh draws that a random model is scored on.
        facts: Fields of the record that no attack decides.
        out: Folder to keep the state in.
        export: `npz`, or `png` for pictures too: every adversarial set is written.
        clean: Score of each model on the clean images.
    """

    models: dict[str, DefendedClassifier]
    x: Float32Array
    y: NDArray[np.int64]
    ids: NDArray[np.int64]
    upper: float
    batch_size: int
    seed: int
    draws: int = 20
    facts: dict[str, Any] = field(default_factory=dict)
    out: Path | None = None
    export: str | None = None
    outcomes: list[AttackOutcome] = field(default_factory=list)
    clean: dict[str, Score] = field(default_factory=dict)
    finished: FinishedTrials = field(default_factory=FinishedTrials)
    gallery: Gallery = field(default_factory=Gallery)

    @property
    def classifier(self) -> DefendedClassifier:
        """The model under evaluation."""
        return self.models["defended"]

    def score_clean(self) -> None:
        """Score every model on the clean images."""
        for name, model in self.models.items():
            # on the draws that adversarial images meet: what does nothing then changes nothing
            self.clean[name] = self._score(model, self.x, self.y, name, "fresh")

    def through(self, rows: Sequence[PlannedTrial], *, verbose: bool) -> None:
        """Run every row and write the record, as incomplete, after each.

        Raises:
            EvaluationInterrupted: Ctrl-C; what was finished is kept.
        """
        total = max(1, round(sum(row.cost * self._count(row) for row in rows)))
        with tqdm(total=total, unit="pass", unit_scale=True, disable=not verbose) as bar:
            try:
                for row in rows:
                    bar.set_description(f"{row.attack} eps {row.eps:.3g}")
                    known = [] if self._lacks_set(row) else self.finished.take(row, len(self.x))
                    if known:
                        bar.update(round(row.cost * self._count(row)))
                        self.gallery.remember(self, row, known)
                    self.outcomes += known or self._row(row, bar)
                    if not known and self.out is not None:
                        self.partial().save(self.out / "record.json")
            except KeyboardInterrupt:
                raise self.interrupted() from None
        self.outcomes += self.finished.left_over(self.outcomes)

    def _lacks_set(self, row: PlannedTrial) -> bool:
        """Whether images are asked for that a finished row has not left in the folder."""
        if self.out is None or self.export is None or row.refusal:
            return False
        path = set_path(self.out, row, self.seed)
        return not path.is_file() or (self.export == "png" and not path.with_suffix("").is_dir())

    def interrupted(self) -> EvaluationInterrupted:
        """Keep what was finished and return what to raise."""
        record = self.partial()
        if self.out is not None:
            record.save(self.out / "record.json")
        return EvaluationInterrupted(Evaluation(record, self.gallery.pictures))

    def partial(self) -> EvaluationRecord:
        """Return what was found so far, with what an earlier run had found beyond it."""
        known = self.finished.left_over(self.outcomes)
        return self.record(complete=False, outcomes=(*self.outcomes, *known))

    def record(self, *, complete: bool, **more: Any) -> EvaluationRecord:
        """Return the record of what was found so far."""
        return EvaluationRecord(
            **{"outcomes": tuple(self.outcomes), **self.facts, **more}, complete=complete
        )

    def _count(self, row: PlannedTrial) -> int:
        return min(row.first or len(self.x), len(self.x))

    def _row(self, row: PlannedTrial, bar: Any) -> list[AttackOutcome]:
        if row.refusal:
            return [self._outcome(row, m, status="skipped", reason=row.refusal) for m in row.models]
        ledger, steps = Ledger(), Steps()
        start = time.perf_counter()
        try:
            with ledger.watching(getattr(row.source, "base_network", self.classifier.base_network)):
                adversarial = self._attack(row, steps, bar)
        # a package that ART needs for this attack alone
        except ImportError as error:
            reason = f"needs a package that is not installed: {error.name or error}"
            return [self._outcome(row, m, status="skipped", reason=reason) for m in row.models]
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
        return self._scored(row, adversarial, steps.fields(len(adversarial)) | spent)

    def _scored(
        self, row: PlannedTrial, adversarial: Float32Array, spent: dict[str, Any]
    ) -> list[AttackOutcome]:
        x, y = self.x[: len(adversarial)], self.y[: len(adversarial)]
        sizes = perturbation_norm(adversarial, x, row.norm)
        rounded, inside = round_to_grid(adversarial, x, row.eps, row.norm, self.upper)
        done = []
        for model in row.models:
            clean = self.clean[model].correct[: len(x)]
            told = self._score_first(model, adversarial)
            on_grid = self._score_first(model, rounded)
            correct = clean & told.correct
            outcome = self._outcome(
                row,
                model,
                correct=tuple(correct.tolist()),
                # what is wrong already needs no change
                perturbation=tuple(np.round(np.where(clean, sizes, 0), 9).tolist()),
                grid_correct=tuple((clean & (on_grid.correct | ~inside)).tolist()),
                draws=told.draws,
                draw_correct=told.draw_correct,
                **spent,
            )
            if model == "defended":
                self.gallery.offer(self, row, adversarial, outcome.share.count)
            done.append(outcome)
        if self.out is not None and self.export is not None:
            write_set(
                self.out,
                row,
                self.seed,
                clean=x,
                adversarial=adversarial,
                rounded=rounded,
                labels=y,
                ids=self.ids[: len(x)],
                upper=self.upper,
                channels_first=self.classifier.channels_first,
                png=self.export == "png",
            )
        return done

    def _score_first(self, name: str, images: Float32Array) -> Score:
        """Score what was made of the first images; a random model's draws are those of all."""
        model, n = self.models[name], len(images)
        if n == len(self.x) or not getattr(model, "is_random", False):
            return self._score(model, images, self.y[:n], name, "fresh")
        told = self._score(model, np.concatenate([images, self.x[n:]]), self.y, name, "fresh")
        return Score(told.correct[:n], told.draws, told.draw_correct[:n])

    def _score(
        self, model: DefendedClassifier, x: Float32Array, y: NDArray[np.int64], *names: object
    ) -> Score:
        seed = derive_seed(self.seed, "score", *names)
        return score(model, x, y, draws=self.draws, seed=seed)

    def _attack(self, row: PlannedTrial, steps: Steps, bar: Any) -> Float32Array:
        parts = []
        count = self._count(row)
        for start in range(0, count, self.batch_size):
            piece = slice(start, min(start + self.batch_size, count))
            x, y = self.x[piece], self.y[piece]
            seed = derive_seed(self.seed, *row.key, start)
            follower = Follower(x, y, row.eps, row.norm, self.upper)
            with ExitStack() as stack:
                stack.enter_context(own_streams(getattr(row.source, "model", None), seed))
                goal = pick_targets(row.source, x, y) if row.targeted else y
                onehot = np.eye(self.classifier.nb_classes, dtype=np.float32)[goal]
                stack.enter_context(global_streams(seed, self.classifier.device))
                if self._can_follow(row):
                    stack.enter_context(follower.watching(row.source.model))
                found = row.make(self.batch_size).generate(x.copy(), onehot)
            found = sanitise(found, x, self.upper)
            parts.append(self._better(row, found, y, follower))
            steps.add(follower)
            bar.update(round(row.cost * len(x)))
        return np.concatenate(parts)

    def _can_follow(self, row: PlannedTrial) -> bool:
        # behind ART's own list of preprocessors the module does not see the image itself, and what
        # one draw of a random model says of an iterate is luck
        preprocessed = getattr(row.source, "preprocessing_defences", None)
        random = getattr(row.source, "is_random", False)
        return row.follows and not preprocessed and not random and hasattr(row.source, "model")

    def _better(
        self, row: PlannedTrial, found: Float32Array, y: NDArray[np.int64], follower: Follower
    ) -> Float32Array:
        """Take an earlier iterate where the last one is not adversarial on its own source."""
        if not follower.found:
            return found
        failed = predict_labels(row.source, found) == y
        better = found.copy()
        for i, image in follower.found.items():
            if failed[i]:
                better[i] = image
        return better

    def _outcome(self, row: PlannedTrial, model: str, **rest: Any) -> AttackOutcome:
        count = self._count(row)
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
            positions=tuple(range(count)) if count < len(self.x) else (),
            asked_by=row.asked_by,
            tolerance=1e-6 * self.upper,
            **rest,
        )
