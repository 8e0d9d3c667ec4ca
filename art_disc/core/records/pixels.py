"""Published figures of the pixels of a data set, drawn again."""

from dataclasses import dataclass

from art_disc.core.records.base import Environment, Record
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, NonNegative
from art_disc.core.records.rules import check_most


@dataclass(frozen=True, slots=True)
class PixelFact(Checked):
    """One number of the figure.

    Attributes:
        words: What it is.
        ours: A count, or a share in [0, 1].
        printed: The same in the paper, or what follows from its numbers; None: not told.
        share: Whether both are shares.
    """

    words: str
    ours: NonNegative
    printed: NonNegative | None = None
    share: bool = False

    def check(self) -> None:
        """Refuse shares above one."""
        if self.share:
            check_most(self.ours, 1, "ours", "a share's most")
            check_most(self.printed or 0, 1, "printed", "a share's most")


@dataclass(frozen=True, slots=True)
class PixelFigureRecord(Record, kind="pixel figure"):
    """A published figure of the pixels of a data set drawn again.

    Attributes:
        figure: `chen2019-figure6`, say.
        title: What it is about.
        dataset: Its name.
        train_images: Images whose pixels are counted.
        eps: l_inf budget in [0, 1].
        codewords: Of the codebook, k tuples of c values in [0, 1].
        levels: Pixels at each of the 256 levels, one tuple a channel.
        rows: What is told of it in numbers.
    """

    figure: str
    title: str
    dataset: str
    train_images: Count
    eps: NonNegative
    codewords: tuple[tuple[NonNegative, ...], ...]
    levels: tuple[tuple[Count, ...], ...]
    rows: tuple[PixelFact, ...]
    environment: Environment
