"""The record of the attack zoo: every attack of the table against every classifier."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment, Record
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, NonNegative, Setting
from art_disc.core.records.outcomes import NORMS
from art_disc.core.records.rules import check_most, like, most, one_of

CELL_STATUSES = ("lowered", "ran", "refused", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class ZooCell(Checked):
    """One attack on one classifier.

    Attributes:
        attack: Name in the table of attacks.
        art: ART's class; empty where the attack is not ART's.
        defence: Name of the classifier in the record.
        status: `lowered` (the accuracy fell), `ran` (it did not), `refused` (the attack does not
            take such a classifier), `skipped` (a package is missing), `failed` (it raised).
        reason: In words, where it did not run; for a failure ART's own, with file and line.
        expected: It failed in ART's own code and is listed for that.
        gradient_attack: Whether it differentiates the classifier.
        norm: Norm that it worked in, `inf` or `2`, and empty where its change is of no norm.
        eps: Budget in that norm; None where the attack takes none.
        settings: Of the attack.
        total: Examples.
        clean: Those that are right without a change.
        attacked: Of these, those that are right after it, by a fresh prediction; one that a
            bounded attack moved beyond its budget counts as right.
        linf_mean, linf_max, l2_mean, l2_max: Norms of the change, in the input range.
        seconds: What it took.
        gradients, queries: Backward passes, and forward passes without one, counted per image.
        seen_gradients: Gradients at the raw input, counted per image and backward pass.
        zero_gradients: Those of them that were zero in every pixel.
        bypassed: Rows that reached the network without passing the defences.
    """

    attack: str
    art: str
    defence: str
    status: Annotated[str, one_of(CELL_STATUSES)]
    reason: str = ""
    expected: bool = False
    gradient_attack: bool = False
    norm: Annotated[str, one_of(("", *NORMS))] = ""
    eps: NonNegative | None = None
    settings: dict[str, Setting] | None = None
    total: Count = 0
    clean: Annotated[Count, most("total")] = 0
    attacked: Annotated[Count, most("total")] = 0
    linf_mean: NonNegative = 0.0
    linf_max: NonNegative = 0.0
    l2_mean: NonNegative = 0.0
    l2_max: NonNegative = 0.0
    seconds: NonNegative = 0.0
    gradients: Count = 0
    queries: Count = 0
    seen_gradients: Count = 0
    zero_gradients: Annotated[Count, most("seen_gradients")] = 0
    bypassed: Count = 0

    @property
    def finished(self) -> bool:
        """Whether the attack gave adversarial examples."""
        return self.status in ("lowered", "ran")

    @property
    def zero_share(self) -> float | None:
        """Share of zero gradients in [0, 1]; None where no gradient was taken."""
        return self.zero_gradients / self.seen_gradients if self.seen_gradients else None


@dataclass(frozen=True, slots=True)
class ZooRecord(Record, kind="zoo"):
    """The matrix of attacks and classifiers.

    Attributes:
        dataset: `name`, `source`, `n_test` and whatever identifies the examples.
        example_ids: Index of each example in the data set's test split.
        labels: True class of each example.
        network: Of the first classifier, as in an evaluation's record.
        defences: Name of each classifier -> one line a defence; none: the undefended one.
        tier: `smoke`, `standard` or `strong`.
        eps: l_inf budget; attacks in l2 get the norm of a change by that much everywhere.
        time_limit: Seconds after which a cell is stopped; 0: none.
        cells: Attack by attack, each on every classifier.
        left_out: ART's classes that are no attack on a torch classifier of images -> why.
        complete: False if the run was interrupted.
        networks: Name of each classifier of another network -> that network.
    """

    dataset: dict[str, Setting]
    example_ids: Annotated[tuple[Count, ...], like("labels")]
    labels: tuple[Count, ...]
    network: dict[str, Setting]
    defences: dict[str, tuple[str, ...]]
    tier: str
    eps: NonNegative
    seed: int
    time_limit: NonNegative
    cells: tuple[ZooCell, ...]
    left_out: dict[str, str]
    environment: Environment
    complete: bool = True
    networks: dict[str, dict[str, Setting]] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse cells of other examples, or of classifiers that the record does not name."""
        for name in self.networks:
            check_choice(name, "networks", tuple(self.defences))
        for i, cell in enumerate(self.cells):
            check_choice(cell.defence, f"cells[{i}].defence", tuple(self.defences))
            check_most(cell.total, len(self.labels), f"cells[{i}].total", "labels")

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the attacks, in the order of the table."""
        return tuple(dict.fromkeys(cell.attack for cell in self.cells))

    def cell(self, attack: str, defence: str) -> ZooCell:
        """Return one cell.

        Raises:
            InputError: There is none.
        """
        for cell in self.cells:
            if (cell.attack, cell.defence) == (attack, defence):
                return cell
        msg = f"the record has no cell of {attack!r} on {defence!r}"
        raise InputError(msg)

    def beyond(self, cell: ZooCell) -> bool:
        """Whether the attack, which takes no budget, changed some value by more than `eps`."""
        # float32 images a budget apart may differ by a rounding more
        return cell.eps is None and cell.linf_max > self.eps + 1e-6

    def counts(self, defence: str) -> dict[str, int]:
        """Cells of one classifier by status."""
        found = Counter(cell.status for cell in self.cells if cell.defence == defence)
        return {status: found[status] for status in CELL_STATUSES}

    def flaws(self) -> tuple[str, ...]:
        """What must not be in a matrix, in words; empty: nothing of the kind.

        A cell that failed and is not listed as broken inside ART; a gradient attack that lowers an
        undefended network and gets zero gradients alone on another classifier, or is refused there;
        a row that reached the network without passing the defences.
        """
        bare = [name for name, lines in self.defences.items() if not lines]
        lowering = {c.attack for c in self.cells if c.defence in bare and c.status == "lowered"}
        found = []
        for cell in self.cells:
            where = f"{cell.attack} on {cell.defence}"
            if cell.status == "failed" and not cell.expected:
                found.append(f"{where} failed: {cell.reason}")
            denied = cell.status == "refused" and cell.gradient_attack and cell.attack in lowering
            if denied:
                found.append(f"{where} was refused, the undefended network was not: {cell.reason}")
            blind = cell.seen_gradients == cell.zero_gradients
            wanted = cell.gradient_attack and cell.attack in lowering and cell.finished
            if wanted and blind and cell.clean:
                found.append(f"{where} got zero gradients alone, of {cell.seen_gradients}")
            if cell.bypassed:
                found.append(f"{where}: {cell.bypassed} rows passed the defences by")
        return tuple(found)
