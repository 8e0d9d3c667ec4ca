"""Published tables of input bits and binarised networks run again, protocol beside protocol."""

from collections.abc import Iterator
from typing import Any

from art_disc.core.records.base import Record, Share
from art_disc.core.records.certified import CertifiedFigureRecord
from art_disc.core.records.pixels import PixelFigureRecord
from art_disc.core.records.protocols import (
    PROTOCOLS,
    ActivationRecord,
    ActivationRow,
    ProtocolOutcome,
    ProtocolRow,
    ProtocolTableRecord,
)
from art_disc.core.records.published import CertificateTableRecord, TableRecord
from art_disc.report.document import Document, Notes, Section
from art_disc.report.drawing import COLOURS, MARKERS, Drawing, draw
from art_disc.report.kinds import published
from art_disc.report.kinds.certified_figure import certified_plots
from art_disc.report.kinds.pixels import pixel_plots
from art_disc.report.kinds.published import (
    Plots,
    differences,
    drawings,
    eps_words,
    printed,
    with_interval,
)
from art_disc.report.table import Table
from art_disc.report.views import View, measured, settings_section

_CAPTION = "Percentages, with 95 % intervals where they are given; printed: the paper's own number"
_STARTS = {
    "paper": "attackers start from the cell centres that the discretisation makes, and what they "
    "add is discretised again: white box of the network behind a first quantiser that they do not "
    "cross, on images up to {start} from the raw ones before anything is added",
    "raw": "attackers start from the raw image and go through the discretisation, straight through "
    "in the gradient: white box of all that predicts",
}


def _document(record: ProtocolTableRecord) -> Document:
    columns = list(_columns(record))
    rows = ([cell for _, show in columns for cell in (show(row),)] for row in record.rows)
    table = Table.of("Theirs and ours", _CAPTION, tuple(head for head, _ in columns), rows)
    return Document.of(
        f"{record.table}: {record.title}",
        f"{len(record.rows)} of {record.planned} rows",
        Section.of("Theirs and ours", table, Notes(tuple(_notes(record)))),
        Section.of("Accuracy over eps", *eps_plots(record).values()),
        settings_section(record, {"Run": record.settings}),
    )


def _columns(record: ProtocolTableRecord) -> Iterator[tuple[str, Any]]:
    """Yield heading and cell of every column; protocols that were not run have none."""
    yield "data", lambda row: row.dataset
    yield "model", lambda row: row.model
    yield "training", lambda row: row.base
    yield "clean, printed", lambda row: printed(row.printed_clean)
    yield "clean, ours", lambda row: f"{row.clean.value:.1%}"
    outcomes = list(_outcomes(record))
    if outcomes:
        yield "eps", lambda row: eps_words(row.eps, row.dataset)
        yield "FGSM, printed", lambda row: printed(row.printed_robust)
    for name in PROTOCOLS:
        there = [outcome for outcome in outcomes if outcome.protocol == name]
        if there:
            yield f"{name}: FGSM", _cell(name, lambda one: f"{one.after_fgsm.value:.1%}")
        if any(";" in outcome.worst_of for outcome in there):
            yield f"{name}: worst of all", _cell(name, lambda one: with_interval(one.worst))
        if any(outcome.free is not None for outcome in there):
            yield f"{name}: free", _cell(name, _free)


def _cell(protocol: str, show: Any) -> Any:
    def cell(row: ProtocolRow) -> str:
        outcome = row.under(protocol)
        return "" if outcome is None else str(show(outcome))

    return cell


def _free(outcome: ProtocolOutcome) -> str:
    return "" if outcome.free is None else f"{outcome.free:.1%}"


def _outcomes(record: ProtocolTableRecord) -> Iterator[ProtocolOutcome]:
    for row in record.rows:
        yield from row.outcomes


def _notes(record: ProtocolTableRecord) -> Iterator[str]:
    if not record.complete:
        yield f"unfinished: {len(record.rows)} of {record.planned}"
    for name in PROTOCOLS:
        there = [outcome for outcome in _outcomes(record) if outcome.protocol == name]
        if there:
            start = max(outcome.start for outcome in there)
            yield f"{name}: {_STARTS[name].format(start=f'{start:.4g}')}"
    if any(outcome.free is not None for outcome in _outcomes(record)):
        yield (
            "free: input values of the images that attackers start from which reach a second code "
            "within the budget; where it is 0 % no attack can change what the network sees"
        )
    yield from differences(record.rows)
    yield from dict.fromkeys(
        f"worst of, {row.precision}, {one.protocol}: {one.worst_of}"
        for row in record.rows
        for one in row.outcomes
        if ";" in one.worst_of
    )
    yield from dict.fromkeys(
        f"network, {row.dataset}, {row.model}: {row.network}" for row in record.rows
    )


def eps_plots(record: ProtocolTableRecord) -> dict[str, Drawing]:
    """Return a figure over eps for each data set whose rows are at several budgets."""
    plots: Plots = {}
    for row in record.rows:
        full, dashed = row.under("raw"), row.under("paper")
        if full is None or dashed is None:
            continue
        clean = Share.of_bits(row.correct)
        lines = plots.setdefault(row.dataset, {})
        start = [(0.0, clean, clean, row.printed_clean)]
        line = lines.setdefault(f"{row.model}, {row.base}", start)
        line.append((row.eps, full.worst, dashed.after_fgsm, row.printed_robust))
    return drawings(
        plots,
        "Full lines are the per-example worst of all attacks from the raw images with 95 % Wilson "
        "intervals, dashed ones FGSM from the cell centres, as in the paper; eps 0 is the clean "
        "accuracy of the attacked examples. Crosses are printed.",
    )


def eps_figures(
    record: Record, certificates: CertificateTableRecord | None = None
) -> dict[str, bytes]:
    """Return the drawings of a published table or figure of any kind, by data set, as SVG.

    Args:
        record: The table.
        certificates: What was certified of the same defence, drawn into those of a `TableRecord`.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plots = plots_over_eps(record, certificates)
    return {name: draw(plot.paint) for name, plot in plots.items()}


def plots_over_eps(
    record: Record, certificates: CertificateTableRecord | None = None
) -> dict[str, Drawing]:
    """Return what `eps_figures` draws, by data set; empty for other kinds and single budgets.

    Over eps, but for pixels, whose picture is their histogram.
    """
    if isinstance(record, ProtocolTableRecord):
        return eps_plots(record)
    if isinstance(record, CertifiedFigureRecord):
        return certified_plots(record)
    if isinstance(record, PixelFigureRecord):
        return pixel_plots(record)
    return published.eps_plots(record, certificates) if isinstance(record, TableRecord) else {}


def _norms(record: ActivationRecord) -> Table:
    shares = ("5 %", "25 %", "median", "75 %", "95 %")
    return Table.of(
        "L1 norms",
        f"{record.title}; quantiles over the images, over the network's own median on clean ones",
        (
            "network",
            "weights",
            "eps",
            *(f"#{share}" for share in shares),
            "#median, a unit",
            "right",
        ),
        (
            (
                row.architecture,
                row.precision,
                f"{row.eps:g}",
                *(f"{norm / record.scale(row):.3f}" for norm in row.norms),
                f"{row.norms[2]:.4g}",
                f"{row.accuracy.value:.1%}",
            )
            for row in record.rows
        ),
    )


def _plot_norms(record: ActivationRecord, axes: Any) -> None:
    """Draw the middle 90 % of each row as a bar, the middle half thicker, the median as a mark."""
    names = list(dict.fromkeys((row.architecture, row.precision) for row in record.rows))
    for place, row in enumerate(record.rows):
        which = names.index((row.architecture, row.precision))
        low, lower, middle, upper, high = (norm / record.scale(row) for norm in row.norms)
        look = {"color": COLOURS[which % len(COLOURS)], "solid_capstyle": "butt"}
        axes.plot([low, high], [place, place], linewidth=1.2, **look)
        axes.plot([lower, upper], [place, place], linewidth=5, **look)
        axes.plot([middle], [place], marker=MARKERS[which % len(MARKERS)], color="white", ms=4)
    axes.set_yticks(range(len(record.rows)), [_label(row) for row in record.rows], fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="L1 norm over the median on clean images")


def _label(row: ActivationRow) -> str:
    return f"{row.architecture.split()[0]} {row.precision}, eps {row.eps:g}"


def _training(record: ActivationRecord) -> tuple[Notes]:
    lines = (f"{row.architecture}, {row.precision}: {row.network}" for row in record.rows)
    return (Notes(tuple(dict.fromkeys(lines))),)


TABLES = View(_document)
ACTIVATIONS = measured("First-layer activations", _norms, _plot_norms, _training)
