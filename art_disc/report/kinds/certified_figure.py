"""Published figures of what is certified of defences that draw."""

from collections.abc import Callable

from art_disc.core.records.certified import CertifiedFigureRecord, CertifiedRow
from art_disc.report.document import Document, Notes, Section
from art_disc.report.drawing import Drawing
from art_disc.report.kinds.published import Plots, drawings, eps_words, printed, with_interval
from art_disc.report.reading import lower_percent
from art_disc.report.table import Table
from art_disc.report.views import View, settings_section

_CELLS: dict[str, Callable[[CertifiedRow], str]] = {
    "data": lambda row: row.dataset,
    "line": lambda row: row.line,
    "defence": lambda row: row.defence,
    "eps": lambda row: eps_words(row.eps, row.dataset),
    "clean": lambda row: f"{row.clean.value:.1%}",
    "certified, tight": lambda row: f"{row.tight.value:.1%}",
    "certified, Pinsker": lambda row: f"{row.pinsker.value:.1%}",
    "99 % lower limit of tight": lambda row: lower_percent(row.limit),
    "under attack, printed": lambda row: printed(row.printed),
    "papers' attack, ours": lambda row: "" if row.attacked is None else with_interval(row.attacked),
}


def _document(record: CertifiedFigureRecord) -> Document:
    caption = "Shares of the images whose label has most votes; printed: the paper's own number"
    return Document.of(
        f"{record.figure}: {record.title}",
        f"{len(record.rows)} of {record.planned} rows",
        Section.of(
            "Theirs and ours",
            Table.each("Theirs and ours", caption, _CELLS, record.rows),
            Notes(tuple(_notes(record))),
            *certified_plots(record).values(),
        ),
        settings_section(record, {"Run": record.settings}),
    )


def _notes(record: CertifiedFigureRecord) -> list[str]:
    broken = sum(row.contradicted for row in record.rows)
    notes = [] if record.complete else [f"unfinished: {len(record.rows)} of {record.planned}"]
    if broken:
        notes.append(f"{broken} certified images were broken: no number here holds")
    networks = dict.fromkeys(f"network, {row.dataset}: {row.network}" for row in record.rows)
    assumed = dict.fromkeys(f"{row.line} assumes: {row.assumes}" for row in record.rows)
    return [*notes, *networks, *assumed]


def certified_plots(record: CertifiedFigureRecord) -> dict[str, Drawing]:
    """Return the figure over eps of each data set."""
    plots: Plots = {}
    for row in record.rows:
        line = plots.setdefault(row.dataset, {}).setdefault(row.line, [])
        line.append((row.eps, row.tight, row.attacked or row.clean, row.printed))
    return drawings(
        plots,
        "Full lines are certified by the tight bound, with 95 % Wilson intervals; dashed is what "
        "the paper's attack leaves, or the clean accuracy where it was not made. What lies between "
        "is unknown. Crosses are printed, under attack.",
    )


VIEW = View(_document)
