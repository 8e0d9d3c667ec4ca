"""Every number that the five papers print in a table, one by one, and which record measures it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from art_disc.core.records import Record
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.core.records.published import CertificateTableRecord, TableRecord
from art_disc.core.records.purifiers import PurifierTableRecord
from art_disc.core.showing import Shown
from art_disc.reproduction.published import (
    AVERAGE,
    Published,
    PublishedCertificate,
    PublishedNetwork,
    PublishedPurifier,
    PublishedRandomised,
    every_row,
)

# the same for numbers of two tables that one experiment measures
Measure = tuple[Any, ...]
CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Printed(Shown):
    """One printed number.

    Attributes:
        paper: `chen2018`, ...
        table: Number of the table there, Roman ones as Arabic; `text`: of none.
        dataset: Its name.
        row: What it is of, in words.
        column: What was counted, in words: `clean`, `robust at 2/255`, ...
        value: As printed, mostly percent.
        measure: What a record must hold to have measured it.
        published: The row that it stands in.
    """

    paper: str
    table: str
    dataset: str
    row: str
    column: str
    value: float
    measure: Measure
    published: Any

    @property
    def name(self) -> str:
        """The table as `art-disc reproduce` calls it."""
        return f"{self.paper}-table{self.table}"

    @property
    def experiment(self) -> Measure:
        """What is run to measure it: the same for the numbers of one row, in every table."""
        return self.measure[:-1]


@cache
def printed() -> tuple[Printed, ...]:
    """Return every number that is printed, paper by paper and in the tables' order."""
    found = [
        Printed(row.paper, row.table, dataset, words, column, value, measure, row)
        for kind, numbers in _NUMBERS.items()
        for row in every_row(kind)
        for dataset, words, column, value, measure in numbers(row)
        if value is not None
    ]
    return tuple(sorted(found, key=lambda one: (one.paper, one.table)))


def measures(record: Record) -> frozenset[Measure]:
    """Return what a record of a table has measured; empty for other kinds of record."""
    for kind, found in _MEASURES.items():
        if isinstance(record, kind):
            return frozenset(found(record))
    return frozenset()


def kind_of(defence: str) -> str:
    """Return the kind of a table row's defence, which its words begin with.

    >>> kind_of("density, 2 codes"), kind_of("tv:weight=0.1,steps=20"), kind_of("")
    ('density', 'tv:weight=0.1,steps=20', 'none')
    """
    return defence if ":" in defence else defence.partition(",")[0] or "none"


def budget(eps: float) -> str:
    """Return a budget in words: grey levels of 255 where it is a whole number of them."""
    levels = round(255 * eps, 6)
    return f"{levels:g}/255" if levels.is_integer() and levels else f"{eps:g}"


Number = tuple[str, str, str, float | None, Measure]


def _accuracies(row: Published) -> Iterator[Number]:
    own = "" if row.defence == "none" else f", {row.defence}, {row.n_codes} codes"
    place = row.dataset, f"{row.setting}{own}"
    same = row.dataset, row.setting, row.defence, row.n_codes
    yield *place, CLEAN, row.clean, (*same, None)
    yield *place, f"robust at {budget(row.eps)}", row.robust, (*same, _exact(row.eps))


def _certificates(row: PublishedCertificate) -> Iterator[Number]:
    for column in ("bits", "unable", "success", "fail", "lower_limit"):
        measure = row.paper, row.table, _exact(row.eps), column
        words = f"disc_adv_pre at {budget(row.eps)}"
        yield "mnist", words, column, getattr(row, column), measure


def _networks(row: PublishedNetwork) -> Iterator[Number]:
    same = row.paper, row.table, row.dataset, row.model
    yield row.dataset, row.model, CLEAN, row.clean, (*same, None)
    for eps, value in zip(row.budgets, row.robust, strict=False):
        yield row.dataset, row.model, f"FGSM {budget(eps)}", value, (*same, _exact(eps))


def _purifiers(row: PublishedPurifier) -> Iterator[Number]:
    words = f"{row.attack}, {row.setting or 'no classifier named'}"
    for column in (CLEAN, "none", "lqvae", "defense_gan", "pgd_trained", "fgsm_trained"):
        measure = row.paper, row.table, row.dataset, row.attack, row.setting, column
        yield row.dataset, words, column, getattr(row, column), measure


def _randomised(row: PublishedRandomised) -> Iterator[Number]:
    setting = "adv_pre" if row.base == "adversarial" else "nat_pre"
    if row.defence != "none":
        setting = f"disc_{setting}"
    words = ", ".join(filter(None, (setting if row.base else "", row.defence, row.attack)))
    eps = _exact(row.eps) if row.eps else None
    column = f"{row.metric} at {budget(row.eps)}" if row.eps else row.metric
    # one that is not defended is a row of the other papers' tables as well
    measure: Measure = row.dataset, setting, row.defence, 0, eps
    if row.metric not in (CLEAN, "robust") or row.attack not in ("", "pgd"):
        measure = (*measure, row.metric, row.attack)
    yield row.dataset, words, column, row.value, measure


_NUMBERS: dict[Any, Any] = {
    Published: _accuracies,
    PublishedCertificate: _certificates,
    PublishedNetwork: _networks,
    PublishedPurifier: _purifiers,
    PublishedRandomised: _randomised,
}


def _table(record: TableRecord) -> Iterator[Measure]:
    for row in record.rows:
        same = row.dataset, row.setting, kind_of(row.defence), row.n_codes
        yield from ((*same, None), (*same, _exact(row.eps)))


def _certified(record: CertificateTableRecord) -> Iterator[Measure]:
    paper, _, number = record.table.partition("-table")
    for row in record.rows:
        for column in ("unable", "success", "fail", "lower_limit"):
            yield paper, number, _exact(row.eps), column


def _protocols(record: ProtocolTableRecord) -> Iterator[Measure]:
    paper, _, number = record.table.partition("-table")
    for row in record.rows:
        same = paper, number, row.dataset, row.model
        yield *same, None
        if row.outcomes:
            yield *same, _exact(row.eps)


def _purified(record: PurifierTableRecord) -> Iterator[Measure]:
    paper, _, number = record.table.partition("-table")
    ran: dict[str, set[Measure]] = {}
    for row in record.rows:
        ours = {cell.defence for cell in row.cells if cell.alive}
        for column in (CLEAN, *ours):
            yield paper, number, row.dataset, row.attack, row.model, column
            # table 7 names no classifier
            yield paper, number, row.dataset, row.attack, "", column
            ran.setdefault(column, set()).add((row.dataset, row.attack, row.model))
    rows = [r for r in every_row(PublishedPurifier) if (r.paper, r.table) == (paper, number)]
    for mean in (row for row in rows if row.model == AVERAGE):
        wanted = {(r.dataset, r.attack, r.setting) for r in rows if r.model != AVERAGE}
        for column, there in ran.items():
            if wanted <= there:
                yield paper, number, mean.dataset, mean.attack, mean.setting, column


_MEASURES: dict[Any, Any] = {
    TableRecord: _table,
    CertificateTableRecord: _certified,
    ProtocolTableRecord: _protocols,
    PurifierTableRecord: _purified,
}


def _exact(eps: float) -> float:
    """Return a budget as it is compared: 2/255 computed in two ways is one."""
    return round(eps, 9)
