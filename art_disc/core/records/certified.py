"""Published figures of what is certified of defences that draw, made again."""

from dataclasses import dataclass

from art_disc.core.records.base import Environment, Record, Share
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, NonNegative, Setting, Unit
from art_disc.core.records.planned import PlannedRows
from art_disc.core.records.rules import check_equal, check_most


@dataclass(frozen=True, slots=True)
class CertifiedRow(Checked):
    """One defence at one budget.

    Attributes:
        dataset: Its name.
        line: Of the figure: `adaptive`, `fixed`, `down-sampled`, ...
        defence: In words.
        eps: l_inf budget in [0, 1].
        clean: Images whose label has most votes.
        tight: Images certified by the tight bound.
        pinsker: Images certified by the paper's inequality.
        limit: 99 % lower limit of the robust accuracy on the images' distribution, of `tight`.
        attacked: Images whose label has most votes before and after the paper's attack; None: it
            was not made.
        contradicted: Certified images that the attack broke; more than 0: an assumption is wrong.
        printed: What the paper's attack left there, in percent; None: not told.
        network: Architecture and training, in words.
        assumes: What the verdicts hold for.
    """

    dataset: str
    line: str
    defence: str
    eps: NonNegative
    clean: Share
    tight: Share
    pinsker: Share
    limit: Unit
    attacked: Share | None
    contradicted: Count
    printed: NonNegative | None
    network: str
    assumes: str

    def check(self) -> None:
        """Refuse counts of other images, and more broken certificates than there are."""
        for name in ("tight", "pinsker", "attacked"):
            if (share := getattr(self, name)) is not None:
                check_equal(share.total, self.clean.total, f"{name}.total")
        check_most(self.contradicted, self.clean.total, "contradicted", "the number of images")


@dataclass(frozen=True, slots=True)
class CertifiedFigureRecord(PlannedRows, Record, kind="certified figure"):
    """A published figure of certified accuracy over budgets made again.

    Attributes:
        figure: `zhang2019-figure3`, say.
        title: What it is about.
        rows: Line by line, by budget.
        planned: Rows that were asked for; `complete` tells whether all are there.
        settings: What the run was asked for.
    """

    figure: str
    title: str
    rows: tuple[CertifiedRow, ...]
    planned: Count
    settings: dict[str, Setting]
    environment: Environment
