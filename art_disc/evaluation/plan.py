"""From names and attack objects to the trials of an evaluation."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack

from art_disc.attacks import SUITES, attack_table
from art_disc.core.budget import NORMS, Budget
from art_disc.core.errors import InputError
from art_disc.core.records import Setting
from art_disc.defences import traits
from art_disc.estimators.contract import WhiteBoxClassifier, top_of
from art_disc.evaluation.planned import PlannedTrial, key_of, preset_trial
from art_disc.evaluation.sources import (
    BOTH,
    DEFENDED,
    blind_source,
    gradient_sources,
    keep_only,
    relaxed_twin,
    told_apart,
    white_box,
)
from art_disc.surrogates import SurrogateLike


def plan_trials(  # noqa: PLR0913 - what an evaluation is made of
    classifier: WhiteBoxClassifier,
    *,
    eps: Sequence[float],
    attacks: str | EvasionAttack | Sequence[str | EvasionAttack],
    changes: dict[str, Any],
    surrogates: Sequence[SurrogateLike],
    norm: str,
    targeted: bool,
    through: str | None = None,
) -> list[PlannedTrial]:
    """Return the trials of an evaluation: named attacks at every budget, the user's own once."""
    if isinstance(attacks, EvasionAttack):
        attacks = [attacks]
    listed = [] if isinstance(attacks, str) else list(attacks)
    own = [attack for attack in listed if isinstance(attack, EvasionAttack)]
    named = [attack for attack in listed if not isinstance(attack, EvasionAttack)]
    table = attack_table(attacks if isinstance(attacks, str) else named, changes)
    sources = gradient_sources(classifier, surrogates)
    if through is not None:
        sources = keep_only(sources, classifier, through)
    blind = [blind_source(classifier)]
    planned = [
        preset_trial(spec, source, eps=budget, norm=norm, settings=settings, targeted=targeted)
        for budget in eps
        for spec, settings in table
        for source in (told_apart(spec, sources) if spec.gradients else blind)
    ]
    if not (isinstance(attacks, str) and attacks in SUITES):
        _check_fit(planned)
    _check_settings(planned, changes)
    return _numbered([_own_trial(classifier, one, max(eps), norm) for one in own]) + planned


def _numbered(own: list[PlannedTrial]) -> list[PlannedTrial]:
    """Tell the user's own attacks apart that would draw the same numbers."""
    before: Counter[object] = Counter()
    numbered = []
    for trial in own:
        numbered.append(replace(trial, again=before[key_of(trial)]))
        before[key_of(trial)] += 1
    return numbered


def _check_settings(trials: Sequence[PlannedTrial], changes: dict[str, Any]) -> None:
    """Refuse, before hours of attacks, a user's settings that an attack itself refuses."""
    changed = {key.partition(".")[0] for key in changes}
    first = {t.attack: t for t in reversed(trials) if t.attack in changed and not t.refusal}
    for name, trial in first.items():
        budget = Budget(trial.eps, trial.norm, top_of(trial.source))
        try:
            trial.maker(budget, 1)()
        except (TypeError, ValueError) as error:
            given = ", ".join(f"{k}={v}" for k, v in changes.items() if k.startswith(f"{name}."))
            msg = f"{name} refuses the setting {given}: {error}"
            raise InputError(msg) from error


def _check_fit(trials: Sequence[PlannedTrial]) -> None:
    """Refuse an attack behind a map that was asked for by name where it cannot run."""
    for trial in trials:
        if trial.spec is not None and trial.spec.behind and trial.refusal and trial.eps:
            msg = f"{trial.attack} {trial.refusal}"
            raise InputError(msg)


def _own_trial(
    classifier: WhiteBoxClassifier, attack: EvasionAttack, eps: float, norm: str
) -> PlannedTrial:
    """Return the trial of a user's attack, refusing another norm than the evaluation's."""
    used = getattr(attack, "norm", None)
    if used is not None and NORMS.get(used) != norm:
        name = type(attack).__name__
        msg = f"{name} has norm={used!r}, the evaluation norm={norm!r}; make them equal"
        raise InputError(msg)
    size = getattr(attack, "eps", eps)
    knowledge = _knowledge(classifier, attack.estimator)
    return PlannedTrial(
        attack=type(attack).__name__,
        source=attack.estimator,
        models=BOTH if knowledge == "base" and classifier.has_base else DEFENDED,
        knowledge=knowledge,
        surrogate=None,
        norm=norm,
        eps=float(size) if np.ndim(size) == 0 else eps,
        targeted=bool(getattr(attack, "targeted", False)),
        settings={
            name: _plain(getattr(attack, name, None))
            for name in attack.attack_params
            if name not in ("summary_writer", "tensor_board")
        },
        own=attack,
    )


def _knowledge(classifier: WhiteBoxClassifier, estimator: Any) -> str:
    """Tell what the gradients of a user's attack know; that it takes none, the ledger tells."""
    model = getattr(estimator, "model", None)
    if model is classifier.model or not classifier.defences:
        same = model is classifier.model or getattr(model, "base", model) is classifier.base_network
        return white_box(classifier) if same else "none"
    if getattr(model, "base", model) is not classifier.base_network:
        return "none"
    if not getattr(estimator, "defences", ()):
        return "base"
    twin = relaxed_twin(classifier)
    known = [classifier] if twin is None else [classifier, twin[1]]
    # the same network behind another defence: a transfer from elsewhere
    same = any(_identities(estimator) == _identities(one) for one in known)
    return white_box(classifier) if same else "none"


def _identities(classifier: Any) -> list[Any]:
    # neither a surrogate nor a seed changes what an attacker knows of a defence
    return [traits(defence).identity() for defence in classifier.defences]


def _plain(value: Any) -> Setting:
    """Return a scalar, or the name of what is none (ART's own repr may recurse)."""
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, float | np.floating | np.integer):
        # JSON has no infinity
        return float(value) if np.isfinite(value) else str(float(value))
    return str(getattr(value, "__name__", type(value).__name__))


def estimate_seconds(
    classifier: WhiteBoxClassifier, trials: Sequence[PlannedTrial], x: Any
) -> float:
    """Return roughly how long the trials take on these images, from batches that are timed."""
    batch = x[: min(len(x), 32)]
    classifier.predict(batch)

    def seconds() -> float:
        start = time.perf_counter()
        classifier.predict(batch)
        return time.perf_counter() - start

    # the least: whatever else the machine does can make one of them many times longer
    one = min(seconds() for _ in range(3)) / len(batch)
    return one * sum(trial.cost * (trial.first or len(x)) for trial in trials)
