"""Published tables of purifiers that were run again, and the bits that attacks flip in their codes.

Each number says what its attacker knew.
"""

from dataclasses import dataclass
from typing import Annotated

from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, NonNegative, Setting, Unit
from art_disc.core.records.planned import PlannedRows
from art_disc.core.records.rules import bits, check_equal, check_length, one_of

# what stands between an image and a decision
DEFENCES = ("none", "lqvae", "lqvae_sampled", "defense_gan", "pgd_trained", "fgsm_trained")
KNOWLEDGE = (
    "white box",
    "grey box",
    "black box",
    "end to end, one step",
    "end to end, latent codes",
    "end to end, worst",
    "end to end, majority vote",
    "end to end, worst draw",
    "end to end, fixed draws",
)


@dataclass(frozen=True, slots=True)
class PurifierCell(Checked):
    """One defence against one attacker.

    Attributes:
        defence: One of `DEFENCES`.
        knowledge: One of `KNOWLEDGE`: of what attacks were told, and by which rule a defence that
            draws is right.
        printed: Published accuracy under the attack in percent, or None.
        alive: For each attacked example `1` if it is right as it is and after every attack, else
            `0`; empty: only printed.
        clean: Ours without an attack, on every test image that there is; None: only printed.
        attacks: What was run, in words.
    """

    defence: Annotated[str, one_of(DEFENCES)]
    knowledge: Annotated[str, one_of(KNOWLEDGE)]
    printed: NonNegative | None
    alive: Annotated[str, bits] = ""
    clean: Share | None = None
    attacks: str = ""

    def check(self) -> None:
        """Refuse a result without a clean accuracy beside it."""
        if bool(self.alive) != (self.clean is not None):
            msg = f"{self.defence}: alive and clean must be given together, or neither of them"
            raise InputError(msg)

    @property
    def left(self) -> Share | None:
        """Examples that are right; None where nothing was run."""
        return Share.of_bits(self.alive) if self.alive else None


@dataclass(frozen=True, slots=True)
class PurifierRow(Checked):
    """One classifier under one attack.

    Attributes:
        dataset: Its name.
        attack: Its name in the table of attacks.
        model: The classifier, `A`, or with the substitute that examples were made on, `A/B`.
        eps: l_inf budget in [0, 1]; None: an attack that goes as far as it must.
        printed_clean: Published accuracy without attack and defence in percent, or None.
        cells: One a defence and attacker.
        networks: Architecture and training of each network, in words.
        differs: What differs from the published experiment.
    """

    dataset: str
    attack: str
    model: str
    eps: NonNegative | None
    printed_clean: NonNegative | None
    cells: tuple[PurifierCell, ...]
    networks: tuple[str, ...]
    differs: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse two cells of one column, and unequal numbers of examples but where draws are."""
        columns = {(cell.defence, cell.knowledge) for cell in self.cells}
        check_equal(len(columns), len(self.cells), "number of columns")
        # a defence that draws may be attacked on fewer
        apart = {cell.defence == "lqvae_sampled": cell for cell in self.cells[::-1] if cell.alive}
        for cell in (cell for cell in self.cells if cell.alive):
            first = apart[cell.defence == "lqvae_sampled"]
            check_length(cell.alive, len(first.alive), "alive", f"alive of {first.defence}")

    def cell(self, defence: str, knowledge: str) -> PurifierCell | None:
        """Return the cell of a column, or None."""
        column = defence, knowledge
        return next((c for c in self.cells if (c.defence, c.knowledge) == column), None)


@dataclass(frozen=True, slots=True)
class PurifierTableRecord(PlannedRows, Record, kind="purifier table"):
    """A published table of purifiers run again.

    Attributes:
        table: `kyatham2020-table2`, say.
        title: What it is about.
        rows: In the order of the paper.
        planned: Rows that were asked for; `complete` tells whether all are there.
        settings: What the run was asked for.
    """

    table: str
    title: str
    rows: tuple[PurifierRow, ...]
    planned: Count
    settings: dict[str, Setting]
    environment: Environment


@dataclass(frozen=True, slots=True)
class BitFlipRow(Checked):
    """Bits that one attack on one classifier flips in the codes of a purifier before it.

    Attributes:
        model: The classifier.
        attack: Its name in the table of attacks.
        knowledge: One of `KNOWLEDGE`.
        curve: Share of the images of which at most k bits are flipped, k = 0, 1, ... all bits.
        clean: Right through the purifier, of these images as they are.
        left: Right through the purifier after the attack.
    """

    model: str
    attack: str
    knowledge: Annotated[str, one_of(KNOWLEDGE)]
    curve: tuple[Unit, ...]
    clean: Share
    left: Share

    def check(self) -> None:
        """Refuse a curve that falls, or does not end at all images."""
        if list(self.curve) != sorted(self.curve) or self.curve[-1:] != (1.0,):
            msg = f"curve must rise to 1, got {self.curve}"
            raise InputError(msg)

    def within(self, share: float) -> float:
        """Return the share of images of whose bits at most such a share is flipped."""
        # 0.3 of 10 bits are 3, whatever rounding makes of the product
        return self.curve[int(share * (len(self.curve) - 1) + 1e-9)]


@dataclass(frozen=True, slots=True)
class BitFlipRecord(Record, kind="bit flips"):
    """A published figure of flipped bits drawn again.

    Attributes:
        figure: `kyatham2020-figure3`.
        dataset: Name of the data set.
        rows: One a classifier and attack.
        networks: Architecture and training of each network, in words.
    """

    figure: str
    title: str
    dataset: str
    rows: tuple[BitFlipRow, ...]
    networks: tuple[str, ...]
    settings: dict[str, Setting]
    environment: Environment
