"""What a check is, and what it finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from art_disc.core.records import AttackOutcome
from art_disc.core.showing import Shown
from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.planned import PlannedTrial


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check's function returns."""

    status: str
    summary: str
    example_ids: tuple[int, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)


def judged(holds: bool, summary: str, example_ids: Sequence[int] = (), **numbers: float) -> Finding:
    """Pass, or fail on these examples."""
    status, ids = ("pass", ()) if holds else ("fail", tuple(example_ids))
    return Finding(status, summary, ids, numbers)


def passed(summary: str, **numbers: float) -> Finding:
    """The condition holds."""
    return judged(True, summary, (), **numbers)


def failed(summary: str, example_ids: Sequence[int] = (), **numbers: float) -> Finding:
    """The condition does not hold."""
    return judged(False, summary, example_ids, **numbers)


def not_run(why: str) -> Finding:
    """It could not be looked at."""
    return Finding("not run", why)


def lost_to(unfinished: Sequence[AttackOutcome]) -> Finding | None:
    """It could not be looked at, for the first of these attacks did not finish."""
    return next((not_run(f"{o.attack}: {o.status}: {o.reason}") for o in unfinished), None)


def no_reference(ctx: Context) -> str:
    """Why what needs the adversarially trained network cannot run; "" where there is one."""
    if ctx.reference is not None:
        return ""
    return (
        "no adversarially trained network was given; train one, training.train(..., adversary="
        "Adversary(eps)), and give it: reference=network (--reference FILE)"
    )


@dataclass(frozen=True, slots=True)
class Check(Shown):
    """One check.

    Attributes:
        id: One of `options.IDS`.
        title: What it looks at.
        tier: The first tier that it belongs to.
        cure: What to do if it fails.
        judge: Looks at the finished run.
        trials: Attacks that it needs.
        unable: Why it cannot run, with the cure, where that is known before the run; else "".
    """

    id: str
    title: str
    tier: str
    cure: str
    judge: Callable[[Context], Finding]
    trials: Callable[[Context], list[PlannedTrial]] | None = None
    unable: Callable[[Context], str] = lambda _: ""
