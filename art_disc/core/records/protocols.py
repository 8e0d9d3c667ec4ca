"""Published tables of input bits and binarised networks that were run again, protocol by protocol.

Attackers of `paper` start from the image that the network's discretisation makes, and what they add
is discretised again. Those of `raw` start from the image itself.
"""

from dataclasses import dataclass
from typing import Annotated

from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, NonNegative, Setting, Unit
from art_disc.core.records.planned import PlannedRows
from art_disc.core.records.rules import bits, check_equal, check_length, like, one_of

PROTOCOLS = ("paper", "raw")
PRECISIONS = ("bnn", "xnor", "real")
BASES = ("natural", "adversarial")


@dataclass(frozen=True, slots=True)
class ProtocolOutcome(Checked):
    """What attacks left of one network at one budget under one protocol.

    Attributes:
        protocol: `paper` or `raw`.
        start: How far an image that attacks start from is at most from the raw one, l_inf in
            [0, 1].
        free: Share of the input values of these images that reach a second code within the
            budget; None where nothing is discretised.
        fgsm: For each attacked example `1` if it is right after FGSM, else `0`.
        alive: The same after every attack of the protocol.
        worst_of: These attacks, in words.
        gradients, queries: Passes through the network an image, all attacks together.
    """

    protocol: Annotated[str, one_of(PROTOCOLS)]
    start: Unit
    free: Unit | None
    fgsm: Annotated[str, bits]
    alive: Annotated[str, bits, like("fgsm")]
    worst_of: str
    gradients: NonNegative = 0.0
    queries: NonNegative = 0.0

    def check(self) -> None:
        """Refuse an example that FGSM broke and that is yet alive."""
        if any(left > after for left, after in zip(self.alive, self.fgsm, strict=True)):
            msg = "alive must be 0 where fgsm is: it counts every attack"
            raise InputError(msg)

    @property
    def after_fgsm(self) -> Share:
        """Examples that are right after FGSM."""
        return Share.of_bits(self.fgsm)

    @property
    def worst(self) -> Share:
        """Examples that no attack of the protocol broke."""
        return Share.of_bits(self.alive)


@dataclass(frozen=True, slots=True)
class ProtocolRow(Checked):
    """One network of a table at one budget.

    Attributes:
        dataset: Its name.
        model: As the table calls it, `BNN-2b`.
        precision: `bnn`, `xnor`, or `real` for full precision.
        bits: Of the input; at 8 nothing is discretised.
        base: `natural` or `adversarial` training.
        eps: l_inf budget in [0, 1]; 0 in tables of clean accuracy.
        printed_clean: Published clean accuracy in percent, or None.
        printed_robust: Published accuracy under FGSM in percent, or None.
        clean: Ours on every test image that there is.
        correct: For each attacked example `1` if it is right without any change, else `0`; empty at
            eps 0.
        outcomes: One a protocol; none at eps 0.
        network: Architecture and training, in words.
        differs: What differs from the published experiment.
    """

    dataset: str
    model: str
    precision: Annotated[str, one_of(PRECISIONS)]
    bits: Count
    base: Annotated[str, one_of(BASES)]
    eps: NonNegative
    printed_clean: NonNegative | None
    printed_robust: NonNegative | None
    clean: Share
    correct: Annotated[str, bits]
    outcomes: tuple[ProtocolOutcome, ...]
    network: str
    differs: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse two outcomes of a protocol, and outcomes of other examples."""
        names = [outcome.protocol for outcome in self.outcomes]
        check_equal(len(set(names)), len(names), "number of protocols")
        for outcome in self.outcomes:
            check_length(
                self.correct, len(outcome.fgsm), "correct", f"outcomes, {outcome.protocol}"
            )

    def under(self, protocol: str) -> ProtocolOutcome | None:
        """Return the outcome of a protocol; None where it was not run."""
        return next((one for one in self.outcomes if one.protocol == protocol), None)


@dataclass(frozen=True, slots=True)
class ProtocolTableRecord(PlannedRows, Record, kind="protocol table"):
    """A published table of input bits and binarised networks run again.

    Attributes:
        table: `panda2019-table4`, say.
        title: What it is about.
        rows: In the order of the paper, budget by budget.
        planned: Rows that were asked for; `complete` tells whether all are there.
        settings: What the run was asked for.
    """

    table: str
    title: str
    rows: tuple[ProtocolRow, ...]
    planned: Count
    settings: dict[str, Setting]
    environment: Environment


@dataclass(frozen=True, slots=True)
class ActivationRow(Checked):
    """The first hidden layer of one network on the images of one budget.

    Attributes:
        architecture: In words.
        precision: `bnn`, `xnor`, or `real` for full precision.
        eps: Budget of FGSM, l_inf in [0, 1]; 0: clean images.
        norms: Quantiles 0.05, 0.25, 0.5, 0.75 and 0.95 over the images of the L1 norm of what the
            layer gives before it is normalised, divided by its number of units.
        accuracy: Of the network on these images.
        network: Its training, in words.
    """

    architecture: str
    precision: Annotated[str, one_of(PRECISIONS)]
    eps: NonNegative
    norms: tuple[NonNegative, ...]
    accuracy: Share
    network: str


@dataclass(frozen=True, slots=True)
class ActivationRecord(Record, kind="activation norms"):
    """A published figure of activations drawn again.

    Attributes:
        figure: `panda2019-figure6`.
        dataset: Name of the data set.
        rows: Network by network, budget by budget; the first of a network is clean.
    """

    figure: str
    title: str
    dataset: str
    rows: tuple[ActivationRow, ...]
    settings: dict[str, Setting]
    environment: Environment

    def check(self) -> None:
        """Refuse networks whose norms on clean images are not there, or are 0."""
        for row in self.rows:
            if not self.scale(row):
                msg = f"{row.architecture}, {row.precision}: a row at eps 0 with norms is missing"
                raise InputError(msg)

    def scale(self, row: ActivationRow) -> float:
        """Return the median norm of a row's network on clean images, by which norms are shown."""
        clean = (row.architecture, row.precision, 0.0)
        found = (r.norms[2] for r in self.rows if (r.architecture, r.precision, r.eps) == clean)
        return next(found, 0.0)
