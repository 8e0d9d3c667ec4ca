"""The records of certificates: one verdict an example, and certified accuracy over budgets."""

import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, Finite, NonNegative, Setting, Unit
from art_disc.core.records.rules import check_equal, like, most

VERDICTS = ("certified", "falsified", "undecided")


class Verdicts(Record):
    """What is counted from the verdicts of a certificate, whatever its method."""

    __slots__ = ()
    verdicts: tuple[str, ...]

    def check(self) -> None:
        """Refuse words that are no verdict."""
        for i, verdict in enumerate(self.verdicts):
            check_choice(verdict, f"verdicts[{i}]", VERDICTS)

    def count(self, verdict: str) -> int:
        """Number of examples with this verdict.

        Raises:
            InputError: No such verdict.
        """
        return self.verdicts.count(check_choice(verdict, "verdict", VERDICTS))

    @property
    def certified_accuracy(self) -> float:
        """Share of all examples that is certified; the undecided count against us."""
        return self.count("certified") / len(self.verdicts)

    @property
    def unbroken(self) -> float:
        """Share of all examples that is not falsified: no robust accuracy lies above it."""
        return 1 - self.count("falsified") / len(self.verdicts)


@dataclass(frozen=True, slots=True)
class CertificateRecord(Verdicts, kind="certificate"):
    """Verdicts of one certificate at one budget.

    Attributes:
        method: How it was decided, `enumeration`, `bounds`, `complete`, `solver` or a method of the
            user's.
        assumes: What the verdicts hold for: threat model, input range, ties, float error.
        verdicts: `certified`, `falsified` or `undecided` for each example.
        reasons: Why an example is undecided; empty otherwise.
        free_pixels: For each example, the pixels that can reach more than one codeword.
        log2_images: For each example, log2 |S(x)|, the number of reachable code images.
        evaluated: For each example, the code images really classified.
        noise: Largest difference measured between scores of one example alone, beside its copies,
            beside others and shuffled, in units of its largest score (at least 1).
        margin: By how much of its largest score (at least 1) a class had to win. Older records say
            neither; theirs was 1e-5.
        correct: For each example, whether the clean prediction is its label; older records do not
            say.
        decided_at: For each example whose verdict was carried over from another budget, that
            budget: a larger one where it is certified, another where its witness lies within this
            one too; empty where none was.
    """

    method: str
    eps: NonNegative
    assumes: str
    settings: dict[str, Setting]
    verdicts: tuple[str, ...]
    reasons: Annotated[tuple[str, ...], like("verdicts")]
    free_pixels: Annotated[tuple[Count, ...], like("verdicts")]
    log2_images: Annotated[tuple[NonNegative, ...], like("verdicts")]
    evaluated: Annotated[tuple[Count, ...], like("verdicts")]
    seconds: NonNegative
    environment: Environment
    noise: NonNegative | None = None
    margin: NonNegative | None = None
    correct: Annotated[tuple[bool, ...], like("verdicts", optional=True)] = ()
    decided_at: Annotated[tuple[NonNegative | None, ...], like("verdicts", optional=True)] = ()

    def lower_limit(self, confidence: float = 0.99) -> float:
        """Exact one-sided lower limit of the certified accuracy on the data's distribution.

        Holds with probability `confidence` over an i.i.d. test sample (Clopper and Pearson); it
        replaces Proposition 2 of Chen et al. 2018, whose printed factor is no lower limit.
        """
        return clopper_pearson_lower(self.count("certified"), len(self.verdicts), confidence)

    def unable(self, bits: int) -> int:
        """Number of examples with more than 2^bits reachable code images: those given up by b."""
        return sum(size > bits + 1e-9 for size in self.log2_images)


@dataclass(frozen=True, slots=True)
class CertificateCurveRecord(Record, kind="certificate curve"):
    """Certificates of the same examples over budgets.

    Attributes:
        certificates: One for each budget, rising.
        complete: False if the run was stopped; what it finished is here.
    """

    certificates: tuple[CertificateRecord, ...]
    seconds: NonNegative
    environment: Environment
    complete: bool = True

    def check(self) -> None:
        """Refuse budgets that do not rise, other examples, and verdicts that contradict others."""
        for one, other in itertools.pairwise(self.certificates):
            if not one.eps < other.eps:
                msg = f"budgets of certificates must rise, got {other.eps!r} after {one.eps!r}"
                raise InputError(msg)
            check_equal(len(other.verdicts), len(one.verdicts), "examples at every budget")
            check_equal(other.correct, one.correct, "correct at every budget")
            for i, pair in enumerate(zip(one.verdicts, other.verdicts, strict=True)):
                if pair == ("falsified", "certified"):
                    msg = f"example {i} is falsified at {one.eps} and certified at {other.eps}"
                    raise InputError(msg)

    @property
    def clean(self) -> Share:
        """Clean accuracy."""
        return Share.of(self.certificates[0].correct)


def corrected_limit(certified: int, total: int, confidence: float, sampling: float) -> float:
    """Lower limit of the share of a distribution's images that is really robust.

    A verdict is wrong with probability at most 1 - `confidence`, so the share of images that are
    certified exceeds the share that is robust by no more than that on average; the former has an
    exact limit with confidence `sampling` where the images are i.i.d. (Clopper, Pearson 1934).

    Raises:
        InputError: A number outside its range.
    """
    return max(0.0, clopper_pearson_lower(certified, total, sampling) - (1 - confidence))


@dataclass(frozen=True, slots=True)
class DivergenceRecord(Verdicts, kind="divergence certificate"):
    """Verdicts of a certificate by divergence at one budget.

    Attributes:
        bound: `tight`, `pinsker` or `smoothing`.
        confidence: With which each single `certified` holds.
        draws: Votes an image.
        assumes: What the verdicts hold for.
        verdicts: `certified` or `undecided` for each example; nothing is falsified.
        reasons: Why an example is undecided; empty otherwise.
        votes: For each example, the votes of its label.
        lowest: For each example, the least probability of its label that any change within eps can
            leave (a lower bound); 0 where the votes do not put the label ahead.
        divergence: For each example, the bound of KL(clean || perturbed) in nats; none where it is
            infinite, or was not looked for because the votes do not put the label ahead.
        gap: For each example, the least lead of its label's probability under attack, 0 where none
            is known; see `votes_for_gap`.
    """

    method: ClassVar[str] = "divergence"

    bound: str
    eps: NonNegative
    confidence: Unit
    draws: Count
    assumes: str
    settings: dict[str, Setting]
    verdicts: tuple[str, ...]
    reasons: Annotated[tuple[str, ...], like("verdicts")]
    votes: Annotated[tuple[Count, ...], like("verdicts")]
    lowest: Annotated[tuple[Finite, ...], like("verdicts")]
    divergence: Annotated[tuple[Finite | None, ...], like("verdicts")]
    gap: Annotated[tuple[Finite, ...], like("verdicts")]
    seconds: NonNegative
    environment: Environment

    def lower_limit(self, confidence: float = 0.99) -> float:
        """Lower limit of the robust accuracy on the data's distribution; see `corrected_limit`."""
        certified = self.count("certified")
        return corrected_limit(certified, len(self.verdicts), self.confidence, confidence)


@dataclass(frozen=True, slots=True)
class CurvePoint(Checked):
    """One budget and one bound of a curve.

    Attributes:
        eps: l_inf budget in the classifier's input range.
        bound: `tight`, `pinsker` or `smoothing`.
        certified: Images certified.
        total: Images.
        limit: 99 % lower limit of the robust accuracy on the data's distribution.
    """

    eps: NonNegative
    bound: str
    certified: Annotated[Count, most("total")]
    total: Count
    limit: NonNegative

    @property
    def share(self) -> float:
        """Certified accuracy on these images."""
        return self.certified / self.total


@dataclass(frozen=True, slots=True)
class AttackedPoint(Checked):
    """What an attack left at one budget of a curve.

    Attributes:
        eps: l_inf budget in the classifier's input range.
        right: Images whose label has, on fresh draws, more votes than any other class.
        total: Images.
        contradicted: Certified images where these votes prove that the attack won; more than 0
            means that an assumption does not hold.
    """

    eps: NonNegative
    right: Annotated[Count, most("total")]
    total: Count
    contradicted: Annotated[Count, most("total")]

    @property
    def share(self) -> Share:
        """Empirical robust accuracy."""
        return Share(self.right, self.total)


@dataclass(frozen=True, slots=True)
class CertifiedCurve(Record, kind="certified curve"):
    """Certified accuracy over budgets, all of it from the same votes.

    The limits of an image's class probabilities hold for all budgets and bounds together.

    Attributes:
        points: One for each bound and budget.
        clean: Images whose label has more votes than any other class.
        total: Images.
        confidence: With which each single verdict holds.
        draws: Votes an image.
        assumes: What the verdicts hold for.
        vacuous: For each bound of a defence with adaptive centres, as text, from which budget it
            certifies nothing; empty for others.
        attacked: What an attack left at each budget; empty where none was made.
        attack: The attack in words.
    """

    points: tuple[CurvePoint, ...]
    clean: Annotated[Count, most("total")]
    total: Count
    confidence: Unit
    draws: Count
    assumes: str
    settings: dict[str, Setting]
    vacuous: tuple[str, ...]
    seconds: NonNegative
    environment: Environment
    attacked: tuple[AttackedPoint, ...] = ()
    attack: str = ""

    def check(self) -> None:
        """Refuse points of other images."""
        for name in ("points", "attacked"):
            for i, point in enumerate(getattr(self, name)):
                check_equal(point.total, self.total, f"{name}[{i}].total")

    @property
    def bounds(self) -> tuple[str, ...]:
        """Names of the bounds, in the order of the points."""
        return tuple(dict.fromkeys(point.bound for point in self.points))

    def line(self, bound: str) -> tuple[CurvePoint, ...]:
        """Points of one bound, by budget."""
        return tuple(sorted((p for p in self.points if p.bound == bound), key=lambda p: p.eps))
