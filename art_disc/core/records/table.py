"""The record of a published table that was run again: their numbers beside ours."""

from dataclasses import dataclass
from typing import ClassVar

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.intervals import holm, mcnemar, paired_difference
from art_disc.core.records.base import Count, Environment, NonNegative, Record, Setting, Share
from art_disc.core.records.checked import (
    Checked,
    check_equal,
    check_lengths,
    check_most,
)

SETTINGS = ("nat_pre", "adv_pre", "disc_nat_pre", "disc_adv_pre", "disc_nat_re", "disc_adv_re")


@dataclass(frozen=True, slots=True)
class TableRow(Checked):
    """One setting of a table.

    Attributes:
        dataset: Its name.
        setting: One of `SETTINGS`, as in the papers: whether pixels are discretised, how the
            network was trained, and whether it was trained again behind the defence.
        defence: In words; empty for none.
        n_codes: Codewords that were asked for (a channel, for colour depth); 0: none.
        eps: l_inf budget in [0, 1].
        printed_clean: Published clean accuracy in percent, or None.
        printed_robust: Published accuracy under the papers' attack in percent, or None.
        printed_steps: Steps of that attack as published; 0: not published.
        clean: Our clean accuracy on every test image that there is.
        papers_attack: Ours under the papers' attack alone, on the attacked examples.
        alive: For each attacked example `1` if no attack broke it, else `0`.
        white_box: Examples that no white-box attack broke: where transfer or queries broke more,
            gradients through the defence are masked.
        correct: For each attacked example `1` if it is right without any change, else `0`.
        attack: The papers' attack as it was run, in words.
        worst_of: The attacks whose per-example worst `alive` is, in words.
        network: Architecture and training, in words.
        codes_found: Codewords that the codebook really has.
        differs: What differs from the published experiment.
        gradients, queries: Passes through the network an image, all attacks together.
        seconds: Of the evaluation.
    """

    dataset: str
    setting: str
    defence: str
    n_codes: Count
    eps: NonNegative
    printed_clean: NonNegative | None
    printed_robust: NonNegative | None
    printed_steps: Count
    clean: Share
    papers_attack: Share
    alive: str
    white_box: Share
    correct: str
    attack: str
    worst_of: str
    network: str
    codes_found: Count = 0
    differs: tuple[str, ...] = ()
    gradients: NonNegative = 0.0
    queries: NonNegative = 0.0
    seconds: NonNegative = 0.0

    def check(self) -> None:
        """Refuse unknown words, and results of other examples."""
        check_choice(self.setting, "setting", SETTINGS)
        for name in ("alive", "correct"):
            if odd := set(getattr(self, name)) - {"0", "1"}:
                msg = f"{name} must be made of 0 and 1, got {min(odd)!r}"
                raise InputError(msg)
        check_lengths(self, "alive", "correct")
        for name in ("papers_attack", "white_box"):
            check_equal(getattr(self, name).total, len(self.alive), f"{name}.total")

    @property
    def worst(self) -> Share:
        """Examples that no attack broke."""
        return Share(self.alive.count("1"), len(self.alive))

    @property
    def base_setting(self) -> str:
        """`nat_pre` or `adv_pre`: the undefended network that this row is compared with."""
        return "adv_pre" if "adv" in self.setting else "nat_pre"


@dataclass(frozen=True, slots=True)
class Gain:
    """How a row's worst case compares with its base's, on the same examples.

    Attributes:
        difference: Row minus base, in [-1, 1].
        low, high: Paired 95% limits (Newcombe 1998, method 10).
        raw: McNemar's exact p value.
        p: The same adjusted for the number of compared rows of the record (Holm 1979).
    """

    difference: float
    low: float
    high: float
    raw: float
    p: float

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.p < 0.05


@dataclass(frozen=True, slots=True)
class TableRecord(Record):
    """A published table run again.

    Attributes:
        table: `chen2018-table3`, say.
        title: What it is about.
        rows: In the order of the paper.
        planned: Rows that were asked for; `complete` tells whether all are there.
        settings: What the run was asked for: data subset, steps, seed.
        environment: Where and when.
    """

    kind: ClassVar[str] = "table"

    table: str
    title: str
    rows: tuple[TableRow, ...]
    planned: Count
    settings: dict[str, Setting]
    environment: Environment

    def check(self) -> None:
        """Refuse more rows than were planned."""
        check_most(len(self.rows), self.planned, "number of rows", "planned")

    @property
    def complete(self) -> bool:
        """Whether every row that was asked for is there."""
        return len(self.rows) == self.planned

    def base_of(self, row: TableRow) -> TableRow | None:
        """Return the undefended row of the same network, data, budget and examples, if any."""
        for other in self.rows:
            same = (other.dataset, other.eps) == (row.dataset, row.eps)
            if same and other.setting == row.base_setting and len(other.alive) == len(row.alive):
                return other
        return None

    def gains(self) -> dict[int, Gain]:
        """Return the comparison of each defended row with its base, by the row's place."""
        found: dict[int, tuple[float, float, float, float]] = {}
        for place, row in enumerate(self.rows):
            base = self.base_of(row)
            if base is None or not row.defence:
                continue
            pairs = list(zip(row.alive, base.alive, strict=True))
            both, only, lost = (pairs.count(p) for p in (("1", "1"), ("1", "0"), ("0", "1")))
            low, high = paired_difference(both, only, lost, len(pairs) - both - only - lost)
            found[place] = ((only - lost) / len(pairs), low, high, mcnemar(only, lost))
        adjusted = holm([p for *_, p in found.values()])
        return {
            place: Gain(difference, low, high, raw, p)
            for (place, (difference, low, high, raw)), p in zip(
                found.items(), adjusted, strict=True
            )
        }
