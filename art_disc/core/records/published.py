"""Published tables and figures that were made again: their numbers beside ours."""

from dataclasses import dataclass, replace
from typing import Annotated, Self

from art_disc.core.intervals import clopper_pearson_lower, holm, mcnemar, paired_difference
from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, NonNegative, Setting, Unit
from art_disc.core.records.planned import PlannedRows
from art_disc.core.records.rules import bits, check_equal, like, most, one_of

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
    setting: Annotated[str, one_of(SETTINGS)]
    defence: str
    n_codes: Count
    eps: NonNegative
    printed_clean: NonNegative | None
    printed_robust: NonNegative | None
    printed_steps: Count
    clean: Share
    papers_attack: Share
    alive: Annotated[str, bits]
    white_box: Share
    correct: Annotated[str, bits, like("alive")]
    attack: str
    worst_of: str
    network: str
    codes_found: Count = 0
    differs: tuple[str, ...] = ()
    gradients: NonNegative = 0.0
    queries: NonNegative = 0.0
    seconds: NonNegative = 0.0

    def check(self) -> None:
        """Refuse results of other examples."""
        for name in ("papers_attack", "white_box"):
            check_equal(getattr(self, name).total, len(self.alive), f"{name}.total")

    @property
    def worst(self) -> Share:
        """Examples that no attack broke."""
        return Share.of_bits(self.alive)

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

    @classmethod
    def of(cls, alive: str, base: str) -> Self:
        """Compare `alive` of a row with that of its base, before any adjustment."""
        pairs = list(zip(alive, base, strict=True))
        both, only, lost = (pairs.count(p) for p in (("1", "1"), ("1", "0"), ("0", "1")))
        low, high = paired_difference(both, only, lost, len(pairs) - both - only - lost)
        raw = mcnemar(only, lost)
        return cls((only - lost) / len(pairs), low, high, raw, raw)

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.p < 0.05


@dataclass(frozen=True, slots=True)
class TableRecord(PlannedRows, Record, kind="table"):
    """A published table run again.

    Attributes:
        table: `chen2018-table3`, say.
        title: What it is about.
        rows: In the order of the paper.
        planned: Rows that were asked for; `complete` tells whether all are there.
        settings: What the run was asked for: data subset, steps, seed.
    """

    table: str
    title: str
    rows: tuple[TableRow, ...]
    planned: Count
    settings: dict[str, Setting]
    environment: Environment

    def base_of(self, row: TableRow) -> TableRow | None:
        """Return the undefended row of the same network, data, budget and examples, if any.

        One that is retrained behind its defence is of the network that it began with.
        """
        for other in self.rows:
            same = (other.dataset, other.eps) == (row.dataset, row.eps)
            # another training of the same words has other weights
            same = same and row.network.startswith(other.network)
            if same and other.setting == row.base_setting and len(other.alive) == len(row.alive):
                return other
        return None

    def gains(self) -> dict[int, Gain]:
        """Return the comparison of each defended row with its base, by the row's place."""
        bases = {place: self.base_of(row) for place, row in enumerate(self.rows) if row.defence}
        found = {
            place: Gain.of(self.rows[place].alive, base.alive)
            for place, base in bases.items()
            if base is not None
        }
        adjusted = holm([gain.raw for gain in found.values()])
        pairs = zip(found.items(), adjusted, strict=True)
        return {place: replace(gain, p=p) for (place, gain), p in pairs}


@dataclass(frozen=True, slots=True)
class CertificateTableRow(Checked):
    """One budget of a published table of certificates, theirs and ours.

    Attributes:
        eps: l_inf budget in [0, 1].
        bits: Theirs: images with more than 2^bits reachable code images are given up.
        printed_unable, printed_success, printed_fail: Theirs, percent.
        printed_limit: Their lower limit with 99 % confidence, in percent.
        images: Test images whose free pixels were counted.
        unable_float: Those with more than `bits` free pixels by the printed inequality in the
            papers' float arithmetic.
        unable_exact: The same with every codeword that can really be reached.
        max_bits: Of enumeration: images with more than 2^max_bits code images are undecided.
        certified, falsified, undecided: Verdicts on the images that were to be certified.
        seconds: What these took.
        method: `enumeration`, `bounds` or `complete`.
        unable: Images to be certified that reach more than 2^bits code images, whatever became of
            them; older records do not say.
        wrong_when_clean: Images to be certified that are classified wrongly as they are.
    """

    eps: NonNegative
    bits: Count
    printed_unable: NonNegative
    printed_success: NonNegative
    printed_fail: NonNegative
    printed_limit: NonNegative
    images: Count
    unable_float: Annotated[Count, most("images")]
    unable_exact: Annotated[Count, most("images")]
    max_bits: Count
    certified: Count
    falsified: Count
    undecided: Count
    seconds: NonNegative
    method: str = "enumeration"
    unable: Count | None = None
    wrong_when_clean: Count | None = None

    @property
    def total(self) -> int:
        """Images that were to be certified."""
        return self.certified + self.falsified + self.undecided

    @property
    def limit(self) -> float:
        """Exact one-sided 99 % lower limit of the certified accuracy (Clopper and Pearson)."""
        return clopper_pearson_lower(self.certified, self.total, 0.99)


@dataclass(frozen=True, slots=True)
class CertificateTableRecord(Record, kind="certificate table"):
    """A published table of certificates run again.

    Attributes:
        table: `chen2018-table2`, say.
        title: What it is about.
        rows: One a budget.
        network: Architecture and training, in words.
    """

    table: str
    title: str
    rows: tuple[CertificateTableRow, ...]
    network: str
    settings: dict[str, Setting]
    environment: Environment


@dataclass(frozen=True, slots=True)
class ClassesRow(Checked):
    """One panel of the figure.

    Attributes:
        dataset: Its name.
        n_codes: Codewords.
        eps: l_inf budget in [0, 1].
        images: Test images.
        train_images: Images that the codebook was learned from.
        printed: Median of (1/d) log_k prod |C_i| as printed.
        exact: Ours with every codeword that can be reached; `paper`: with the papers' inequality.
        exponent: Median of log_k prod |C_i|, exact: free pixels where k is 2.
    """

    dataset: str
    n_codes: Count
    eps: NonNegative
    images: Count
    train_images: Count
    printed: Unit
    exact: Unit
    paper: Unit
    exponent: NonNegative


@dataclass(frozen=True, slots=True)
class ClassesRecord(Record, kind="equivalence classes"):
    """A published figure of equivalence classes drawn again.

    Attributes:
        figure: `chen2019-figure5`, say.
        title: What it is about.
        rows: One a panel.
    """

    figure: str
    title: str
    rows: tuple[ClassesRow, ...]
    environment: Environment
