"""Which checks belong to a tier, the attacks that they need, and their results."""

import math
import time
from dataclasses import asdict

from tqdm import tqdm

from art_disc.core.records import CheckResult
from art_disc.core.records.outcomes import CHECK_TIERS
from art_disc.evaluation.checks import breadth, planted, randomness, results, setup, strength
from art_disc.evaluation.checks.base import Check, Finding, lost_to, not_run
from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.checks.options import Thresholds
from art_disc.evaluation.planned import PlannedTrial

_MODULES = (setup, strength, breadth, randomness, planted, results)
TABLE: tuple[Check, ...] = tuple(
    sorted((check for part in _MODULES for check in part.CHECKS), key=lambda c: int(c.id[1:]))
)


def of_tier(tier: str) -> list[Check]:
    """Return the checks of a tier; each tier contains the one before."""
    return [c for c in TABLE if CHECK_TIERS.index(c.tier) <= CHECK_TIERS.index(tier)]


def check_trials(ctx: Context) -> list[PlannedTrial]:
    """Return the attacks that the checks of the context's tier ask for."""
    asked = (check for check in of_tier(ctx.options.tier) if _wanted(check, ctx))
    return [trial for check in asked if check.trials is not None for trial in check.trials(ctx)]


def cannot_run(ctx: Context | None) -> list[str]:
    """Say which checks cannot run, as is known before the run, one line a reason."""
    names: dict[str, list[str]] = {}
    for check in [] if ctx is None else of_tier(ctx.options.tier):
        if ctx is not None and _wanted(check, ctx) and (why := check.unable(ctx)):
            names.setdefault(why, []).append(check.id)
    return [f"not run: {', '.join(who)}: {why}" for why, who in names.items()]


def run_checks(ctx: Context, *, verbose: bool) -> tuple[CheckResult, ...]:
    """Judge the finished run by every check of the tier."""
    found = []
    usual = asdict(Thresholds())
    changed = [f"{k} {v:g}" for k, v in asdict(ctx.thresholds).items() if v != usual[k]]
    note = f" [thresholds changed: {', '.join(changed)}]" if changed else ""
    for check in tqdm(of_tier(ctx.options.tier), desc="checks", disable=not verbose):
        start = time.perf_counter()
        finding = _judge(check, ctx)
        found.append(
            CheckResult(
                id=check.id,
                title=check.title,
                tier=check.tier,
                status=finding.status,
                summary=finding.summary + note,
                cure=check.cure,
                example_ids=finding.example_ids,
                # what is NaN or infinite is in the summary's words; a record holds numbers
                numbers={k: float(v) for k, v in finding.numbers.items() if math.isfinite(v)},
                seconds=round(time.perf_counter() - start, 3),
            )
        )
    return tuple(found)


def _wanted(check: Check, ctx: Context) -> bool:
    return not ctx.options.only or check.id in ctx.options.only


def _judge(check: Check, ctx: Context) -> Finding:
    if not _wanted(check, ctx):
        return not_run("not asked for")
    try:
        finding = check.judge(ctx)
        asked = ctx.of(check.trials(ctx)) if check.trials else []
        lost = lost_to([o for o in asked if o.status != "done"])
        return lost if lost is not None and finding.status == "pass" else finding
    except Exception as error:  # noqa: BLE001 - user code: its error must not lose the run, nor pass a check
        return not_run(f"{type(error).__name__}: {error}")
