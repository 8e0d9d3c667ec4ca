"""C1 to C4 and C21: is what is attacked what it is said to be, and are its gradients alive?"""

from typing import Any

import numpy as np
from scipy.special import log_softmax
from scipy.stats import norm, rankdata

from art_disc.core.checks import BoolArray, Float64Array
from art_disc.core.records import Share
from art_disc.core.records.randomness import LOSSES
from art_disc.core.seeds import generator_of
from art_disc.defences import traits
from art_disc.estimators.applied import stages
from art_disc.estimators.steadiness import steadiness_of
from art_disc.evaluation.checks.base import Check, Finding, failed, judged, not_run, passed
from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.checks.probes import (
    NO_BASE,
    differs,
    graph_values,
    logits_of,
    losses,
    network_logits,
    one_draw,
)
from art_disc.metrics.input_gradients import input_gradients

_SMALL, _ENOUGH = 1e-6, 10
# steps along random signs that a step along the gradient is held against
_REPEATS = 9


def threat_model(ctx: Context) -> Finding:
    """C1: what was attacked, how and where is on record, and there is something to attack."""
    facts = ctx.run.facts
    wanted = ("norm", "eps", "seed", "example_ids", "environment", "dataset", "network")
    missing = [name for name in wanted if facts.get(name) in (None, "", (), {})]
    if missing:
        return failed(f"not on record: {', '.join(missing)}")
    ids = facts["example_ids"]
    if len(set(ids)) != len(ids):
        return failed("an example is counted twice")
    n = len(ctx.run.y)
    there = [model for model in ("base", "defended") if model in ctx.run.models]
    shares = {m: Share(int(ctx.clean_correct(m).sum()), n) for m in there}
    chance = 1 / ctx.classifier.nb_classes
    accuracies = ", ".join(f"{share} {model}" for model, share in shares.items())
    numbers = {f"clean_{model}": share.value for model, share in shares.items()}
    without = "" if "base" in there else f"; {NO_BASE}"
    summary = f"clean accuracy {accuracies}{without}"
    return judged(shares["defended"].interval[0] > chance, summary, (), **numbers)


def in_the_path(ctx: Context) -> Finding:
    """C2: predictions are the network's on defended images, and the defence matters."""
    if not ctx.classifier.defences:
        return passed("no defence is claimed")
    model, x = one_draw(ctx.classifier), ctx.x
    defended, strange = x, np.zeros(len(x), dtype=bool)
    for defence, defended in stages(model.defences, x):
        strange |= traits(defence).impossible(defended)
    direct = logits_of(model, x)
    by_hand = network_logits(ctx.classifier if ctx.classifier.has_base else model, defended)
    off = differs(_logp(direct), _logp(by_hand), ctx.thresholds.forward)
    # a network that takes codes answers to nothing else
    matters, without = True, NO_BASE
    if ctx.classifier.has_base:
        hit = differs(direct, logits_of(ctx.classifier.base, x), ctx.thresholds.forward)
        matters, without = bool(hit.any()), f"the defence changes the logits of {hit.sum()}"
    summary = (
        f"predict(x) differs from network(defence(x)) on {off.sum()} of {len(x)} images; pixels "
        f"that are no codeword on {strange.sum()}; {without}"
    )
    holds = not off.any() and not strange.any() and matters
    return judged(holds, summary, ctx.ids(off | strange), differ=float(off.sum()))


def _logp(logits: Any) -> Any:
    """Log-probabilities: what logits mean, however they are shifted."""
    return np.maximum(log_softmax(logits, axis=1), -100)


def gradient_health(ctx: Context) -> Finding:
    """C3: every point that is classified rightly has a gradient, and logits are logits."""
    right, x = ctx.correct, ctx.x
    if not right.any():
        return not_run("no image is classified rightly without an attack")
    models = [ctx.classifier, ctx.classifier.base] if ctx.classifier.has_base else [ctx.classifier]
    for logits in (logits_of(model, x) for model in models):
        if (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-4):
            return failed("the outputs are probabilities, whose gradients vanish", ctx.ids(right))
    dead = np.zeros(len(x), dtype=bool)
    counts = []
    for loss in LOSSES:
        try:
            gradient = input_gradients(one_draw(ctx.own.classifier), x, ctx.y, loss)
        except Exception as error:  # noqa: BLE001 - attackers get it too
            return failed(f"no gradient: {type(error).__name__}: {error}", ctx.ids(right))
        flat = gradient.reshape(len(x), -1)
        bad = right & (~np.isfinite(flat).all(axis=1) | ~flat.any(axis=1))
        counts.append(f"{bad.sum()} of {right.sum()} under {loss.replace('_', '-')}")
        dead |= bad
    summary = f"zero, NaN or no gradient on {' and '.join(counts)}"
    return judged(not dead.any(), summary, ctx.ids(dead), dead=float(dead.sum()))


def surrogate_fidelity(ctx: Context) -> Finding:
    """C4: the attacked graph has the true value, and its gradient points uphill."""
    model = one_draw(ctx.own.classifier)
    x = ctx.x
    try:
        graph = graph_values(model, x[:100])
        gradient = input_gradients(model, x, ctx.y, "cross_entropy")
    except Exception as error:  # noqa: BLE001 - attackers get it too
        return failed(f"no gradient: {type(error).__name__}: {error}")
    off = differs(graph, logits_of(model, x[:100]), ctx.thresholds.forward)
    if off.any():
        return failed(f"the attacked graph has another value on {off.sum()} images", ctx.ids(off))
    step, along, random = _steps(ctx, model, np.sign(np.nan_to_num(gradient)))
    moved = ctx.correct & _moves(along, random)
    if moved.sum() < _ENOUGH:
        return not_run(
            f"a step of {step:.3g} changes the loss of {moved.sum()} images, {_ENOUGH} are needed"
        )
    rises = (along > _SMALL)[moved]
    by_chance = float((random > _SMALL)[:, moved].mean())
    share = float(rises.mean())
    hit = np.zeros(len(x), dtype=bool)
    hit[np.flatnonzero(moved)[~rises]] = True
    ahead = _ahead(along[moved], random[:, moved])
    luck = float(norm.sf(ahead))
    return judged(
        share >= ctx.thresholds.surrogate_step and luck <= ctx.thresholds.surrogate_luck,
        f"one signed step of {step:.3g} raises the true loss of {share:.0%} of {moved.sum()} "
        f"images, random signs of {by_chance:.0%}; noise would do as well with a chance of "
        f"{luck:.1g}",
        ctx.ids(hit),
        rises=share,
        rises_at_random=by_chance,
        ahead=ahead,
        step=float(step),
    )


def _ahead(along: Float64Array, random: Float64Array) -> float:
    """By how many standard errors a step along the gradient raises the loss more than at random.

    Each image's step is ranked among its own random ones. Signs of noise are random signs, so that
    any order is as likely as another: the ranks' mean and variance are known, ties among them.
    """
    ranks = rankdata(np.vstack([along, random]), axis=0)
    error = float(np.sqrt(ranks.var(axis=0).sum()))
    return float((ranks[0] - ranks.mean(axis=0)).sum()) / error if error else 0.0


def _moves(along: Float64Array, random: Float64Array) -> BoolArray:
    return np.asarray((np.abs(along) > _SMALL) | (np.abs(random) > _SMALL).any(axis=0))


def _steps(ctx: Context, model: Any, signs: Any) -> tuple[float, Float64Array, Float64Array]:
    """Return the step, and each image's change of loss along the gradient and along random signs.

    The step is the budget, doubled while it leaves too many images in their pixels' cells: a step
    that changes nothing tells nothing.
    """
    x, y, upper = ctx.x, ctx.y, ctx.run.upper
    rng = generator_of(ctx.run.seed)
    before = losses(model, x, y)

    def change(step: float, direction: Any) -> Float64Array:
        moved = x + np.float32(step) * direction.astype(np.float32)
        return losses(model, np.clip(moved, 0, np.float32(upper)), y) - before

    # at a budget of 0 too, the surrogate should point somewhere
    step = (ctx.eps or upper / 255) if ctx.norm == "inf" else 0.1 * upper
    while True:
        along = change(step, signs)
        signs_at_random = (rng.choice([-1, 1], size=x.shape) for _ in range(_REPEATS))
        random = np.stack([change(step, direction) for direction in signs_at_random])
        enough = (ctx.correct & _moves(along, random)).sum() >= _ENOUGH
        if enough or step >= upper / 2:
            return step, along, random
        step = min(2 * step, upper / 2)


def own_scores(ctx: Context) -> Finding:
    """C21: an image has the same scores whatever its batch is, or two batches give two results."""
    steady = steadiness_of(ctx.classifier, ctx.x, rows=2 * len(ctx.x))
    found = {"chance": steady.chance, "company": steady.company, "noise": steady.noise}
    steadily = (
        "alone, beside their copies, beside others and shuffled, images have the same scores, up "
        f"to {steady.noise:.2g} of the largest"
    )
    moved = np.isin(np.arange(len(ctx.x)), steady.moved)
    return judged(not steady.doubt, steady.doubt or steadily, ctx.ids(moved), **found)


CHECKS = (
    Check(
        "C1", "Threat model and clean accuracy", "quick",
        "record norm, budget, seed, examples and versions; attack a model that works",
        threat_model,
    ),
    Check(
        "C2", "The defence is in the path", "quick",
        "build the classifier anew with build_classifier(..., defences=[...]): setting an "
        "attribute of ART's classifier later changes nothing",
        in_the_path,
    ),
    Check(
        "C3", "Gradients are alive", "quick",
        "put a surrogate's gradient inside forward (BPDA), and return logits, not probabilities; "
        "logits of a binarised network need a temperature: with_surrogate('ste_hard_tanh:256')",
        gradient_health,
    ),
    Check(
        "C4", "The surrogate points uphill", "quick",
        "take another surrogate, or attack through identity and soft as well",
        surrogate_fidelity,
    ),
    Check(
        "C21", "No image depends on its batch", "quick",
        "take a network that sees one image at a time, in eval mode: BatchNorm with running "
        "statistics, no attention or whitening over the batch, no dropout",
        own_scores,
    ),
)  # fmt: skip
