"""What a run leaves behind: frozen records, written as versioned JSON.

Counts and per-example outcomes are stored, never percentages alone, so that any table can be made
again from the record. Reports read records and nothing else.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_json
from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.record_base import (
    SCHEMA_VERSION,
    Environment,
    Record,
    Setting,
    Share,
    with_tuples,
)

__all__ = [
    "KNOWLEDGE",
    "SCHEMA_VERSION",
    "VERDICTS",
    "AttackOutcome",
    "CertificateRecord",
    "Environment",
    "EvaluationRecord",
    "Setting",
    "Share",
    "load_record",
]

KNOWLEDGE = ("none", "base", "bpda")
VERDICTS = ("certified", "falsified", "undecided")


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """One attack at one budget, scored on one model.

    Attributes:
        attack: Name of the attack's row, `pgd` or the class name of the user's own.
        scored_on: `base` or `defended`: the model whose predictions are counted.
        knowledge: What the attacker knew: `none` (no gradients of this network), `base` (gradients
            of the undefended network) or `bpda` (white box, gradients through the surrogate).
        surrogate: Name of the backward pass, None where no surrogate is differentiated.
        norm: `inf` or `2`.
        eps: Budget in the classifier's input range.
        status: `done`, or `skipped` or `failed` with a `reason`.
        correct: For each example, whether the model is still right; empty unless done. An example
            that is wrong without any change is wrong here, with a perturbation of 0.
        perturbation: For each example, the norm of the change really made.
        tolerance: Rounding by which a perturbation may exceed a budget, in the input range.
        gradients: Backward passes through the network, counted per image.
        queries: Forward passes that no gradient was taken of, counted per image.
    """

    attack: str
    scored_on: str
    knowledge: str
    surrogate: str | None
    norm: str
    eps: float
    targeted: bool
    settings: dict[str, Setting]
    seed: int
    status: str = "done"
    reason: str = ""
    correct: tuple[bool, ...] = ()
    perturbation: tuple[float, ...] = ()
    tolerance: float = 1e-6
    gradients: int = 0
    queries: int = 0
    seconds: float = 0.0

    def breaks(self, eps: float) -> tuple[bool, ...]:
        """For each example, whether it was broken by a change of at most `eps`."""
        return tuple(
            not right and size <= eps + self.tolerance
            for right, size in zip(self.correct, self.perturbation, strict=True)
        )

    @property
    def share(self) -> Share:
        """Examples that were not broken within the row's own budget."""
        return Share(len(self.correct) - sum(self.breaks(self.eps)), len(self.correct))


@dataclass(frozen=True, slots=True)
class EvaluationRecord(Record):
    """An evaluation: who was attacked, how, and what became of every example.

    Attributes:
        dataset: `name`, `source`, `n_test` and whatever identifies the examples.
        example_ids: Index of each example in the data set's test split.
        labels: True class of each example.
        network: `name`, `parameters` (count), `weights` (content hash), `training`.
        defences: One readable line a defence, in the order in which they are applied.
        codebook: `name`, `metric`, `codewords` (k lists of c values in [0, 1]), or empty.
        histogram: 256 counts of 8-bit pixel values for each channel of the training images.
        eps: Budgets of the curve, rising, in the classifier's input range.
        clip_values: The classifier's input range.
        base_correct, defended_correct: For each example, whether the clean prediction is right.
        outcomes: One entry for each attack, budget, knowledge and surrogate.
        complete: False if the run was interrupted; what it finished is here.
        certificates: One for each budget, over the same examples, where they were asked for.
    """

    kind: ClassVar[str] = "evaluation"

    dataset: dict[str, Setting]
    example_ids: tuple[int, ...]
    labels: tuple[int, ...]
    network: dict[str, Setting]
    defences: tuple[str, ...]
    codebook: dict[str, Any]
    histogram: tuple[tuple[int, ...], ...]
    norm: str
    eps: tuple[float, ...]
    clip_values: tuple[float, ...]
    seed: int
    base_correct: tuple[bool, ...]
    defended_correct: tuple[bool, ...]
    outcomes: tuple[AttackOutcome, ...]
    environment: Environment
    complete: bool = True
    settings: dict[str, Setting] = field(default_factory=dict)
    certificates: "tuple[CertificateRecord, ...]" = ()

    @classmethod
    def _decode(cls, body: dict[str, Any]) -> dict[str, Any]:
        # a class with slots is made twice: a bare super() would mean the first one
        decoded = super(EvaluationRecord, cls)._decode(body)
        decoded["histogram"] = tuple(tuple(row) for row in body["histogram"])
        outcomes: list[dict[str, Any]] = body["outcomes"]
        decoded["outcomes"] = tuple(AttackOutcome(**with_tuples(row)) for row in outcomes)
        decoded["certificates"] = tuple(
            CertificateRecord(**CertificateRecord._decode(dict(row)))
            for row in body["certificates"]
        )
        return decoded

    def contradictions(self) -> tuple[tuple[int, float], ...]:
        """Examples that are certified at a budget and yet broken within it.

        Each is (position of the example, budget of the certificate). There must be none: one
        alone means that certificate or defence is not what it claims to be.
        """
        found = []
        for certificate in self.certificates:
            # the certificate's box is wider than this by its allowance for float32 rounding
            within = certificate.eps + 1e-7 * max(self.clip_values)
            for i, verdict in enumerate(certificate.verdicts):
                if verdict == "certified" and any(
                    not row.correct[i] and row.norm == "inf" and row.perturbation[i] <= within
                    for row in self.select(scored_on="defended")
                ):
                    found.append((i, certificate.eps))
        return tuple(found)

    def clean(self, model: str = "defended") -> Share:
        """Clean accuracy of `base` or `defended`."""
        correct = self.base_correct if model == "base" else self.defended_correct
        return Share(sum(correct), len(correct))

    def select(self, **wanted: object) -> tuple[AttackOutcome, ...]:
        """Return the finished outcomes whose attributes equal those given."""
        return tuple(
            outcome
            for outcome in self.outcomes
            if outcome.status == "done"
            and all(getattr(outcome, name) == value for name, value in wanted.items())
        )

    def survives(
        self, eps: float, *, model: str = "defended", knowledge: tuple[str, ...] = KNOWLEDGE
    ) -> tuple[bool, ...]:
        """Per-example worst over all attacks whose change of the example is within `eps`.

        An example counts as broken if its clean prediction is wrong, or if any attack, also one
        run at a smaller budget, broke it with a perturbation of at most `eps`.
        """
        alive = list(self.base_correct if model == "base" else self.defended_correct)
        for outcome in self.select(scored_on=model):
            if outcome.knowledge in knowledge:
                broken = outcome.breaks(eps)
                alive = [ok and not hit for ok, hit in zip(alive, broken, strict=True)]
        return tuple(alive)

    def worst(
        self, eps: float, *, model: str = "defended", knowledge: tuple[str, ...] = KNOWLEDGE
    ) -> Share | None:
        """Share of examples that no attack broke within `eps`.

        None where no such attack finished at that budget: without this a budget that was never
        attacked would show the clean accuracy.
        """
        finished = self.select(scored_on=model, eps=eps)
        if not any(outcome.knowledge in knowledge for outcome in finished):
            return None
        alive = self.survives(eps, model=model, knowledge=knowledge)
        return Share(sum(alive), len(alive)) if alive else None

    def breakers(self, eps: float) -> dict[str, int]:
        """For each attack on the defended model, how many examples it alone broke within `eps`."""
        rows = [(row.attack, row.breaks(eps)) for row in self.select(scored_on="defended")]
        alone: dict[str, int] = {}
        for i, right in enumerate(self.defended_correct):
            hits = {attack for attack, broken in rows if right and broken[i]}
            if len(hits) == 1:
                name = hits.pop()
                alone[name] = alone.get(name, 0) + 1
        return alone


@dataclass(frozen=True, slots=True)
class CertificateRecord(Record):
    """Verdicts of one certificate at one budget.

    Attributes:
        method: How it was decided, `enumeration`.
        assumes: What the verdicts hold for: threat model, input range, ties, float error.
        verdicts: `certified`, `falsified` or `undecided` for each example.
        reasons: Why an example is undecided; empty otherwise.
        free_pixels: For each example, the pixels that can reach more than one codeword.
        log2_images: For each example, log2 |S(x)|, the number of reachable code images.
        evaluated: For each example, the code images really classified.
    """

    kind: ClassVar[str] = "certificate"

    method: str
    eps: float
    assumes: str
    settings: dict[str, Setting]
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]
    free_pixels: tuple[int, ...]
    log2_images: tuple[float, ...]
    evaluated: tuple[int, ...]
    seconds: float
    environment: Environment

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
        """Exact one-sided lower limit of the certified accuracy on the data's distribution.

        Holds with probability `confidence` over an i.i.d. test sample (Clopper and Pearson); it
        replaces Proposition 2 of Chen et al. 2018, whose printed factor is no lower limit.
        """
        return clopper_pearson_lower(self.count("certified"), len(self.verdicts), confidence)


def load_record(path: str | Path) -> EvaluationRecord | CertificateRecord:
    """Read a record of either kind.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Not a record of this package.
    """
    data = read_json(path)
    kind = data.get("kind") if isinstance(data, dict) else None
    for record in (EvaluationRecord, CertificateRecord):
        if record.kind == kind:
            return record.from_dict(data, where=str(path))
    msg = f"{path} is no record of art_disc"
    raise FileFormatError(msg)
