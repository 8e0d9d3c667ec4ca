"""C14 to C16: is the defence random, was that averaged over, and were fresh draws scored?"""

from typing import Any

import numpy as np

from art_disc.core.checks import Float64Array
from art_disc.core.records.draws import unbroken
from art_disc.core.seeds import derive_seed
from art_disc.estimators.contract import check_draws
from art_disc.evaluation.checks.base import Check, Finding, failed, judged, not_run, passed
from art_disc.evaluation.checks.context import LUCK, Context, standard_error
from art_disc.evaluation.checks.probes import logits_of
from art_disc.evaluation.planned import PlannedTrial
from art_disc.evaluation.sources import DEFENDED, Source
from art_disc.metrics.input_gradients import directions, input_gradients

DETERMINISTIC = "the model is deterministic: nothing to average"


def _own_stream(ctx: Context) -> Any:
    """The model with draws that no attack before has moved on."""
    if not ctx.classifier.is_random:
        return ctx.classifier
    return check_draws(ctx.classifier).with_seed(derive_seed(ctx.run.seed, "C14"))


def _spread(ctx: Context) -> Float64Array:
    """Largest change of each image's logits over five predictions."""
    model = _own_stream(ctx)
    each = np.stack([logits_of(model, ctx.x[:100]) for _ in range(5)]).astype(np.float64)
    return np.asarray(np.ptp(each, axis=0).max(axis=1))


def _frozen_trials(ctx: Context) -> list[PlannedTrial]:
    if ctx.frozen is None:
        return []
    return [ctx.trial("C14", "pgd", source) for source in (ctx.frozen, ctx.own)]


def randomness_found(ctx: Context) -> Finding:
    """C14: what is random is attacked as such, and is not hidden in one draw."""
    spread = _spread(ctx)
    differ = f"five predictions of one image differ by {spread.max():.2g}"
    if not ctx.classifier.is_random:
        random = spread > ctx.thresholds.spread
        summary = f"{differ}; the classifier averages no draws"
        return judged(not random.any(), summary, ctx.ids(random))
    asked = _frozen_trials(ctx)
    frozen = ctx.done(asked, "frozen")
    fresh = [o for o in ctx.done(asked) if o.knowledge == "bpda+eot"]
    if not frozen or not fresh:
        return not_run("PGD did not finish on the model and on its frozen twin")
    right = {m: ctx.clean_correct(m)[: ctx.n] for m in ("frozen", "defended")}
    ns = [int(right[model].sum()) for model in ("frozen", "defended")]
    once = float((ctx.broken(frozen)[: ctx.n] & right["frozen"]).sum()) / max(ns[0], 1)
    anew = float((ctx.broken(fresh)[: ctx.n] & right["defended"]).sum()) / max(ns[1], 1)
    return judged(
        once >= anew - 2 * standard_error((once, ns[0]), (anew, ns[1])),
        f"{differ}; success {once:.1%} with the draw frozen, {anew:.1%} against fresh draws",
        frozen=once,
        fresh=anew,
        spread=float(spread.max()),
    )


def _eot_sources(ctx: Context) -> list[tuple[Source, int]]:
    """Sources with 1, M and 2M draws a gradient, and the steps that make gradients equal."""
    model = check_draws(ctx.classifier)
    m = max(2, model.eot_samples)

    def source(k: int) -> Source:
        name = f"eot={k}"
        return Source(name, model.with_samples(eot=k), DEFENDED, "bpda+eot", name)

    return [(source(1), m), (source(m), 1), (source(2 * m), 1)]


def _eot_trials(ctx: Context) -> list[PlannedTrial]:
    if not ctx.classifier.is_random:
        return []
    steps = ctx.settings("pgd")["max_iter"]
    return [
        ctx.trial("C15", "pgd", source, settings={"max_iter": steps * factor, "num_random_init": 1})
        for source, factor in _eot_sources(ctx)
    ]


def enough_draws(ctx: Context) -> Finding:
    """C15: more draws a gradient change nothing, nor do more steps with one draw."""
    if not ctx.classifier.is_random:
        return passed(DETERMINISTIC)
    left = {}
    gained = np.zeros(ctx.n, dtype=bool)
    mine = ctx.done(_eot_trials(ctx))
    others = ctx.white_outcomes(beside=mine, eps=ctx.eps)
    for source, _ in _eot_sources(ctx):
        outcomes = ctx.outcomes(scored_on="defended", eps=ctx.eps, surrogate=source.surrogate)
        if not outcomes:
            lost = ctx.unfinished(asked_by="C15")
            return not_run(lost[0].reason if lost else f"no PGD with {source.name}")
        left[source.name] = ctx.left(outcomes)
        gained |= ctx.hit(outcomes) & ~ctx.hit(others)
    drop = float(gained.sum()) / ctx.n
    cosine = _cosine(ctx)
    shares = ", ".join(f"{share:.1%} {name}" for name, share in left.items())
    lucky = drop > ctx.thresholds.eot and not ctx.beyond_luck(gained, mine, others)
    return judged(
        drop <= ctx.thresholds.eot or lucky,
        f"accuracy left: {shares}; they break {100 * drop:.1f} points that the evaluation did not"
        f"{LUCK if lucky else ''}; two gradients of one image have a cosine of {cosine:.2f}",
        ctx.ids(gained),
        drop=drop,
        cosine=cosine,
        **left,
    )


def _cosine(ctx: Context) -> float:
    """Median cosine of two estimates of one image's gradient."""
    given = _own_stream(ctx), ctx.x[:50], ctx.y[:50], "cross_entropy"
    a, b = (directions(input_gradients(*given))[0] for _ in range(2))
    return float(np.median((a * b).sum(axis=1)))


def fresh_draws(ctx: Context) -> Finding:
    """C16: every image was scored on draws that no attack saw."""
    if not ctx.classifier.is_random:
        return passed(DETERMINISTIC)
    outcomes = [o for o in ctx.outcomes(scored_on="defended") if o.eps == ctx.eps]
    if not outcomes:
        return not_run(f"no attack finished at eps {ctx.eps:.4g}")
    least = min(o.draws for o in outcomes)
    if least < ctx.thresholds.draws:
        summary = f"scored on {least} draws, {ctx.thresholds.draws} are needed"
        return failed(summary, draws=float(least))
    worst = min(outcomes, key=lambda o: o.share.value)
    # what is beyond the budget is not adversarial
    inside = np.array(worst.perturbation) <= worst.eps + worst.tolerance
    drawn = np.array(worst.draw_correct)[inside]
    shares, left = {"vote": worst.share.value}, [1.0]
    if inside.any():
        shares |= {
            "mean": float(drawn.mean()) / worst.draws,
            "any": float((drawn > 0).mean()),
            "all": float((drawn == worst.draws).mean()),
        }
        left = list(unbroken(tuple(drawn.tolist()), worst.draws, worst.draws).mean(axis=1))
    # an attacker that tries again: accuracy left after k queries of the same image; of more
    # queries than there are draws no more is known than that no more is left
    persist = {f"after_{k}": float(left[min(k, len(left)) - 1]) for k in (1, 10, 100)}
    names = {"vote": "as it votes", "mean": "of single draws", "any": "in any", "all": "in all"}
    words = ", ".join(f"{share:.1%} {names[name]}" for name, share in shares.items())
    again = ", ".join(
        f"{'at most ' if int(k[6:]) > worst.draws else ''}{v:.1%} after {k[6:]}"
        for k, v in persist.items()
    )
    return passed(
        f"{least} fresh draws an image; under {worst.attack}: {words}; asked again and again: "
        f"{again} queries",
        **shares,
        **persist,
    )


CHECKS = (
    Check(
        "C14", "Randomness is found", "quick",
        "build the classifier with eot_samples and vote_samples, so that attacks average over it",
        randomness_found, _frozen_trials,
    ),
    Check(
        "C15", "Gradients average enough draws", "standard",
        "raise eot_samples, or take more steps with one draw each, until nothing changes",
        enough_draws, _eot_trials,
    ),
    Check(
        "C16", "Scored on fresh draws", "quick",
        "score every image on at least 20 draws that the attack has not seen (draws=20)",
        fresh_draws,
    ),
)  # fmt: skip
