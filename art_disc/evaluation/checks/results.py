"""C17, C19 and C20: gain over the undefended network, valid images, certificates kept."""

import time

import numpy as np

from art_disc.attacks import ATTACKS
from art_disc.core.checks import BoolArray, Float32Array
from art_disc.core.intervals import paired_difference
from art_disc.core.records import AttackOutcome
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.evaluation.checks.base import (
    Check,
    Finding,
    failed,
    judged,
    no_reference,
    not_run,
    passed,
)
from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.checks.probes import NO_BASE
from art_disc.evaluation.planned import PlannedTrial


def _reference_trials(ctx: Context) -> list[PlannedTrial]:
    if ctx.reference is None:
        return []
    return [ctx.trial("C17", name, ctx.reference) for name in ("pgd", "apgd_ce")]


def _compare(ours: BoolArray, theirs: BoolArray) -> tuple[float, float, float]:
    """Difference of two accuracies on the same examples, with its paired interval."""
    pairs = (ours & theirs, ours & ~theirs, ~ours & theirs, ~ours & ~theirs)
    low, high = paired_difference(*(int(pair.sum()) for pair in pairs))
    return float(ours.mean() - theirs.mean()), low, high


def gain(ctx: Context) -> Finding:
    """C17: what the defence gains, over the base and over adversarial training, with intervals."""
    record = ctx.record
    if record is None or ctx.reference is None:
        return not_run(no_reference(ctx))
    numbers: dict[str, float] = {}
    gains = []
    if ctx.classifier.has_base:
        numbers |= _cost_factor(ctx)
    ours = np.array(record.survives(ctx.eps))[: ctx.n]
    names = {"base": "the undefended network", "reference": "the adversarially trained network"}
    for model, name in names.items():
        if model not in ctx.run.models:
            gains.append(NO_BASE)
            continue
        outcomes = record.select(scored_on=model, eps=ctx.eps)
        if not any(len(o.correct) >= ctx.n for o in outcomes):
            return not_run(f"{name} was not attacked at eps {ctx.eps:.4g}")
        theirs = np.array(record.survives(ctx.eps, model=model))[: ctx.n]
        value, low, high = _compare(ours, theirs)
        sign = "a gain" if low > 0 else "a loss" if high < 0 else "no difference shown"
        interval = f"[{100 * low:+.1f}, {100 * high:+.1f}]"
        gains.append(f"{100 * value:+.1f} points {interval} over {name}: {sign}")
        numbers |= {f"over_{model}": value, f"over_{model}_low": low, f"over_{model}_high": high}
    if "inference_cost" in numbers:
        cost, low, high = (numbers[f"inference_cost{end}"] for end in ("", "_low", "_high"))
        gains.append(f"inference takes {cost:.1f} times the base's time ({low:.1f} to {high:.1f})")
    return passed("; ".join(gains), **numbers)


def _cost_factor(ctx: Context) -> dict[str, float]:
    """Time of a prediction over the undefended network's: median and extremes of five pairs."""
    models = (ctx.classifier.base, ctx.classifier)
    ratios = []
    for _ in range(5):
        base, ours = (_seconds(model, ctx.x[:100]) for model in models)
        ratios.append(ours / base)
    ends = {"inference_cost_low": min(ratios), "inference_cost_high": max(ratios)}
    return {"inference_cost": float(np.median(ratios)), **ends}


def _seconds(model: WhiteBoxClassifier, x: Float32Array) -> float:
    start = time.perf_counter()
    model.predict(x)
    return time.perf_counter() - start


def valid_images(ctx: Context) -> Finding:
    """C19: attacks kept within their budget, and the result holds for 8-bit images too."""
    offending = np.zeros(len(ctx.run.x), dtype=bool)
    over: list[str] = []
    outcomes = ctx.outcomes(scored_on="defended")
    for outcome in outcomes:
        if not _has_budget(outcome):
            continue
        sizes = np.array(outcome.perturbation)
        far = sizes > outcome.eps + outcome.tolerance
        if far.any():
            positions = np.array(outcome.positions or range(len(sizes)))
            offending[positions[far]] = True
            over.append(f"{outcome.attack} up to {sizes.max():.4g} with eps {outcome.eps:.4g}")
    if not outcomes:
        return not_run("no attack finished")
    if over:
        return failed(f"beyond the budget: {'; '.join(dict.fromkeys(over))}", ctx.ids(offending))
    record = ctx.record
    kept = f"{len(outcomes)} sets of images within budget and range"
    raw = None if record is None else record.worst(ctx.eps)
    grid = None if record is None else record.worst(ctx.eps, grid=True)
    if raw is None or grid is None:
        return passed(kept)
    return passed(
        f"{kept}; worst of all attacks {raw.value:.1%}, after rounding to the 8-bit grid "
        f"{grid.value:.1%}",
        worst=raw.value,
        worst_on_grid=grid.value,
    )


def _has_budget(outcome: AttackOutcome) -> bool:
    """Whether its attack keeps within a budget; one that nobody knows does if it has an eps.

    An attack object is on record by its class.
    """
    known = [s for s in ATTACKS.values() if outcome.attack in (s.name, s.art)]
    return known[0].bounded if known else "eps" in outcome.settings


def certificate_kept(ctx: Context) -> Finding:
    """C20: nothing that is certified was broken."""
    record = ctx.record
    if record is None or not record.certificates:
        return passed("no certificate is claimed")
    found = record.contradictions()
    ids = sorted({record.example_ids[i] for i, _ in found})
    counts = ", ".join(f"{c.count('certified')} at {c.eps:.4g}" for c in record.certificates)
    return judged(
        not found,
        f"certified: {counts}; broken within their certificate: {len(found)}; undecided ones count "
        f"as errors; {record.certificates[0].assumes}",
        ids,
    )


CHECKS = (
    Check(
        "C17", "Gain over undefended networks", "standard",
        "give evaluate(..., reference=) an adversarially trained network of the same architecture",
        gain, _reference_trials, no_reference,
    ),
    Check(
        "C19", "Images within the budget", "quick",
        "start the attack from the clean image itself and project onto its own eps ball",
        valid_images,
    ),
    Check(
        "C20", "Certificates are kept", "standard",
        "trust neither the certificate nor the defence until the contradiction is explained",
        certificate_kept,
    ),
)  # fmt: skip
