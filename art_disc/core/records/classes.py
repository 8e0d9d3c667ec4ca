"""The record of a figure of equivalence classes that was drawn again."""

from dataclasses import dataclass
from typing import ClassVar

from art_disc.core.records.base import Count, Environment, NonNegative, Record, Unit
from art_disc.core.records.checked import Checked


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
class ClassesRecord(Record):
    """A published figure of equivalence classes drawn again.

    Attributes:
        figure: `chen2019-figure5`, say.
        title: What it is about.
        rows: One a panel.
        environment: Where and when.
    """

    kind: ClassVar[str] = "equivalence classes"

    figure: str
    title: str
    rows: tuple[ClassesRow, ...]
    environment: Environment
