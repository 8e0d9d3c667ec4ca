"""The record of an evaluation: who was attacked, how, and what became of every example."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.certificate import CertificateRecord
from art_disc.core.records.fields import Count, Finite, NonNegative, Setting
from art_disc.core.records.outcomes import CHECK_TIERS, KNOWLEDGE, AttackOutcome, CheckResult, Norm
from art_disc.core.records.rules import check_length, check_most, like, one_of, plain, rising


@dataclass(frozen=True, slots=True)
class EvaluationRecord(Record, kind="evaluation"):
    """An evaluation: who was attacked, how, and what became of every example.

    Attributes:
        dataset: `name`, `source`, `n_test` and whatever identifies the examples.
        example_ids: Index of each example in the data set's test split.
        labels: True class of each example.
        network: `name`, `parameters` (count), `weights` (content hash), `training`.
        codebook: `name`, `metric`, `codewords` (k lists of c values in [0, 1]), or empty; `then`
            lists the same of the codebooks that follow in a chain.
        histogram: 256 counts of 8-bit pixel values for each channel of the training images.
        eps: Budgets of the curve, rising, in the classifier's input range.
        clip_values: The classifier's input range.
        base_correct, defended_correct: For each example, whether the clean prediction is right;
            the first is empty where the network takes encoded images, so that there is no base.
        outcomes: One entry for each attack, budget, knowledge and surrogate.
        complete: False if the run was interrupted; what it finished is here.
        certificates: One for each budget, over the same examples, where they were asked for.
        reference: The adversarially trained network that the defence is compared with, described
            as `network` is; empty where there is none.
        reference_correct: For each example, whether its clean prediction is right.
        checks: What the checks of the evaluation found, in the order of their numbers.
        checks_tier: `quick`, `standard`, `full`, or empty where no checks were asked for.
    """

    dataset: dict[str, Setting]
    example_ids: Annotated[tuple[Count, ...], like("labels")]
    labels: tuple[Count, ...]
    network: dict[str, Setting]
    defences: tuple[str, ...]
    codebook: Annotated[dict[str, Any], plain]
    histogram: tuple[tuple[Count, ...], ...]
    norm: Norm
    eps: Annotated[tuple[NonNegative, ...], rising]
    clip_values: Annotated[tuple[Finite, ...], rising]
    seed: int
    base_correct: Annotated[tuple[bool, ...], like("labels", optional=True)]
    defended_correct: Annotated[tuple[bool, ...], like("labels", optional=True)]
    outcomes: tuple[AttackOutcome, ...]
    environment: Environment
    complete: bool = True
    settings: dict[str, Setting] = field(default_factory=dict)
    certificates: tuple[CertificateRecord, ...] = ()
    reference: dict[str, Setting] = field(default_factory=dict)
    reference_correct: Annotated[tuple[bool, ...], like("labels", optional=True)] = ()
    checks: tuple[CheckResult, ...] = ()
    checks_tier: Annotated[str, one_of(("", *CHECK_TIERS))] = ""

    def check(self) -> None:
        """Refuse predictions, outcomes and certificates of other examples."""
        n = len(self.labels)
        # a run that was stopped before any prediction has none
        if self.complete or self.defended_correct:
            check_length(self.defended_correct, n, "defended_correct", "labels")
        for i, row in enumerate(self.outcomes):
            if row.positions:
                check_most(row.positions, n - 1, f"outcomes[{i}].positions", "labels")
            elif row.status == "done":
                check_length(row.correct, n, f"outcomes[{i}].correct", "labels")
        for i, certificate in enumerate(self.certificates):
            check_length(certificate.verdicts, n, f"certificates[{i}].verdicts", "labels")

    def contradictions(self) -> tuple[tuple[int, float], ...]:
        """Examples that are certified at a budget and yet broken within it.

        Each is (position of the example, budget of the certificate). There must be none: one
        alone means that certificate or defence is not what it claims to be.
        """
        found = []
        for certificate in self.certificates:
            sure = np.array([verdict == "certified" for verdict in certificate.verdicts])
            hit = np.zeros(len(sure), dtype=bool)
            # the certificate's box is wider than this by its allowance for float32 rounding
            within = certificate.eps + 1e-7 * max(self.clip_values)
            for row in self.select(scored_on="defended", norm="inf"):
                wrong = ~np.array(row.correct) & (np.array(row.perturbation) <= within)
                hit[np.array(row.positions)[wrong] if row.positions else wrong] = True
            found += [(int(i), certificate.eps) for i in np.flatnonzero(sure & hit)]
        return tuple(found)

    @property
    def sequential(self) -> bool:
        """Whether attacks had only the examples that stood before them; see `evaluate`."""
        return bool(self.settings.get("sequential", False))

    def clean(self, model: str = "defended") -> Share:
        """Clean accuracy of `base`, `defended` or `reference`."""
        return Share.of(self._correct(model))

    def _correct(self, model: str) -> tuple[bool, ...]:
        rows = {"base": self.base_correct, "reference": self.reference_correct}
        return rows.get(model, self.defended_correct)

    def select(self, **wanted: object) -> tuple[AttackOutcome, ...]:
        """Return the finished outcomes whose attributes equal those given."""
        return tuple(
            outcome
            for outcome in self.outcomes
            if outcome.status == "done"
            and all(getattr(outcome, name) == value for name, value in wanted.items())
        )

    def survives(
        self,
        eps: float,
        *,
        model: str = "defended",
        knowledge: tuple[str, ...] = KNOWLEDGE,
        grid: bool = False,
    ) -> tuple[bool, ...]:
        """Per-example worst over all attacks whose change of the example is within `eps`.

        An example counts as broken if its clean prediction is wrong, or if any attack, also one
        run at a smaller budget or on a part of the examples, broke it with a perturbation of at
        most `eps`.

        Args:
            eps: Budget.
            model: `base`, `defended` or `reference`.
            knowledge: Kinds of attacker that count.
            grid: Count adversarial images only after rounding to the 8-bit grid.
        """
        alive = np.array(self._correct(model), dtype=bool)
        for outcome in self.select(scored_on=model):
            if outcome.knowledge in knowledge:
                alive[outcome.broken_positions(eps, grid=grid)] = False
        return tuple(alive.tolist())

    def worst(
        self,
        eps: float,
        *,
        model: str = "defended",
        knowledge: tuple[str, ...] = KNOWLEDGE,
        grid: bool = False,
    ) -> Share | None:
        """Share of examples that no attack broke within `eps`.

        None where no such attack finished on all examples at that budget: without this a budget
        that was never attacked would show the clean accuracy.
        """
        if not any(
            row.knowledge in knowledge and not row.positions and (row.grid_correct or not grid)
            for row in self.select(scored_on=model, eps=eps)
        ):
            return None
        alive = self.survives(eps, model=model, knowledge=knowledge, grid=grid)
        return Share.of(alive) if alive else None

    def broken_by(self, eps: float, *, model: str = "defended") -> tuple[tuple[str, ...], ...]:
        """For each example, the attacks that broke it within `eps`, in alphabetical order.

        Empty for what no attack broke, and for what is wrong without any change.
        """
        hits: list[set[str]] = [set() for _ in self.labels]
        for row in self.select(scored_on=model):
            for i in row.broken_positions(eps):
                hits[i].add(row.attack)
        right = self._correct(model)
        return tuple(tuple(sorted(h)) if ok else () for h, ok in zip(hits, right, strict=True))

    def breakers(self, eps: float) -> dict[str, int]:
        """For each attack on the defended model, how many examples it alone broke within `eps`."""
        return dict(Counter(hit[0] for hit in self.broken_by(eps) if len(hit) == 1))

    @property
    def failed(self) -> tuple[AttackOutcome, ...]:
        """Rows of attacks that began and did not end."""
        return tuple(row for row in self.outcomes if row.status == "failed")

    @property
    def verdict(self) -> str:
        """`flawed`, `incomplete`, `complete` or `unchecked`: the worst of the checks.

        `complete` says that no flaw was found by these checks, and that every attack of the plan
        ran or was left out with a reason; no verdict says more.
        """
        statuses = {check.status for check in self.checks}
        if "fail" in statuses:
            return "flawed"
        if not statuses:
            return "unchecked"
        whole = self.complete and "not run" not in statuses and not self.failed
        return "complete" if whole else "incomplete"
