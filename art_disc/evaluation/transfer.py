"""Adversarial examples made on other classifiers, scored on the one that is to be judged."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from tqdm import tqdm

from art_disc.attacks import AttackFactory, attack_table
from art_disc.core.budget import Budget, perturbation_norm
from art_disc.core.checks import check_count, check_eps
from art_disc.core.errors import InputError
from art_disc.core.records.supplied import TransferRecord, TransferRow
from art_disc.core.seeds import derive_seed
from art_disc.estimators import as_classifier
from art_disc.estimators.contract import (
    WhiteBoxClassifier,
    check_draws,
    images_and_labels,
)
from art_disc.estimators.describe import defence_lines, describe_voting, environment_of
from art_disc.evaluation.sources import relaxed_twin
from art_disc.trials import Scorer, Trial, run_trial
from art_disc.trials.streams import callers_stream


def transfer_sources(classifier: WhiteBoxClassifier, *, seed: int = 0) -> dict[str, Any]:
    """Return the classifiers that an attacker of this one would make examples on, by name.

    `own`, the classifier itself; `base`, its undefended network where there is one; `randmix`, the
    RandMix twin of a RandDisc, which the paper attacks; `frozen`, its twin with fixed draws.

    Args:
        classifier: From `build_classifier`.
        seed: Of the frozen draws.

    Raises:
        InputError: It does not keep the contract of a classifier under evaluation.
    """
    classifier = as_classifier(classifier)
    found: dict[str, Any] = {"own": classifier}
    if classifier.has_base and classifier.defences:
        found["base"] = classifier.base
    relaxed = relaxed_twin(classifier)
    if relaxed is not None:
        found[relaxed[0].lower()] = relaxed[1]
    if classifier.is_random:
        found["frozen"] = check_draws(classifier).frozen(derive_seed(seed, "frozen"))
    return found


@callers_stream
def transfer(  # noqa: PLR0913 - each is a choice of its own
    sources: Mapping[str, Any],
    target: Any,
    x: Any,
    y: Any,
    attack: str | AttackFactory = "pgd",
    *,
    eps: float,
    draws: int = 20,
    batch_size: int = 100,
    seed: int = 0,
    verbose: bool = True,
) -> TransferRecord:
    """Make adversarial examples on each source and score them on the target.

    Args:
        sources: ART classifiers of the same images by name, for example `transfer_sources(target)`
            and the classifier of another defence.
        target: From `build_classifier`.
        x: Images (n, ...) in the target's layout and input range, or uint8.
        y: Labels (n,), or one-hot rows.
        attack: A name of the table of attacks with its standard settings, or a function that
            returns an ART attack of a classifier and a budget: `lambda c, eps:
            ProjectedGradientDescent(c, eps=eps, eps_step=eps / 10, max_iter=40, verbose=False)`.
        eps: l_inf budget in the input range. A change that exceeds it is not adversarial.
        draws: Fresh draws that a target, or a source, that draws is scored on.
        batch_size: Images that an attack gets at once; part of what makes a run repeatable.
        seed: Of the attacks and the scores.
        verbose: Show a progress bar.

    Returns:
        For each source the accuracy that it leaves the target, and itself; an attack that raises
        is a row with its reason.

    Raises:
        InputError: An argument does not fit.
    """
    target = as_classifier(target)
    images, labels, upper = images_and_labels(target, x, y)
    check_count(draws, "draws")
    check_count(batch_size, "batch_size")
    _check_sources(sources, target, upper)
    within = Budget(check_eps(eps, upper=upper), upper=upper)
    seeds = partial(derive_seed, seed, "transfer")
    task = partial(Trial, x=images, y=labels, budget=within, batch_size=batch_size)
    scorer = partial(Scorer, x=images, y=labels, draws=draws)
    judge = scorer(target, seed=seeds("fresh"))
    rows = []
    with tqdm(total=len(sources) * len(images), unit="image", disable=not verbose) as bar:
        for name, source in sources.items():
            bar.set_description(name)
            make, row = _begin(attack, name, source, within, batch_size)
            trial = task(make, source, seeds=partial(derive_seed, seeds(name)), advance=bar.update)
            rows.append(_row(row, trial, judge, partial(scorer, source, seed=seeds(name))))
    return TransferRecord(
        eps=within.eps,
        tolerance=within.tolerance,
        defences=defence_lines(target),
        clean_correct=tuple(judge.clean.correct.tolist()),
        rows=tuple(rows),
        draws=judge.clean.draws,
        seed=seed,
        environment=environment_of(target),
        voting=describe_voting(target),
    )


def _row(row: TransferRow, trial: Trial, judge: Scorer, own: Callable[[], Scorer]) -> TransferRow:
    """Attack one source, and score what it made on the target (`judge`) and on the source."""
    try:
        made = run_trial(trial)
    except Exception as error:  # noqa: BLE001 - a row of the record, not the end of the run
        return replace(row, reason=f"{type(error).__name__}: {error}")
    found, itself = judge.score(made.images), own()
    return replace(
        row,
        attack=row.attack or made.attack,
        status="done",
        own_correct=tuple((itself.clean.correct & itself.score(made.images).correct).tolist()),
        right=tuple(found.correct.tolist()),
        draw_right=found.draw_correct,
        distances=tuple(perturbation_norm(made.images, trial.x, "inf").tolist()),
        gradients=made.gradients,
        queries=made.queries,
        seconds=made.seconds,
    )


def _check_sources(sources: Mapping[str, Any], target: Any, upper: float) -> None:
    if not sources:
        msg = "sources must hold at least one classifier, for example transfer_sources(target)"
        raise InputError(msg)
    for name, source in sources.items():
        limits = getattr(source, "clip_values", None)
        top = None if limits is None else float(np.max(limits[1]))
        shape = tuple(getattr(source, "input_shape", ()))
        if (shape, top) != (tuple(target.input_shape), upper):
            msg = (
                f"source {name!r} must take images of shape {tuple(target.input_shape)} in "
                f"[0, {upper:g}] as the target does, it takes {shape or 'none'} up to {top}"
            )
            raise InputError(msg)


def _begin(
    attack: str | AttackFactory, name: str, source: Any, budget: Budget, batch_size: int
) -> tuple[Callable[[], EvasionAttack], TransferRow]:
    """Return what makes the attack on a source, and its row: a function's has no name before."""
    voting = describe_voting(source)
    row = TransferRow(name, defence_lines(source), "", {}, "failed", voting=voting)
    if not isinstance(attack, str):
        return partial(attack, source, budget.eps), row
    ((spec, settings),) = attack_table([attack])
    given, refusal = spec.planned(source, "inf", settings, targeted=False)
    if refusal:
        msg = f"{spec.name} cannot run on {name!r}: it {refusal}"
        raise InputError(msg)
    make = spec.on(source, budget, given, batch_size=batch_size)
    return make, replace(row, attack=spec.name, settings=dict(given))
