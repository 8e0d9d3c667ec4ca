"""One attack to run: against which model, at which budget, with which gradient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from art.attacks.attack import EvasionAttack

from art_disc.attacks import AttackSpec
from art_disc.core.budget import Budget
from art_disc.core.errors import InputError
from art_disc.core.records import AttackOutcome, Setting
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.evaluation.sources import Source


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One attack to run.

    Attributes:
        attack: Name in the record.
        source: Classifier whose gradients or predictions the attack uses.
        models: Models that the examples are scored on, of `base`, `defended`, `reference` and
            `frozen`.
        knowledge, surrogate: As in `AttackOutcome`.
        eps: Budget in the input range.
        settings: Of the attack, for the record.
        spec: The preset; None for a user's own attack.
        own: The user's own attack object.
        refusal: Why it is not run.
        first: Only the first so many examples are attacked; 0: all.
        asked_by: `attacks`, or the check that needs it.
        again: How many of the user's own attacks before it have the same `key_of`.
    """

    attack: str
    source: WhiteBoxClassifier
    models: tuple[str, ...]
    knowledge: str
    surrogate: str | None
    norm: str
    eps: float
    targeted: bool
    settings: dict[str, Setting]
    spec: AttackSpec | None = None
    own: EvasionAttack | None = None
    refusal: str = ""
    first: int = 0
    asked_by: str = "attacks"
    again: int = 0

    @property
    def follows(self) -> bool:
        """Whether its iterates are worth following: it differentiates, or may."""
        return self.spec is None or self.spec.gradients

    @property
    def cost(self) -> float:
        """Passes an image, a gradient counting as three forward passes (rounded judgement)."""
        if self.refusal:
            return 0.0
        if self.spec is None:
            return 100.0
        gradients, queries = self.spec.cost(_numbers(self.settings))
        return 3 * gradients + queries + len(self.models)

    def maker(self, budget: Budget, batch_size: int) -> Callable[[], EvasionAttack]:
        """Return what makes ART's attack object, or gives the user's own."""
        if self.spec is not None:
            given = self.source, budget, _numbers(self.settings)
            return self.spec.on(*given, batch_size=batch_size, targeted=self.targeted)
        own = self.own
        if own is None:
            msg = "a trial needs a preset or an attack"
            raise InputError(msg)
        return lambda: own


def _numbers(settings: dict[str, Setting]) -> dict[str, float]:
    return {k: v for k, v in settings.items() if isinstance(v, int | float)}


def key_of(work: PlannedTrial | AttackOutcome) -> tuple[object, ...]:
    """What a trial's seed is derived from, unless it is of the user's own and not the first."""
    return work.attack, work.knowledge, work.surrogate, work.norm, work.eps, work.targeted


def seed_names(trial: PlannedTrial) -> tuple[object, ...]:
    """What a trial's seed is derived from: two attack objects of one class are two tries."""
    return (*key_of(trial), *(("again", trial.again) if trial.again else ()))


def identity_of(work: PlannedTrial | AttackOutcome) -> tuple[object, ...]:
    """What makes two trials the same work; on how many examples, and who asked, aside."""
    return key_of(work), tuple(sorted(work.settings.items()))


def preset_trial(  # noqa: PLR0913 - what a trial is made of
    spec: AttackSpec,
    source: Source,
    *,
    eps: float,
    norm: str,
    settings: dict[str, Any],
    targeted: bool = False,
    first: int = 0,
    asked_by: str = "attacks",
) -> PlannedTrial:
    """Return the trial of a preset; one that cannot run so carries the reason."""
    given, refusal = spec.planned(source.classifier, norm, settings, targeted=targeted)
    return PlannedTrial(
        attack=spec.name,
        source=source.classifier,
        models=source.models,
        knowledge=source.knowledge,
        surrogate=source.surrogate,
        norm=norm,
        eps=eps,
        targeted=targeted,
        settings=dict(given),
        spec=spec,
        refusal=refusal or ("" if eps else "there is nothing to try at eps 0"),
        first=first,
        asked_by=asked_by,
    )


def left_out(trials: Sequence[PlannedTrial]) -> list[str]:
    """Word, once an attack and reason, what of a plan cannot run; at eps 0 nothing is expected."""
    found = dict.fromkeys((t.attack, t.refusal) for t in trials if t.refusal and t.eps)
    return [f"left out: {attack} {refusal}" for attack, refusal in found]


def merge_trials(trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """Return each piece of work once: on all examples if any of its trials asks for them.

    The first that asked is named.
    """
    merged: dict[object, PlannedTrial] = {}
    for trial in trials:
        key = id(trial.own) if trial.own is not None else identity_of(trial)
        before = merged.get(key, trial)
        wide = 0 if 0 in (before.first, trial.first) else max(before.first, trial.first)
        models = tuple(dict.fromkeys((*before.models, *trial.models)))
        merged[key] = replace(before, first=wide, models=models)
    return list(merged.values())
