"""What certificates by divergence leave behind."""

from dataclasses import dataclass
from typing import Any, ClassVar

from art_disc.core.errors import InputError
from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records.base import Environment, Record, Setting, Share
from art_disc.core.records.certificate import VERDICTS


def corrected_limit(certified: int, total: int, confidence: float, sampling: float) -> float:
    """Lower limit of the share of a distribution's images that is really robust.

    A verdict is wrong with probability at most 1 - `confidence`, so the share of images that are
    certified exceeds the share that is robust by no more than that on average; the former has an
    exact limit (Clopper, Pearson 1934).

    Args:
        certified: Images certified.
        total: Images, i.i.d. from the distribution.
        confidence: Of each verdict.
        sampling: Confidence of the limit.

    Raises:
        InputError: A number outside its range.
    """
    limit = clopper_pearson_lower(certified, total, sampling)
    return max(0.0, limit - (1 - confidence))


@dataclass(frozen=True, slots=True)
class DivergenceRecord(Record):
    """Verdicts of a certificate by divergence at one budget.

    Attributes:
        bound: `tight`, `pinsker` or `smoothing`.
        eps: l_inf budget in the classifier's input range.
        confidence: With which each single `certified` holds.
        draws: Votes an image.
        assumes: What the verdicts hold for.
        settings: How they came about.
        verdicts: `certified` or `undecided` for each example; nothing is falsified.
        reasons: Why an example is undecided; empty otherwise.
        votes: For each example, the votes of its label.
        lowest: For each example, the least probability of its label that any change within eps can
            leave (a lower bound).
        divergence: For each example, the bound of KL(clean || perturbed) in nats.
        gap: For each example, the least lead of its label's probability under attack, 0 where none
            is known; see `votes_for_gap`.
    """

    kind: ClassVar[str] = "divergence certificate"

    bound: str
    eps: float
    confidence: float
    draws: int
    assumes: str
    settings: dict[str, Setting]
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]
    votes: tuple[int, ...]
    lowest: tuple[float, ...]
    divergence: tuple[float | None, ...]
    gap: tuple[float, ...]
    seconds: float
    environment: Environment

    @property
    def method(self) -> str:
        """How it was decided."""
        return "divergence"

    def count(self, verdict: str) -> int:
        """Number of examples with this verdict.

        Raises:
            InputError: No such verdict.
        """
        if verdict not in VERDICTS:
            msg = f"verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}"
            raise InputError(msg)
        return self.verdicts.count(verdict)

    @property
    def certified_accuracy(self) -> float:
        """Share of all examples that is certified; the undecided count against us."""
        return self.count("certified") / len(self.verdicts)

    def lower_limit(self, confidence: float = 0.99) -> float:
        """Lower limit of the robust accuracy on the data's distribution; see `corrected_limit`."""
        total = len(self.verdicts)
        return corrected_limit(self.count("certified"), total, self.confidence, confidence)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One budget and one bound of a curve.

    Attributes:
        eps: l_inf budget in the classifier's input range.
        bound: `tight`, `pinsker` or `smoothing`.
        certified: Images certified.
        total: Images.
        limit: 99 % lower limit of the robust accuracy on the data's distribution.
    """

    eps: float
    bound: str
    certified: int
    total: int
    limit: float

    @property
    def share(self) -> float:
        """Certified accuracy on these images."""
        return self.certified / self.total


@dataclass(frozen=True, slots=True)
class AttackedPoint:
    """What an attack left at one budget of a curve.

    Attributes:
        eps: l_inf budget in the classifier's input range.
        right: Images whose label has, on fresh draws, more votes than any other class.
        total: Images.
        contradicted: Certified images where these votes prove that the attack won; more than 0
            means that an assumption does not hold.
    """

    eps: float
    right: int
    total: int
    contradicted: int

    @property
    def share(self) -> Share:
        """Empirical robust accuracy."""
        return Share(self.right, self.total)


@dataclass(frozen=True, slots=True)
class CertifiedCurve(Record):
    """Certified accuracy over budgets, all of it from the same votes.

    The limits of an image's class probabilities hold for all budgets and bounds together.

    Attributes:
        points: One for each bound and budget.
        clean: Images whose label has more votes than any other class.
        total: Images.
        confidence: With which each single verdict holds.
        draws: Votes an image.
        assumes: What the verdicts hold for.
        settings: How they came about.
        vacuous: For each bound of a defence with adaptive centres, as text, from which budget it
            certifies nothing; empty for others.
        attacked: What an attack left at each budget; empty where none was made.
        attack: The attack in words.
    """

    kind: ClassVar[str] = "certified curve"

    points: tuple[CurvePoint, ...]
    clean: int
    total: int
    confidence: float
    draws: int
    assumes: str
    settings: dict[str, Setting]
    vacuous: tuple[str, ...]
    seconds: float
    environment: Environment
    attacked: tuple[AttackedPoint, ...] = ()
    attack: str = ""

    @property
    def bounds(self) -> tuple[str, ...]:
        """Names of the bounds, in the order of the points."""
        return tuple(dict.fromkeys(point.bound for point in self.points))

    def line(self, bound: str) -> tuple[CurvePoint, ...]:
        """Points of one bound, by budget."""
        return tuple(sorted((p for p in self.points if p.bound == bound), key=lambda p: p.eps))

    @classmethod
    def _decode(cls, body: dict[str, Any]) -> dict[str, Any]:
        # a class with slots is made twice: a bare super() would mean the first one
        decoded = super(CertifiedCurve, cls)._decode(body)
        decoded["points"] = tuple(CurvePoint(**point) for point in body["points"])
        decoded["attacked"] = tuple(AttackedPoint(**p) for p in body.get("attacked", ()))
        return decoded
