"""What the checks may look at: the models, the images, and the outcomes so far."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import norm

from art_disc.attacks import ATTACKS
from art_disc.core.budget import Budget
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray
from art_disc.core.records import WHITE_BOX, AttackOutcome, EvaluationRecord
from art_disc.core.showing import Shown
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.evaluation.checks.options import Checks, Thresholds
from art_disc.evaluation.planned import PlannedTrial, identity_of, preset_trial
from art_disc.evaluation.runner import Runner
from art_disc.evaluation.sources import Source

# images of which a standard error says something
_FEWEST = 10
# what a check says of a gain that is none
LUCK = ", no more than the luck of votes"


@dataclass(slots=True)
class Context(Shown):
    """One evaluation as the checks see it.

    Attributes:
        run: Models, images and outcomes.
        options: Tier, examples, thresholds.
        norm, eps: Norm and largest budget of the evaluation.
        sources: Where gradients come from, `own` among them, and `base` where there is one.
        changes: The user's own settings by attack, over the tier's.
        record: What was found, once every trial has run.
    """

    run: Runner
    options: Checks
    norm: str
    eps: float
    sources: list[Source]
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    record: EvaluationRecord | None = None

    @property
    def classifier(self) -> WhiteBoxClassifier:
        """The model under evaluation."""
        return self.run.classifier

    @property
    def thresholds(self) -> Thresholds:
        """Where the lines are."""
        return self.options.thresholds

    @property
    def budget(self) -> Budget:
        """Largest budget of the evaluation."""
        return Budget(self.eps, self.norm, self.run.upper)

    @property
    def n(self) -> int:
        """Examples that the checks' own attacks are run on."""
        return min(self.options.n_ex, len(self.run.x))

    @property
    def x(self) -> Float32Array:
        """Those examples' images."""
        return self.run.x[: self.n]

    @property
    def y(self) -> IntArray:
        """Their labels."""
        return self.run.y[: self.n]

    @property
    def correct(self) -> BoolArray:
        """Which of them are classified rightly without an attack."""
        return self.clean_correct()[: self.n]

    @property
    def white_box(self) -> list[Source]:
        """Sources that differentiate the defended model."""
        return [source for source in self.sources if source.knowledge in WHITE_BOX]

    @property
    def own(self) -> Source:
        """The defended model as it was built."""
        return next(source for source in self.sources if source.name == "own")

    @property
    def reference(self) -> Source | None:
        """The adversarially trained network to transfer from, if there is one."""
        return self._beside("reference", "none", "transfer: reference network")

    @property
    def frozen(self) -> Source | None:
        """A random model with one fixed draw."""
        return self._beside("frozen", "bpda", "frozen draw")

    def _beside(self, name: str, knowledge: str, surrogate: str) -> Source | None:
        model = self.run.models.get(name)
        if model is None:
            return None
        return Source(name, model, (name, "defended"), knowledge, surrogate)

    def settings(self, attack: str, **changed: float) -> dict[str, Any]:
        """Settings of an attack in this tier, the user's own over them, `changed` over all."""
        tier = "smoke" if self.options.tier == "quick" else "standard"
        return {**ATTACKS[attack].tiers[tier], **self.changes.get(attack, {}), **changed}

    def trial(self, check: str, attack: str, source: Source, **options: Any) -> PlannedTrial:
        """Return the trial of a preset that a check asks for, on the checks' examples."""
        first = min(options.pop("first", self.n), len(self.run.x))
        return preset_trial(
            ATTACKS[attack],
            source,
            norm=self.norm,
            settings=self.settings(attack, **options.pop("settings", {})),
            first=0 if first == len(self.run.x) else first,
            asked_by=check,
            **{"eps": self.eps} | options,
        )

    def outcomes(self, **wanted: object) -> list[AttackOutcome]:
        """Finished outcomes whose attributes equal those given."""
        wanted["status"] = "done"
        return [o for o in self.run.outcomes if _has(o, wanted)]

    def white_outcomes(
        self, *, beside: Iterable[AttackOutcome] = (), **wanted: object
    ) -> list[AttackOutcome]:
        """Finished white-box outcomes on the defended model, `beside` apart; see `outcomes`."""
        apart = {id(o) for o in beside}
        found = self.outcomes(scored_on="defended", **wanted)
        return [o for o in found if o.knowledge in WHITE_BOX and id(o) not in apart]

    def of(self, trials: Iterable[PlannedTrial], **wanted: object) -> list[AttackOutcome]:
        """Outcomes of these trials, whoever asked for them first, with the attributes given."""
        identities = {identity_of(trial) for trial in trials}
        return [o for o in self.run.outcomes if identity_of(o) in identities and _has(o, wanted)]

    def done(
        self, trials: Iterable[PlannedTrial], scored_on: str = "defended"
    ) -> list[AttackOutcome]:
        """Finished outcomes of these trials."""
        return self.of(trials, status="done", scored_on=scored_on)

    def unfinished(self, *, asked_by: str) -> list[AttackOutcome]:
        """Rows that a check asked for and that did not run to their end."""
        return [o for o in self.run.outcomes if o.asked_by == asked_by and o.status != "done"]

    def broken(self, outcomes: Iterable[AttackOutcome], *, eps: float | None = None) -> BoolArray:
        """For each example of the run, whether a finished outcome broke it within its own budget.

        Or within `eps`, where that is given.
        """
        hit = np.zeros(len(self.run.x), dtype=bool)
        for outcome in outcomes:
            hit[outcome.broken_positions(outcome.eps if eps is None else eps)] = True
        return hit

    def hit(self, outcomes: Iterable[AttackOutcome], *, eps: float | None = None) -> BoolArray:
        """Which of the checks' examples the outcomes broke that were right; see `broken`."""
        return self.broken(outcomes, eps=eps)[: self.n] & self.correct

    def left(self, outcomes: Iterable[AttackOutcome]) -> float:
        """Accuracy that the outcomes together leave on the checks' examples."""
        return float((self.correct & ~self.hit(outcomes)).sum()) / self.n

    def beyond_luck(
        self, gained: BoolArray, stronger: Iterable[AttackOutcome], usual: Iterable[AttackOutcome]
    ) -> bool:
        """Whether what `stronger` gained over `usual` on a random model is more than luck.

        The vote of few draws falls on one side or the other for many an image, so that the union
        of several equal attacks breaks more than any of them. No luck is a gained image whose
        share of right draws is lower than under every usual attack beyond what two counts of the
        same share differ by (one in 100 over all images), nor a mean share over all images that
        is lower by more than 2 standard errors than under the best usual attack. A deterministic
        model has no such luck. `gained` tells for each example whether it is what the check found.
        """
        if not self.classifier.is_random:
            return True
        known = [self._right_draws(o) for o in usual]
        for outcome in stronger:
            mine = self._right_draws(outcome)
            n = len(mine)
            whole = [right[:n] for right in known if len(right) >= n]
            if not whole:
                return True
            fall = min(whole, key=lambda right: float(right.mean())) - mine
            if n >= _FEWEST and fall.mean() > 2 * fall.std(ddof=1) / np.sqrt(n):
                return True
            least = np.min(whole, axis=0)
            both = (least + mine) / 2
            error = np.sqrt(2 * both * (1 - both) / outcome.draws)
            apart = least - mine > norm.isf(0.01 / n) * error
            if (gained[:n] & apart).any():
                return True
        return False

    def _right_draws(self, outcome: AttackOutcome) -> Float64Array:
        """Share of right draws on each example; beyond the budget that of the clean image."""
        n = len(outcome.draw_correct)
        clean = self.run.clean[outcome.scored_on]
        size = np.asarray(outcome.perturbation)
        within = size <= min(outcome.eps, self.eps) + outcome.tolerance
        before = np.asarray(clean.draw_correct[:n]) / clean.draws
        return np.where(within, np.asarray(outcome.draw_correct) / outcome.draws, before)

    def clean_correct(self, model: str = "defended") -> BoolArray:
        """For each example, whether the clean prediction is right."""
        return self.run.clean[model].correct

    def ids(self, hit: BoolArray) -> list[int]:
        """Ids of the examples where `hit` is true."""
        return [int(i) for i in self.run.ids[: len(hit)][hit]]


def _has(outcome: AttackOutcome, wanted: dict[str, object]) -> bool:
    return all(getattr(outcome, name) == value for name, value in wanted.items())


def standard_error(*shares: tuple[float, int]) -> float:
    """Standard error of a difference of shares, each (share, of how many)."""
    return float(np.sqrt(sum(p * (1 - p) / max(n, 1) for p, n in shares)))
