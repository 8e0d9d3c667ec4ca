"""Published tables run again: their numbers beside ours."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

from art_disc.core.records.base import Share
from art_disc.core.records.protocols import ProtocolRow
from art_disc.core.records.published import (
    CertificateTableRecord,
    CertificateTableRow,
    ClassesRecord,
    ClassesRow,
    Gain,
    TableRecord,
    TableRow,
)
from art_disc.core.records.purifiers import PurifierRow
from art_disc.report.document import Document, Notes, Section
from art_disc.report.drawing import COLOURS, GREY, INK, MARKERS, Drawing, error_bars
from art_disc.report.reading import lower_percent
from art_disc.report.table import Table
from art_disc.report.views import View, settings_section

_CAPTION = "Percentages, with 95 % intervals where they are given; printed: the paper's own number"
_ACCURACIES: dict[str, Callable[[TableRow], str]] = {
    "data": lambda row: row.dataset,
    "setting": lambda row: row.setting,
    "defence": lambda row: row.defence or "none",
    "eps": lambda row: eps_words(row.eps, row.dataset),
    "clean, printed": lambda row: printed(row.printed_clean),
    "clean, ours": lambda row: f"{row.clean.value:.1%}",
    "robust, printed": lambda row: printed(row.printed_robust),
    "papers' attack, ours": lambda row: f"{row.papers_attack.value:.1%}",
    "worst white box, ours": lambda row: f"{row.white_box.value:.1%}",
    "worst of all, ours": lambda row: with_interval(row.worst),
}
_CERTIFICATES: dict[str, Callable[[CertificateTableRow], str]] = {
    "eps": lambda row: f"{row.eps:g}",
    "b": lambda row: str(row.bits),
    "unable, printed": lambda row: f"{row.printed_unable:g}%",
    "ours, their floats": lambda row: f"{row.unable_float / row.images:.2%}",
    "ours, exact": lambda row: f"{row.unable_exact / row.images:.2%}",
    "success, printed": lambda row: f"{row.printed_success:g}%",
    "ours, certified": lambda row: (
        f"{row.certified / row.total:.1%} of {row.total}"
        f"{f', b {row.max_bits}' if row.method == 'enumeration' else ''}"
    ),
    "fail, printed": lambda row: f"{row.printed_fail:g}%",
    "falsified": lambda row: f"{row.falsified / row.total:.1%}",
    "wrong when clean": lambda row: _part(row.wrong_when_clean, row.total),
    "undecided": lambda row: f"{row.undecided / row.total:.1%}",
    "these, unable": lambda row: _part(row.unable, row.total),
    "lower limit, printed": lambda row: f"{row.printed_limit:g}%",
    "ours, exact 99%": lambda row: lower_percent(row.limit),
}
_CLASSES: dict[str, Callable[[ClassesRow], str]] = {
    "data": lambda row: row.dataset,
    "k": lambda row: str(row.n_codes),
    "learned from": lambda row: f"{row.train_images} images",
    "eps": lambda row: eps_words(row.eps, row.dataset),
    "images": lambda row: str(row.images),
    "printed": lambda row: f"{row.printed:g}",
    "ours, exact": lambda row: f"{row.exact:.3f}",
    "their rule": lambda row: f"{row.paper:.3f}",
    "log_k classes": lambda row: f"{row.exponent:.1f}",
}

# by label: budget, what all attacks left, what the papers' own left, what is printed
Lines = dict[str, list[tuple[float, Share, Share, float | None]]]
Plots = dict[str, Lines]


def eps_words(eps: float, dataset: str) -> str:
    """Return a budget as the paper writes it: n/255 for colour images."""
    levels = round(255 * eps, 6)
    grey = dataset in ("mnist", "fashion_mnist")
    return f"{eps:g}" if grey or levels != round(levels) else f"{levels:g}/255"


def _document(record: TableRecord) -> Document:
    gains = record.gains()
    rows = (
        (*(show(row) for show in _ACCURACIES.values()), _gain_words(gains.get(place)))
        for place, row in enumerate(record.rows)
    )
    heads = (*_ACCURACIES, "gain over base")
    return Document.of(
        f"{record.table}: {record.title}",
        f"{len(record.rows)} of {record.planned} rows",
        _compared(Table.of("Theirs and ours", _CAPTION, heads, rows), _notes(record)),
        Section.of("Accuracy over eps", *eps_plots(record).values()),
        settings_section(record, {"Run": record.settings}),
    )


def _compared(table: Table, notes: Iterable[str]) -> Section:
    return Section.of("Theirs and ours", table, Notes(tuple(notes)))


def _gain_words(gain: Gain | None) -> str:
    """Return a gain in percentage points with its paired interval; `*` where it is significant."""
    if gain is None:
        return ""
    star = " *" if gain.significant else ""
    return f"{100 * gain.difference:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]{star}"


def _part(count: int | None, total: int) -> str:
    return "" if count is None else f"{count / total:.1%}"


def printed(value: float | None) -> str:
    """Return the paper's own number, or nothing where it has none."""
    return "" if value is None else f"{value:g}%"


def with_interval(share: Share) -> str:
    """Return a share with its 95 % interval, in percent."""
    return "{:.1%} [{:.1%}, {:.1%}]".format(share.value, *share.interval)


def differences(rows: Iterable[TableRow | ProtocolRow | PurifierRow]) -> list[str]:
    """Say what differs from the published experiment, each phrase once, with its data sets."""
    together: dict[str, list[str]] = {}
    for row in rows:
        for phrase in row.differs:
            where = together.setdefault(phrase, [])
            if row.dataset not in where:
                where.append(row.dataset)
    return [f"differs ({', '.join(where)}): {phrase}" for phrase, where in together.items()]


def _notes(record: TableRecord) -> list[str]:
    budgets = dict.fromkeys(f"{row.dataset}: {row.worst_of}" for row in record.rows if row.defence)
    networks = dict.fromkeys(f"{row.dataset}, {row.setting}: {row.network}" for row in record.rows)
    return [
        *_left_out(record),
        "gain: worst case of the row minus that of its undefended base, percentage points, on the "
        "same images; * McNemar p below 0.05, adjusted for the number of rows (Holm)",
        *differences(record.rows),
        *(f"worst of, {line}" for line in budgets),
        *(f"network, {line}" for line in networks),
    ]


def _left_out(record: TableRecord) -> list[str]:
    notes = [] if record.complete else [f"unfinished: {len(record.rows)} of {record.planned}"]
    asked = [
        f"{name} {record.settings[key]}"
        for key, name in (("datasets", "data sets"), ("rows", "settings"), ("n_codes", "codes"))
        if record.settings.get(key, "all") != "all"
    ]
    if asked:
        notes.append(
            f"rows of the printed table that were asked for, and their bases: {'; '.join(asked)}"
        )
    return notes


def eps_plots(
    record: TableRecord, certificates: CertificateTableRecord | None = None
) -> dict[str, Drawing]:
    """Return a figure over eps for each data set whose rows are at several budgets.

    Certificates are drawn into each: they are of a figure of one data set.
    """
    plots: Plots = {}
    for row in record.rows:
        clean = Share.of_bits(row.correct)
        # defences without codewords share a setting
        label = row.setting if row.n_codes or not row.defence else row.defence
        start = [(0.0, clean, clean, row.printed_clean)]
        line = plots.setdefault(row.dataset, {}).setdefault(label, start)
        line.append((row.eps, row.worst, row.papers_attack, row.printed_robust))
    found = drawings(
        plots,
        "Full lines are the per-example worst of all attacks with 95 % Wilson intervals, dashed "
        "ones the papers' attack alone; eps 0 is the clean accuracy of the attacked examples. "
        "Crosses are printed.",
    )
    if certificates is None:
        return found
    return {name: _with_certificates(plot, certificates) for name, plot in found.items()}


def _with_certificates(plot: Drawing, record: CertificateTableRecord) -> Drawing:
    def paint(figure: Any) -> None:
        plot.paint(figure)
        _paint_certificates(figure.axes[0], record.rows)

    caption = (
        f"{plot.caption} Dotted: what is certified of {record.table}'s images by "
        f"{record.rows[0].method}, and its 99 % lower limit; their crosses are printed."
    )
    return replace(plot, paint=paint, caption=caption)


def _paint_certificates(axes: Any, rows: Iterable[CertificateTableRow]) -> None:
    lines = {
        "certified": [(r.eps, 100 * r.certified / r.total, r.printed_success) for r in rows],
        "certified, lower limit": [(r.eps, 100 * r.limit, r.printed_limit) for r in rows],
    }
    for (label, points), colour, marker in zip(lines.items(), (INK, GREY), "Pv", strict=True):
        at, ours, theirs = zip(*points, strict=True)
        look = {"color": colour, "markersize": 4}
        axes.plot(at, ours, marker=marker, linestyle=":", linewidth=1.2, label=label, **look)
        axes.plot(at, theirs, marker="x", linestyle="", color=colour)
    axes.legend(fontsize=8, ncols=2)


def drawings(plots: Plots, caption: str) -> dict[str, Drawing]:
    """Return a figure over eps for each data set whose lines have several budgets above 0."""
    return {
        name: Drawing(
            partial(_paint, title=name, lines=lines),
            f"Line plot of accuracy over eps on {name}; its numbers are in the table.",
            caption,
        )
        for name, lines in plots.items()
        if len({eps for line in lines.values() for eps, *_ in line}) > 2
    }


def _paint(figure: Any, *, title: str, lines: Lines) -> None:
    axes = figure.add_subplot()
    width = max(eps for line in lines.values() for eps, *_ in line)
    looks = zip(lines.items(), COLOURS, cycle(MARKERS), strict=False)
    for place, ((label, unsorted), colour, marker) in enumerate(looks):
        points = sorted(unsorted, key=lambda point: point[0])
        budgets, full, dashed, theirs = zip(*points, strict=True)
        # bars that stand a little apart can be told from each other
        at = [eps + 0.006 * width * (place - 2.5) for eps in budgets]
        look = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2}
        error_bars(axes, at, full, elinewidth=0.8, label=label, **look)
        alone = [100 * share.value for share in dashed]
        axes.plot(at, alone, color=colour, linestyle="--", linewidth=0.9)
        there = [(x, y) for x, y in zip(at, theirs, strict=True) if y is not None]
        if there:
            axes.plot(*zip(*there, strict=True), color=colour, linestyle="", marker="x")
    axes.set(xlabel="eps in [0, 1]", ylabel="accuracy (%)", ylim=(-3, 103), title=title)
    axes.legend(fontsize=8, ncols=2)


def _certificates(record: CertificateTableRecord) -> Document:
    asked = record.settings
    which = "a random" if asked.get("sample") == "random" else "the first"
    how = f"by {asked.get('method', 'enumeration')}"
    if how == "by enumeration":
        how = f"up to 2^{asked['max_free']} code images, theirs all up to 2^b"
    notes = (
        f"network: {record.network}",
        f"codebook and network from {asked['train_images']} training images, theirs 55000; "
        f"certified: {which} {asked['n_ex']} test images {how}",
        "unable: more than 2^b reachable code images; *these, unable* are those among the images "
        "that were certified here, which are decided where they can be",
    )
    return Document.of(
        f"{record.table}: {record.title}",
        f"{len(record.rows)} budgets",
        _compared(Table.each("Theirs and ours", _CAPTION, _CERTIFICATES, record.rows), notes),
        settings_section(record, {"Run": record.settings}),
    )


def _classes(record: ClassesRecord) -> Document:
    caption = "Median of (1/d) log_k of the code images that a budget reaches"
    return Document.of(
        f"{record.figure}: {record.title}; median of (1/d) log_k",
        f"{len(record.rows)} panels",
        Section.of("Theirs and ours", Table.each("Medians", caption, _CLASSES, record.rows)),
        settings_section(record, {}),
    )


CLASSES = View(_classes)
ACCURACIES = View(_document)
CERTIFICATES = View(_certificates)
