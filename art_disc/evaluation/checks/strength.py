"""C6 to C9: does the iterative attack behave as one that works?"""

import numpy as np

from art_disc.evaluation.checks.base import Check, Finding, judged, lost_to, not_run
from art_disc.evaluation.checks.context import LUCK, Context, standard_error
from art_disc.evaluation.planned import PlannedTrial

FRACTIONS = (0.25, 0.5, 0.75, 1.0, 1.5)


def _full_range(ctx: Context) -> float:
    """Budget that allows every image."""
    upper = ctx.run.upper
    return upper if ctx.norm == "inf" else upper * float(np.sqrt(ctx.run.x[0].size))


def _missing(ctx: Context, check: str, otherwise: str) -> Finding:
    """Tell why a check's attack did not finish; where none was begun, tell that."""
    return lost_to(ctx.unfinished(asked_by=check)) or not_run(otherwise)


def _one_step_trials(ctx: Context) -> list[PlannedTrial]:
    return [ctx.trial("C6", name, s) for s in ctx.white_box for name in ("fgsm", "pgd")]


def iterative_beats_one_step(ctx: Context) -> Finding:
    """C6: many steps find at least what one step finds."""
    done = {}
    for name in ("fgsm", "pgd"):
        outcomes = [o for o in ctx.done(_one_step_trials(ctx)) if o.attack == name]
        if not outcomes:
            return _missing(ctx, "C6", f"no {name} at eps {ctx.eps:.4g}")
        done[name] = ctx.hit(outcomes)
    n = int(ctx.correct.sum())
    if not n:
        return not_run("no image is classified rightly without an attack")
    one, many = (float(done[name].sum()) / n for name in ("fgsm", "pgd"))
    slack = 2 * standard_error((one, n), (many, n))
    return judged(
        many >= one - slack,
        f"success of PGD {many:.1%}, of one step {one:.1%}, 2 standard errors {slack:.1%}",
        ctx.ids(done["fgsm"] & ~done["pgd"]),
        pgd=many,
        fgsm=one,
    )


def _budgets(ctx: Context) -> list[float]:
    top = _full_range(ctx)
    return sorted({min(fraction * ctx.eps, top) for fraction in FRACTIONS})


def _budget_trials(ctx: Context) -> list[PlannedTrial]:
    return [ctx.trial("C7", "pgd", s, eps=eps) for eps in _budgets(ctx) for s in ctx.white_box]


def monotone_in_eps(ctx: Context) -> Finding:
    """C7: a larger budget breaks no fewer of the same points."""
    n = int(ctx.correct.sum())
    budgets = _budgets(ctx)
    found = []
    for eps in budgets:
        outcomes = [o for o in ctx.done(_budget_trials(ctx)) if o.eps == eps]
        if not outcomes:
            return _missing(ctx, "C7", f"no PGD at eps {eps:.4g}")
        found.append(ctx.hit(outcomes))
    if len(budgets) < 5 or not n:
        return not_run(f"{len(budgets)} budgets on {n} images, 5 are needed")
    shares = [float(hit.sum()) / n for hit in found]
    falls = [
        i
        for i in range(1, len(shares))
        if shares[i] < max(shares[:i]) - 2 * standard_error((max(shares[:i]), n), (shares[i], n))
    ]
    lost = np.any([found[i - 1] & ~found[i] for i in falls] or [~ctx.correct & False], axis=0)
    pairs = list(zip(budgets, shares, strict=True))
    shown = ", ".join(f"{share:.1%} at {eps:.3g}" for eps, share in pairs)
    numbers = {f"success_at_{eps:.6g}": share for eps, share in pairs}
    return judged(not falls, f"success {shown}", ctx.ids(lost), **numbers)


def _unbounded_trials(ctx: Context) -> list[PlannedTrial]:
    return [ctx.trial("C8", "pgd", s, eps=_full_range(ctx)) for s in ctx.white_box]


def unbounded(ctx: Context) -> Finding:
    """C8: an attack that may change everything succeeds."""
    n = int(ctx.correct.sum())
    if not ctx.white_outcomes(eps=_full_range(ctx)) or not n:
        return _missing(ctx, "C8", "no attack over the full range")
    # a change that a smaller budget allowed is allowed here too
    hit = ctx.hit(ctx.white_outcomes(), eps=_full_range(ctx))
    standing = ctx.correct & ~hit
    success, left = float(hit.sum()) / n, float(standing.sum()) / ctx.n
    chance = 1 / ctx.classifier.nb_classes
    enough = left <= chance and (ctx.classifier.is_random or success >= ctx.thresholds.unbounded)
    return judged(
        enough,
        f"success {success:.1%} with every image allowed, accuracy left {left:.1%} (chance "
        f"{chance:.1%})",
        ctx.ids(standing),
        success=success,
        left=left,
    )


def _doubled_trials(ctx: Context) -> list[PlannedTrial]:
    now = ctx.settings("pgd")
    restarts = 2 * max(1, now["num_random_init"])
    twice = {"max_iter": 2 * now["max_iter"], "num_random_init": restarts}
    return [ctx.trial("C9", "pgd", s, settings=twice) for s in ctx.white_box]


def convergence(ctx: Context) -> Finding:
    """C9: more steps and restarts find nothing new, and the loss has come to rest."""
    doubled = ctx.done(_doubled_trials(ctx))
    if not doubled:
        return _missing(ctx, "C9", "no doubled attack")
    usual = ctx.white_outcomes(beside=doubled, eps=ctx.eps)
    gained = ctx.hit(doubled) & ~ctx.hit(usual)
    moved = float(gained.sum()) / ctx.n
    # behind ART's own preprocessors, and of random models, no iterates are followed
    curves = [o.loss_by_step for o in doubled if len(o.loss_by_step) > 1]
    rest = max((_last_change(curve) for curve in curves), default=0.0)
    calm = rest <= ctx.thresholds.loss_change
    loss = f"moved by {rest:.3f} of its range in 10 steps" if curves else "could not be followed"
    lucky = moved > ctx.thresholds.convergence and not ctx.beyond_luck(gained, doubled, usual)
    return judged(
        calm and (moved <= ctx.thresholds.convergence or lucky),
        f"doubled steps and restarts lower the accuracy by {100 * moved:.1f} points "
        f"({gained.sum()} images{LUCK if lucky else ''}); the loss {loss}",
        ctx.ids(gained),
        moved=moved,
        **({"loss_change": rest} if curves else {}),
    )


def _last_change(loss: tuple[float, ...]) -> float:
    """Change of the loss over the last 10 steps, as a part of its range."""
    span = max(loss) - min(loss)
    last = loss[-11:]
    return abs(last[-1] - last[0]) / span if span > 0 else 0.0


CHECKS = (
    Check(
        "C6", "Many steps beat one", "quick",
        "take more steps or another step size: an iterative attack that loses to one step does "
        "not follow its gradient",
        iterative_beats_one_step, _one_step_trials,
    ),
    Check(
        "C7", "Success grows with the budget", "quick",
        "look for a step size that does not grow with eps, or gradients that mislead",
        monotone_in_eps, _budget_trials,
    ),
    Check(
        "C8", "An unbounded attack succeeds", "quick",
        "gradients are masked: attack through another surrogate before reporting anything",
        unbounded, _unbounded_trials,
    ),
    Check(
        "C9", "The attack has converged", "standard",
        "raise max_iter and num_random_init until the accuracy stands still",
        convergence, _doubled_trials,
    ),
)  # fmt: skip
