"""What a check is, and what it finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.planned import PlannedTrial


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check's function returns."""

    status: str
    summary: str
    example_ids: tuple[int, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)


def passed(summary: str, **numbers: float) -> Finding:
    """The condition holds."""
    return Finding("pass", summary, (), numbers)


def failed(summary: str, example_ids: Sequence[int] = (), **numbers: float) -> Finding:
    """The condition does not hold."""
    return Finding("fail", summary, tuple(int(i) for i in example_ids), numbers)


def not_run(why: str) -> Finding:
    """It could not be looked at."""
    return Finding("not run", why)


def judged(
    holds: bool,
    summary: str,
    example_ids: Sequence[int] = (),
    **numbers: float,
) -> Finding:
    """Pass or fail."""
    return passed(summary, **numbers) if holds else failed(summary, example_ids, **numbers)


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        id: `C1` to `C20`.
        title: What it looks at.
        tier: The first tier that it belongs to.
        cure: What to do if it fails.
        judge: Looks at the finished run.
        trials: Attacks that it needs.
    """

    id: str
    title: str
    tier: str
    cure: str
    judge: Callable[[Context], Finding]
    trials: Callable[[Context], list[PlannedTrial]] | None = None
