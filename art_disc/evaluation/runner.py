"""Running the trials of a plan one by one, and keeping what they found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from art_disc.core.budget import Budget, perturbation_norm
from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.files import write_npz
from art_disc.core.records import AttackOutcome, EvaluationRecord
from art_disc.core.seeds import derive_seed
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.evaluation.gallery import Gallery
from art_disc.evaluation.planned import PlannedTrial, seed_names
from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.standing import NONE_STAND, standing
from art_disc.evaluation.store import FinishedTrials, set_path, write_pictures
from art_disc.trials import Score, Scorer, Trial, TrialResult, run_trial
from art_disc.trials.grid import round_to_grid


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
        callback: Called with the record whenever it is kept.
        sequential: Attack only examples that stand; see `evaluate`.
        scorers: What examines each model on the images and on what attacks make of them.
    """

    models: dict[str, WhiteBoxClassifier]
    x: Float32Array
    y: IntArray
    ids: IntArray
    upper: float
    batch_size: int
    seed: int
    draws: int = 20
    facts: dict[str, Any] = field(default_factory=dict)
    out: Path | None = None
    export: str | None = None
    callback: Callable[[EvaluationRecord], object] | None = None
    sequential: bool = False
    outcomes: list[AttackOutcome] = field(default_factory=list)
    scorers: dict[str, Scorer] = field(default_factory=dict)
    finished: FinishedTrials = field(default_factory=FinishedTrials)
    gallery: Gallery = field(init=False)

    def __post_init__(self) -> None:
        self.gallery = Gallery(self.classifier, self.x, self.y, self.ids)

    @property
    def classifier(self) -> WhiteBoxClassifier:
        """The model under evaluation."""
        return self.models["defended"]

    @property
    def clean(self) -> dict[str, Score]:
        """Score of each model on the clean images."""
        return {name: scorer.clean for name, scorer in self.scorers.items()}

    def score_clean(self) -> None:
        """Score every model on the clean images."""
        for name, model in self.models.items():
            seed = derive_seed(self.seed, "score", name, "fresh")
            self.scorers[name] = Scorer(model, self.x, self.y, draws=self.draws, seed=seed)

    def through(self, trials: Sequence[PlannedTrial], *, verbose: bool) -> None:
        """Run every trial and write the record, as incomplete, after each; Ctrl-C loses nothing."""
        total = max(1, round(sum(trial.cost * self._count(trial) for trial in trials)))
        with tqdm(total=total, unit="pass", unit_scale=True, disable=not verbose) as bar:
            try:
                for trial in trials:
                    bar.set_description(f"{trial.attack} eps {trial.eps:.3g}")
                    self._next(trial, bar)
            except KeyboardInterrupt:
                raise EvaluationInterrupted(self.keep()) from None
        self.outcomes += self.finished.left_over(self.outcomes)

    def _next(self, trial: PlannedTrial, bar: Any) -> None:
        """Run a trial, or take what an earlier run had found."""
        at = self._attacked(trial)
        known = []
        if len(at) and not self._lacks_set(trial):
            known = self.finished.take(trial, self._named(at))
        self.outcomes += known or self._outcomes(trial, at, bar)
        spared = self._count(trial) - (0 if known else len(at))
        bar.update(round(trial.cost * spared))
        if not known:
            self.keep()
        elif self._may_show(trial, at):
            self.gallery.remember(trial, known)

    def _attacked(self, trial: PlannedTrial) -> IntArray:
        """Return the positions of the examples that a trial is to attack."""
        at = np.arange(self._count(trial))
        if not self.sequential:
            return at
        clean = {model: score.correct for model, score in self.clean.items()}
        return at[standing(self.outcomes, trial, clean)]

    def _named(self, at: IntArray) -> tuple[int, ...]:
        """Return positions as records have them: none for all."""
        return tuple(at.tolist()) if len(at) < len(self.x) else ()

    def _lacks_set(self, trial: PlannedTrial) -> bool:
        """Whether images are asked for that a finished trial has not left in the folder."""
        if self.out is None or self.export is None or trial.refusal:
            return False
        path = set_path(self.out, trial, self.seed)
        return not path.is_file() or (self.export == "png" and not path.with_suffix("").is_dir())

    def keep(self, *, complete: bool = False) -> Evaluation:
        """Write what was found so far into the run's folder, if it has one, and return it."""
        record = self.record(complete=complete)
        if self.out is not None:
            record.save(self.out / "record.json")
        if self.callback is not None:
            self.callback(record)
        return Evaluation(record, self.gallery.pictures)

    def record(self, *, complete: bool) -> EvaluationRecord:
        """Return the record of what was found so far, and of what an earlier run had found."""
        outcomes = (*self.outcomes, *self.finished.left_over(self.outcomes))
        return EvaluationRecord(outcomes=outcomes, **self.facts, complete=complete)

    def _count(self, trial: PlannedTrial) -> int:
        return min(trial.first or len(self.x), len(self.x))

    def _outcomes(self, trial: PlannedTrial, at: IntArray, bar: Any) -> list[AttackOutcome]:
        if trial.refusal or not len(at):
            return self._not_run(trial, "skipped", trial.refusal or NONE_STAND)
        try:
            result = self._attack(trial, at, bar)
        # a package that ART needs for this attack alone
        except ImportError as error:
            reason = f"needs a package that is not installed: {error.name or error}"
            return self._not_run(trial, "skipped", reason)
        except Exception as error:  # noqa: BLE001 - an outcome of the record, not the end
            return self._not_run(trial, "failed", f"{type(error).__name__}: {error}")
        if trial.own is not None and not result.gradients:
            trial = replace(trial, knowledge="none", models=("defended",))
        return self._scored(trial, at, result)

    def _not_run(self, trial: PlannedTrial, status: str, reason: str) -> list[AttackOutcome]:
        return [self._outcome(trial, m, status=status, reason=reason) for m in trial.models]

    def _attack(self, trial: PlannedTrial, at: IntArray, bar: Any) -> TrialResult:
        budget = self._budget(trial)
        return run_trial(
            Trial(
                make=trial.maker(budget, self.batch_size),
                source=trial.source,
                x=self.x[at],
                y=self.y[at],
                budget=budget,
                seeds=partial(derive_seed, self.seed, *seed_names(trial)),
                batch_size=self.batch_size,
                targeted=trial.targeted,
                follow=trial.follows,
                # an attack object of the user's own may be on a classifier of ART's around ours
                counted_at=getattr(trial.source, "base_network", self.classifier.base_network),
                advance=lambda n: bar.update(round(trial.cost * n)),
            )
        )

    def _budget(self, trial: PlannedTrial) -> Budget:
        return Budget(trial.eps, trial.norm, self.upper)

    def _scored(
        self, trial: PlannedTrial, at: IntArray, result: TrialResult
    ) -> list[AttackOutcome]:
        adversarial, x = result.images, self.x[at]
        sizes = perturbation_norm(adversarial, x, trial.norm)
        rounded, inside = round_to_grid(adversarial, x, self._budget(trial))
        done = []
        for model in trial.models:
            scorer = self.scorers[model]
            clean = scorer.clean.correct[at]
            found, on_grid = scorer.score(adversarial, at), scorer.score(rounded, at)
            outcome = self._outcome(
                trial,
                model,
                positions=self._named(at),
                correct=tuple((clean & found.correct).tolist()),
                # what is wrong already needs no change
                perturbation=tuple(np.round(np.where(clean, sizes, 0), 9).tolist()),
                grid_correct=tuple((clean & (on_grid.correct | ~inside)).tolist()),
                draws=found.draws,
                draw_correct=found.draw_correct,
                gradients=result.gradients,
                queries=result.queries,
                seconds=result.seconds,
                **result.steps.fields(len(at)),
            )
            if model == "defended" and self._may_show(trial, at):
                self.gallery.offer(trial, adversarial, outcome.share.count, self.out)
            done.append(outcome)
        self._export(trial, at, adversarial, rounded)
        return done

    def _export(
        self, trial: PlannedTrial, at: IntArray, adversarial: Float32Array, rounded: Float32Array
    ) -> None:
        """Write the images, if asked for: exact in the input range, and on the 8-bit grid."""
        if self.out is None or self.export is None:
            return
        eight = np.rint(rounded * (255 / self.upper)).astype(np.uint8)
        arrays = {"x_adv": adversarial, "x_adv_8bit": eight, "x": self.x[at], "y": self.y[at]}
        arrays["example_ids"] = self.ids[at]
        path = write_npz(set_path(self.out, trial, self.seed), arrays)
        if self.export == "png":
            last = np.moveaxis(eight, 1, -1) if self.classifier.channels_first else eight
            write_pictures(path.with_suffix(""), last, self.ids[at])

    def _may_show(self, trial: PlannedTrial, at: IntArray) -> bool:
        """Whether it is a picture of the evaluation: no budget of a check alone, nor a part."""
        within = trial.eps <= max(self.facts.get("eps", (trial.eps,)))
        return within and len(at) == len(self.x)

    def _outcome(self, trial: PlannedTrial, model: str, **rest: Any) -> AttackOutcome:
        return AttackOutcome(
            attack=trial.attack,
            scored_on=model,
            knowledge=trial.knowledge,
            surrogate=trial.surrogate,
            norm=trial.norm,
            eps=trial.eps,
            targeted=trial.targeted,
            settings=trial.settings,
            seed=self.seed,
            asked_by=trial.asked_by,
            tolerance=self._budget(trial).tolerance,
            **rest,
        )
