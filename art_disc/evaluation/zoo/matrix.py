"""The attack zoo: every attack of the table against several classifiers, one cell each."""

import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import art
import numpy as np
import torch
from art.exceptions import EstimatorError
from numpy.typing import NDArray
from tqdm import tqdm

from art_disc.attacks import ATTACKS, TIERS, AttackRequest, AttackSpec, attack_table
from art_disc.attacks.zoo.discovery import LEFT_OUT
from art_disc.core.budget import Budget, perturbation_norm
from art_disc.core.checks import (
    Float32Array,
    check_count,
    check_eps,
    check_images,
    check_labels,
)
from art_disc.core.errors import InputError
from art_disc.core.records.base import Setting
from art_disc.core.records.zoo import ZooCell, ZooRecord
from art_disc.core.seeds import derive_seed
from art_disc.data import Dataset
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.evaluation.describe import describe_run
from art_disc.evaluation.zoo.watch import Watch
from art_disc.trials import Scorer, Trial, run_trial
from art_disc.trials.time_limit import TrialTimeoutError


@dataclass(frozen=True, slots=True)
class _Zoo:
    """What all cells share."""

    x: Float32Array
    y: NDArray[np.int64]
    budget: Budget
    seed: int
    time_limit: float
    scorers: Mapping[str, Scorer]

    def budget_of(self, spec: AttackSpec) -> Budget:
        """Return the budget in the attack's norm."""
        if "inf" in spec.norms or not spec.norms:
            return self.budget
        eps = self.budget.eps * float(np.sqrt(self.x[0].size))
        return replace(self.budget, eps=eps, norm="2")


# ART's predict draws from torch's global stream (through its DataLoader), which is the caller's
@torch.random.fork_rng(devices=[])
def zoo_matrix(  # noqa: PLR0913 - each is a choice of its own
    classifiers: Mapping[str, WhiteBoxClassifier],
    data: Dataset,
    *,
    tier: str = "smoke",
    attacks: str | Sequence[str] | None = None,
    eps: float = 0.2,
    n_ex: int = 8,
    time_limit: float = 300,
    seed: int = 0,
    training: str = "",
    verbose: bool = True,
) -> ZooRecord:
    """Run every attack of the table against every classifier and tell what became of it.

    Nothing here measures robustness: few images, and in the tier `smoke` few steps. It tells which
    of ART's attacks work on these classifiers, and that what they get is no empty gradient.

    Args:
        classifiers: Name -> classifier; one without defences is what the others are held against.
        data: Its first test images are attacked.
        tier: `smoke`, `standard` or `strong`: the attacks' settings.
        attacks: Names, as a list or joined by commas; None: all.
        eps: l_inf budget in the input range; an attack in l2 gets the norm of a change by that
            much everywhere.
        n_ex: Images.
        time_limit: Seconds a cell may take; 0: no limit. It needs the main thread of a Unix
            process and is left out elsewhere.
        seed: Of every attack's random draws.
        training: One line on how the network was trained, for the record.
        verbose: Show one progress bar.

    Raises:
        InputError: No classifier, an unknown attack or tier, or an argument that does not fit.
    """
    if not classifiers:
        msg = "zoo_matrix needs at least one classifier, by name"
        raise InputError(msg)
    chosen = attacks if isinstance(attacks, str) else list(attacks or ATTACKS)
    if tier not in TIERS:
        msg = f"tier must be one of {', '.join(TIERS)}, got {tier!r}"
        raise InputError(msg)
    if not 0 <= time_limit < float("inf"):
        msg = f"time_limit must be a number of seconds >= 0, got {time_limit!r}"
        raise InputError(msg)
    table = attack_table(chosen, tier=tier)
    first = next(iter(classifiers.values()))
    upper = float(np.max(first.clip_values[1]))
    budget = Budget(check_eps(eps, upper=upper), upper=upper)
    data = data.subset(n_test=check_count(n_ex, "n_ex", least=2))
    x = check_images(data.x_test) * np.float32(upper)
    x = x if first.channels_first else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    y = check_labels(data.y_test, len(x), first.nb_classes)
    scorers = {
        name: Scorer(classifier, x, y, draws=1, seed=derive_seed(seed, "score", name))
        for name, classifier in classifiers.items()
    }
    zoo = _Zoo(x, y, budget, seed, time_limit, scorers)
    cells = []
    with tqdm(total=len(table) * len(classifiers), unit="cell", disable=not verbose) as bar:
        for spec, settings in table:
            for name, classifier in classifiers.items():
                bar.set_description(f"{spec.name} on {name.partition(':')[0]}")
                cells.append(_cell(zoo, spec, settings, name, classifier))
                bar.update()
    facts = describe_run(first, data, y, training=training)
    return ZooRecord(
        **{key: facts[key] for key in ("dataset", "example_ids", "labels", "network")},
        environment=facts["environment"],
        defences={name: _lines(classifier, data, y) for name, classifier in classifiers.items()},
        tier=tier,
        eps=budget.eps,
        seed=seed,
        time_limit=float(time_limit),
        cells=tuple(cells),
        left_out=dict(LEFT_OUT),
    )


def _lines(classifier: WhiteBoxClassifier, data: Dataset, y: NDArray[np.int64]) -> tuple[str, ...]:
    lines: tuple[str, ...] = describe_run(classifier, data, y, training="")["defences"]
    return lines


def _cell(
    zoo: _Zoo,
    spec: AttackSpec,
    settings: Mapping[str, float | int],
    name: str,
    classifier: WhiteBoxClassifier,
) -> ZooCell:
    """Run one attack on one classifier."""
    budget = zoo.budget_of(spec)
    fixed: dict[str, Any] = {
        "attack": spec.name,
        "art": spec.art,
        "defence": name,
        "gradient_attack": spec.gradients,
        "norm": budget.norm if spec.norms else "",
        "eps": budget.eps if spec.bounded else None,
        "settings": _plain(settings),
        "total": len(zoo.x),
    }
    if spec.missing:
        return ZooCell(**fixed, status="skipped", reason=_missing(spec.missing))
    if refusal := spec.refuses(budget.norm, classifier.nb_classes, targeted=False):
        return ZooCell(**fixed, status="refused", reason=refusal)
    n = len(zoo.x)
    request = AttackRequest(classifier, budget.eps, budget.norm, targeted=False, batch_size=n)
    trial = Trial(
        partial(spec.make, request, settings),
        classifier,
        zoo.x,
        zoo.y,
        budget,
        seeds=lambda _: derive_seed(zoo.seed, spec.name),
        seconds=zoo.time_limit,
    )
    watch, start = Watch(), time.perf_counter()
    try:
        with watch.watching(classifier), warnings.catch_warnings():
            # ART's own; they are no news of the defence
            warnings.simplefilter("ignore")
            result = run_trial(trial)
    except (Exception, TrialTimeoutError) as error:
        seconds = round(time.perf_counter() - start, 3)
        return ZooCell(**fixed, **_failure(spec, error), seconds=seconds)
    return ZooCell(
        **fixed,
        **_effect(zoo, spec, name, result.images),
        seconds=result.seconds,
        gradients=result.gradients,
        queries=result.queries,
        seen_gradients=watch.seen,
        zero_gradients=watch.zero,
        bypassed=watch.bypassed,
    )


def _effect(zoo: _Zoo, spec: AttackSpec, name: str, found: Float32Array) -> dict[str, Any]:
    """Count by fresh predictions what is left."""
    scorer = zoo.scorers[name]
    clean, right = scorer.clean.correct, scorer.score(found).correct
    if spec.bounded:
        right = right | ~zoo.budget_of(spec).holds(found, zoo.x)
    left = int((clean & right).sum())
    linf, l2 = (perturbation_norm(found, zoo.x, norm) for norm in ("inf", "2"))
    return {
        "status": "lowered" if left < clean.sum() else "ran",
        "clean": int(clean.sum()),
        "attacked": left,
        "linf_mean": round(float(linf.mean()), 6),
        "linf_max": round(float(linf.max()), 6),
        "l2_mean": round(float(l2.mean()), 6),
        "l2_max": round(float(l2.max()), 6),
    }


def _failure(spec: AttackSpec, error: BaseException) -> dict[str, Any]:
    """Return status, reason and whether that was expected, for what an attack raised."""
    if isinstance(error, TrialTimeoutError):
        return {"status": "failed", "reason": str(error)}
    words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if isinstance(error, ImportError):
        return {"status": "skipped", "reason": _missing(error.name or words)}
    if isinstance(error, EstimatorError | InputError):
        return {"status": "refused", "reason": words}
    home = Path(art.__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if Path(f.filename).is_relative_to(home)]
    if inside:
        place = Path(inside[-1].filename).relative_to(home.parent).as_posix()
        words = f"{words} @ {place}:{inside[-1].lineno}"
    if spec.breaks_inside_art and inside:
        reason = f"inside ART under NumPy 2: {words}"
        return {"status": "failed", "reason": reason, "expected": True}
    return {"status": "failed", "reason": words}


def _missing(package: str) -> str:
    return f"needs the package {package}, which cannot be imported"


def _plain(settings: Mapping[str, float | int]) -> dict[str, Setting]:
    return dict(settings)
