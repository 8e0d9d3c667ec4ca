"""Two evaluations of the same examples, side by side and pair by pair."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import InputError
from art_disc.core.intervals import mcnemar, paired_difference
from art_disc.core.records import EvaluationRecord
from art_disc.core.records.base import SCHEMA_VERSION, Share
from art_disc.core.records.outcomes import CHECK_TIERS
from art_disc.core.showing import Shown
from art_disc.report.reading import dataset_name, network_name
from art_disc.report.table import Table
from art_disc.report.verdict import verdict_title

CONFIDENCE = 0.95
METHOD = (
    "Difference: a minus b, with the 95% interval of Newcombe (1998, method 10) for paired shares, "
    "made of Wilson's. p: exact two-sided McNemar test on the examples that differ. Neither is "
    "corrected for looking at several budgets."
)


@dataclass(frozen=True, slots=True)
class ComparedPairs:
    """How many of the same examples each run left correct at one budget.

    Attributes:
        eps: Budget; 0 is the clean accuracy.
        both, only_a, only_b, neither: Examples correct under both runs, one, or none.
    """

    eps: float
    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def total(self) -> int:
        """Number of examples."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def a(self) -> Share:
        """Share of the first run."""
        return Share(self.both + self.only_a, self.total)

    @property
    def b(self) -> Share:
        """Share of the second run."""
        return Share(self.both + self.only_b, self.total)

    @property
    def difference(self) -> float:
        """Share of the first less that of the second, in [-1, 1]."""
        return (self.only_a - self.only_b) / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the difference (Newcombe 1998, method 10)."""
        counts = (self.both, self.only_a, self.only_b, self.neither)
        return paired_difference(*counts, confidence=CONFIDENCE)

    @property
    def p_value(self) -> float:
        """Exact two-sided McNemar p value."""
        return mcnemar(self.only_a, self.only_b)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and what follows from them in plain JSON types."""
        return {
            **asdict(self),
            "a": self.a.value,
            "b": self.b.value,
            "difference": self.difference,
            "interval_95": list(self.interval),
            "mcnemar_p": self.p_value,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs, in words; its verdict is on the checks that both runs were asked for."""

    name: str
    network: str
    defences: tuple[str, ...]
    verdict: str
    attacks: tuple[str, ...]
    environment: str


@dataclass(frozen=True, slots=True)
class Comparison(Shown):
    """What `compare` found.

    Attributes:
        a, b: The two runs.
        dataset: Name of the data set.
        rows: The clean predictions (eps 0), then each budget that both runs attacked.
        left_out: Budgets that one run alone attacked.
        cautions: Why the two numbers may not be comparable, one line each.
    """

    a: Side
    b: Side
    dataset: str
    rows: tuple[ComparedPairs, ...]
    left_out: tuple[float, ...]
    cautions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison in plain JSON types."""
        head = {"kind": "comparison", "schema_version": SCHEMA_VERSION, "method": METHOD}
        return head | asdict(self) | {"rows": [row.to_dict() for row in self.rows]}

    def __str__(self) -> str:
        lines = [
            (
                f"{row.eps:.4g}" if row.eps else "clean",
                f"{row.a.value:.2%}",
                f"{row.b.value:.2%}",
                f"{100 * row.difference:+.2f}",
                "[{:+.2f}, {:+.2f}]".format(*(100 * limit for limit in row.interval)),
                str(row.only_a),
                str(row.only_b),
                f"{row.p_value:.3g}",
            )
            for row in self.rows
        ]
        heads = ("#eps", "#a", "#b", "#a - b", "#95% interval", "#only a", "#only b", "#McNemar p")
        return "\n".join(
            [
                f"a: {self.a.name} ({self.a.verdict})",
                f"b: {self.b.name} ({self.b.verdict})",
                Table.of("Comparison", "In percentage points", heads, lines).text(),
                *(f"caution: {line}" for line in self.cautions),
            ]
        )


def compare(
    a: EvaluationRecord, b: EvaluationRecord, *, names: tuple[str, str] = ("a", "b")
) -> Comparison:
    """Compare the defended models of two evaluations on the same examples, pair by pair.

    Each verdict is that of the checks which both runs were asked for; cautions name the others.

    Args:
        a: First evaluation; differences are a minus b.
        b: Second evaluation; its examples may stand in another order.
        names: What to call them.

    Raises:
        InputError: Not the same data, examples, labels, norm or input range, or no budget that
            both attacked.
    """
    order = _matched(a, b)
    rows = [_pairs(0.0, a.defended_correct, b.defended_correct, order)]
    left_out = []
    for eps in sorted({*a.eps, *b.eps}):
        if a.worst(eps) is None or b.worst(eps) is None:
            left_out.append(eps)
        else:
            rows.append(_pairs(eps, a.survives(eps), b.survives(eps), order))
    if len(rows) == 1:
        budgets = " and ".join(", ".join(f"{e:g}" for e in r.eps) or "none" for r in (a, b))
        msg = (
            f"no budget was attacked in both runs, their budgets are {budgets}; "
            "evaluate both at the same eps"
        )
        raise InputError(msg)
    verdicts = _verdicts(a, b)
    sides = _side(a, names[0], verdicts[0]), _side(b, names[1], verdicts[1])
    return Comparison(*sides, dataset_name(a), tuple(rows), tuple(left_out), _cautions(a, b, sides))


def _verdicts(a: EvaluationRecord, b: EvaluationRecord) -> tuple[str, str]:
    """Word the verdict of each run on the checks that both were asked for."""
    shared = _ids(a) & _ids(b)
    if not shared and (a.checks or b.checks):
        return ("No check in common",) * 2
    tiers = {check.tier for check in a.checks if check.id in shared}
    tier = max(tiers, key=CHECK_TIERS.index, default="")

    def held(record: EvaluationRecord) -> str:
        checks = tuple(check for check in record.checks if check.id in shared)
        return verdict_title(replace(record, checks=checks, checks_tier=tier))

    return held(a), held(b)


def _ids(record: EvaluationRecord) -> set[str]:
    return {check.id for check in record.checks}


def _matched(a: EvaluationRecord, b: EvaluationRecord) -> NDArray[np.int64]:
    """Return where each example of a stands in b."""
    prints = [record.dataset.get("fingerprint") for record in (a, b)]
    if None in prints:
        msg = "a run without a data fingerprint cannot be matched; run its evaluation again"
        raise InputError(msg)
    for name, one, two in (
        ("data fingerprint", *prints),
        ("norm", a.norm, b.norm),
        ("input range", a.clip_values, b.clip_values),
    ):
        if one != two:
            msg = f"both runs must have the same {name}, got {one} and {two}"
            raise InputError(msg)
    place = {example: i for i, example in enumerate(b.example_ids)}
    once = len(place) == len(a.example_ids) == len(b.example_ids)
    if not once or set(a.example_ids) != set(place):
        shared = len(set(a.example_ids) & set(place))
        msg = (
            f"both runs must be about the same examples, got {len(a.example_ids)} and "
            f"{len(b.example_ids)} of which {shared} are shared; choose the same ones for both"
        )
        raise InputError(msg)
    order = np.array([place[example] for example in a.example_ids], dtype=np.int64)
    if not np.array_equal(np.asarray(a.labels), np.asarray(b.labels)[order]):
        msg = "the labels of the two runs differ for the same example ids; the data changed"
        raise InputError(msg)
    return order


def _pairs(
    eps: float, a: tuple[bool, ...], b: tuple[bool, ...], order: NDArray[np.int64]
) -> ComparedPairs:
    left, right = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)[order]
    counts = (int(np.sum(one & two)) for one in (left, ~left) for two in (right, ~right))
    return ComparedPairs(eps, *counts)


def _side(record: EvaluationRecord, name: str, verdict: str) -> Side:
    made = f"art_disc {record.environment.art_disc}, {record.environment.created}"
    attacks = tuple(sorted({row.attack for row in record.select(scored_on="defended")}))
    return Side(name, network_name(record), record.defences, verdict, attacks, made)


def _cautions(
    a: EvaluationRecord, b: EvaluationRecord, sides: tuple[Side, Side]
) -> tuple[str, ...]:
    cautions = []
    for record, other, side in zip((a, b), (b, a), sides, strict=True):
        # by all of its own checks: what failed is told although the other run was not asked for it
        if record.verdict != "complete":
            cautions.append(f"{side.name}: {verdict_title(record)}. Its numbers may be too good.")
        if alone := [check.id for check in record.checks if check.id not in _ids(other)]:
            cautions.append(
                f"Only {side.name} was asked for {', '.join(alone)}: left out of both verdicts."
            )
        if not record.complete:
            cautions.append(
                f"{side.name} was interrupted; later attacks can only lower its numbers."
            )
    one, two = (set(side.attacks) for side in sides)
    for side, more in ((sides[0], one - two), (sides[1], two - one)):
        if more:
            cautions.append(
                f"Only {side.name} was attacked by {', '.join(sorted(more))}: the other's numbers "
                "are the less tested."
            )
    return tuple(cautions)
