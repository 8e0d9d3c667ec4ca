"""One cell of the zoo: one attack on one classifier, and what became of it."""

import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import art
import numpy as np
from art.exceptions import EstimatorError

from art_disc.attacks import AttackSpec
from art_disc.core.budget import Budget, perturbation_norm
from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.errors import InputError
from art_disc.core.records.zoo import ZooCell
from art_disc.core.seeds import derive_seed
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.evaluation.zoo.watch import Watch
from art_disc.trials import Scorer, Trial, run_trial
from art_disc.trials.time_limit import TrialTimeoutError


@dataclass(frozen=True, slots=True)
class ZooSetup:
    """What all cells share.

    Attributes:
        x: Images in the input range.
        y: Labels (n,).
        budget: In l_inf.
        seed: Of every attack's random draws.
        seconds: A cell may take; 0: no limit.
        scorers: What examines each classifier, by its name.
    """

    x: Float32Array
    y: IntArray
    budget: Budget
    seed: int
    seconds: float
    scorers: Mapping[str, Scorer]

    def budget_of(self, spec: AttackSpec) -> Budget:
        """Return the budget in the attack's norm."""
        if "inf" in spec.norms or not spec.norms:
            return self.budget
        eps = self.budget.eps * float(np.sqrt(self.x[0].size))
        return replace(self.budget, eps=eps, norm="2")


def run_cell(
    zoo: ZooSetup,
    spec: AttackSpec,
    settings: Mapping[str, float | int],
    name: str,
    classifier: WhiteBoxClassifier,
) -> ZooCell:
    """Run one attack on one classifier."""
    budget = zoo.budget_of(spec)
    settings, refusal = spec.planned(classifier, budget.norm, settings, targeted=False)
    cell = partial(
        ZooCell,
        attack=spec.name,
        art=spec.art,
        defence=name,
        gradient_attack=spec.gradients,
        norm=budget.norm if spec.norms else "",
        eps=budget.eps if spec.bounded else None,
        settings=dict(settings),
        total=len(zoo.x),
    )
    if spec.missing:
        return cell(status="skipped", reason=_missing(spec.missing))
    if refusal:
        return cell(status="refused", reason=refusal)
    seed = derive_seed(zoo.seed, spec.name)
    make = spec.on(classifier, budget, settings, batch_size=len(zoo.x))
    trial = Trial(make, classifier, zoo.x, zoo.y, budget, lambda _: seed, seconds=zoo.seconds)
    watch, start = Watch(), time.perf_counter()
    try:
        with watch.watching(classifier), warnings.catch_warnings():
            # ART's own; they are no news of the defence
            warnings.simplefilter("ignore")
            result = run_trial(trial)
    except (Exception, TrialTimeoutError) as error:  # noqa: BLE001 - what a cell says, not the end
        return cell(**_failure(spec, error), seconds=round(time.perf_counter() - start, 3))
    return cell(
        **_effect(zoo, budget if spec.bounded else None, name, result.images),
        seconds=result.seconds,
        gradients=result.gradients,
        queries=result.queries,
        seen_gradients=watch.seen,
        zero_gradients=watch.zero,
        # what looks behind the map on purpose keeps to its codewords
        bypassed=0 if spec.behind else watch.bypassed,
    )


def _effect(zoo: ZooSetup, budget: Budget | None, name: str, found: Float32Array) -> dict[str, Any]:
    """Count by fresh predictions what is left; beyond a budget nothing is lost."""
    scorer = zoo.scorers[name]
    clean, right = scorer.clean.correct, scorer.score(found).correct
    if budget is not None:
        right = right | ~budget.holds(found, zoo.x)
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
    expected = bool(spec.breaks_inside_art and inside)
    reason = f"inside ART under NumPy 2: {words}" if expected else words
    return {"status": "failed", "reason": reason, "expected": expected}


def _missing(package: str) -> str:
    return f"needs the package {package}, which cannot be imported"
