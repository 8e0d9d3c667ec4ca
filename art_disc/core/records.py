"""What a run leaves behind: frozen records, written as versioned JSON.

Counts and per-example outcomes are stored, never percentages alone, so that any table can be made
again from the record. Reports read records and nothing else.
"""

import dataclasses
import json
import platform
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Self

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_json, write_json
from art_disc.core.intervals import clopper_pearson_lower, wilson_interval

SCHEMA_VERSION = 1
KNOWLEDGE = ("none", "base", "bpda")
VERDICTS = ("certified", "falsified", "undecided")

Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of a total, with its 95% Wilson interval."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """Share in [0, 1]."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Two-sided 95% Wilson limits in [0, 1]."""
        return wilson_interval(self.count, self.total)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} [{low:.2%}, {high:.2%}] of {self.total}"


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """One attack at one budget, scored on one model.

    Attributes:
        attack: Name of the attack's row, `pgd` or the class name of the user's own.
        scored_on: `base` or `defended`: the model whose predictions are counted.
        knowledge: What the attacker knew: `none` (queries only), `base` (gradients of the
            undefended network) or `bpda` (white box, gradients through the surrogate).
        surrogate: Name of the backward pass, None where no surrogate is differentiated.
        norm: `inf` or `2`.
        eps: Budget in the classifier's input range.
        status: `done`, or `skipped` or `failed` with a `reason`.
        correct: For each example, whether the model is still right; empty unless done.
        perturbation: For each example, the norm of the change really made.
        gradients: Gradients of the network asked for, counted per image.
        queries: Forward passes without a gradient, counted per image.
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
    gradients: int = 0
    queries: int = 0
    seconds: float = 0.0

    @property
    def share(self) -> Share:
        """Examples on which the model is still right."""
        return Share(sum(self.correct), len(self.correct))


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and when a record was made."""

    created: str
    art_disc: str
    python: str
    platform: str
    packages: dict[str, str]
    device: str = "cpu"
    threads: int = 1

    @classmethod
    def here(cls, *, device: str = "cpu", threads: int = 1) -> Self:
        """Describe this process."""
        from art_disc import __version__

        names = ("adversarial-robustness-toolbox", "numpy", "scikit-learn", "scipy", "torch")
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            art_disc=__version__,
            python=platform.python_version(),
            platform=f"{sys.platform} {platform.machine()}",
            packages={name: metadata.version(name) for name in names},
            device=device,
            threads=threads,
        )


class _Record:
    """Reading and writing shared by the records that are files of their own."""

    __slots__ = ()
    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the kind and the version of the format."""
        body = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {"kind": self.kind, "schema_version": SCHEMA_VERSION, **body}

    def save(self, path: str | Path) -> Path:
        """Write the record as JSON, in one step: a reader never sees half a file."""
        return write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a record.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: Not JSON, not this kind of record, or of another version.
        """
        return cls.from_dict(read_json(path), where=str(path))

    @classmethod
    def from_dict(cls, data: Any, *, where: str = "record") -> Self:
        """Build the record from what `to_dict` gave.

        Raises:
            FileFormatError: Another kind, another version, or fields that do not fit.
        """
        if not isinstance(data, dict) or data.get("kind") != cls.kind:
            msg = f"{where} is no {cls.kind} record of art_disc"
            raise FileFormatError(msg)
        if data.get("schema_version") != SCHEMA_VERSION:
            msg = (
                f"{where} has schema version {data.get('schema_version')!r}, this release reads "
                f"{SCHEMA_VERSION}; run the evaluation again"
            )
            raise FileFormatError(msg)
        body = {k: v for k, v in data.items() if k not in ("kind", "schema_version")}
        try:
            return cls(**cls._decode(body))
        except (TypeError, KeyError, AttributeError) as error:
            msg = f"{where} is a damaged {cls.kind} record: {error}"
            raise FileFormatError(msg) from error

    @classmethod
    def _decode(cls, body: dict[str, Any]) -> dict[str, Any]:
        body["environment"] = Environment(**body["environment"])
        return _with_tuples(body)


def _with_tuples(body: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}


@dataclass(frozen=True, slots=True)
class EvaluationRecord(_Record):
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

    @classmethod
    def _decode(cls, body: dict[str, Any]) -> dict[str, Any]:
        decoded = super()._decode(body)
        decoded["histogram"] = tuple(tuple(row) for row in body["histogram"])
        outcomes: list[dict[str, Any]] = body["outcomes"]
        decoded["outcomes"] = tuple(AttackOutcome(**_with_tuples(row)) for row in outcomes)
        return decoded

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
        tolerance = 1e-6 * max(self.clip_values)
        for outcome in self.select(scored_on=model):
            if outcome.knowledge not in knowledge:
                continue
            for i, (right, size) in enumerate(
                zip(outcome.correct, outcome.perturbation, strict=True)
            ):
                alive[i] = alive[i] and (right or size > eps + tolerance)
        return tuple(alive)

    def worst(self, eps: float, *, model: str = "defended") -> Share:
        """Share of examples that no attack broke within `eps`."""
        alive = self.survives(eps, model=model)
        return Share(sum(alive), len(alive))

    def breakers(self, eps: float) -> dict[str, int]:
        """For each attack on the defended model, how many examples it alone broke at `eps`."""
        rows = self.select(scored_on="defended", eps=eps)
        alone: dict[str, int] = {}
        for i, right in enumerate(self.defended_correct):
            hits = {row.attack for row in rows if right and not row.correct[i]}
            if len(hits) == 1:
                name = hits.pop()
                alone[name] = alone.get(name, 0) + 1
        return alone


@dataclass(frozen=True, slots=True)
class CertificateRecord(_Record):
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


def dumps(record: EvaluationRecord | CertificateRecord) -> str:
    """Return the record as one line of JSON."""
    return json.dumps(record.to_dict(), allow_nan=False)
