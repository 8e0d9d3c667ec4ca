"""Published tables run again: their numbers beside ours."""

from art_disc.core.records.certificate_table import CertificateTableRecord, CertificateTableRow
from art_disc.core.records.classes import ClassesRecord, ClassesRow
from art_disc.core.records.table import Gain, TableRecord, TableRow
from art_disc.report.document import Document, Notes, Section
from art_disc.report.published_figure import eps_plots
from art_disc.report.settings import settings_section
from art_disc.report.table import Table
from art_disc.report.views import View

_ACCURACIES = (
    "data", "setting", "defence", "eps", "clean, printed", "clean, ours", "robust, printed",
    "papers' attack, ours", "worst white box, ours", "worst of all, ours", "gain over base",
)  # fmt: skip
_CERTIFICATES = (
    "eps", "b", "unable, printed", "ours, their floats", "ours, exact", "success, printed",
    "ours, certified", "falsified", "undecided", "lower limit, printed", "ours, exact 99%",
)  # fmt: skip
_CLASSES = (
    "data", "k", "learned from", "eps", "images", "printed", "ours, exact", "their rule",
    "log_k classes",
)  # fmt: skip
_CAPTION = "Percentages, with 95 % intervals where they are given; printed: the paper's own number"


def eps_words(eps: float, dataset: str) -> str:
    """Return a budget as the paper writes it: n/255 for colour images."""
    levels = round(255 * eps, 6)
    grey = dataset in ("mnist", "fashion_mnist")
    return f"{eps:g}" if grey or levels != round(levels) else f"{levels:g}/255"


def _document(record: TableRecord) -> Document:
    gains = record.gains()
    rows = (_cells(row, gains.get(place)) for place, row in enumerate(record.rows))
    return Document.of(
        f"{record.table}: {record.title}",
        f"{len(record.rows)} of {record.planned} rows",
        Section.of(
            "Theirs and ours",
            Table.of("Theirs and ours", _CAPTION, _ACCURACIES, rows),
            Notes(tuple(_notes(record))),
        ),
        Section.of("Accuracy over eps", *eps_plots(record).values()),
        settings_section(record, {"Run": record.settings}),
    )


def _cells(row: TableRow, gain: Gain | None) -> tuple[str, ...]:
    low, high = row.worst.interval
    return (
        row.dataset,
        row.setting,
        row.defence or "none",
        eps_words(row.eps, row.dataset),
        _printed(row.printed_clean),
        f"{row.clean.value:.1%}",
        _printed(row.printed_robust),
        f"{row.papers_attack.value:.1%}",
        f"{row.white_box.value:.1%}",
        f"{row.worst.value:.1%} [{low:.1%}, {high:.1%}]",
        _gain_words(gain),
    )


def _gain_words(gain: Gain | None) -> str:
    """Return a gain in percentage points with its paired interval; `*` where it is significant."""
    if gain is None:
        return ""
    star = " *" if gain.significant else ""
    return f"{100 * gain.difference:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]{star}"


def _printed(value: float | None) -> str:
    return "" if value is None else f"{value:g}%"


def _notes(record: TableRecord) -> list[str]:
    together: dict[str, list[str]] = {}
    for row in record.rows:
        for phrase in row.differs:
            where = together.setdefault(phrase, [])
            if row.dataset not in where:
                where.append(row.dataset)
    budgets = dict.fromkeys(f"{row.dataset}: {row.worst_of}" for row in record.rows if row.defence)
    networks = dict.fromkeys(f"{row.dataset}, {row.setting}: {row.network}" for row in record.rows)
    return [
        *_left_out(record),
        "gain: worst case of the row minus that of its undefended base, percentage points, on the "
        "same images; * McNemar p below 0.05, adjusted for the number of rows (Holm)",
        *(f"differs ({', '.join(where)}): {phrase}" for phrase, where in together.items()),
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


def _certificates(record: CertificateTableRecord) -> Document:
    settings = record.settings
    notes = (
        f"network: {record.network}",
        f"codebook and network from {settings['train_images']} training images, theirs 55000; "
        f"certified: the first {settings['n_ex']} test images up to 2^{settings['max_free']} code "
        "images, theirs all up to 2^b",
    )
    rows = map(_certified, record.rows)
    return Document.of(
        f"{record.table}: {record.title}",
        f"{len(record.rows)} budgets",
        Section.of(
            "Theirs and ours",
            Table.of("Theirs and ours", _CAPTION, _CERTIFICATES, rows),
            Notes(notes),
        ),
        settings_section(record, {"Run": record.settings}),
    )


def _certified(row: CertificateTableRow) -> tuple[str, ...]:
    return (
        f"{row.eps:g}",
        str(row.bits),
        f"{row.printed_unable:g}%",
        f"{row.unable_float / row.images:.2%}",
        f"{row.unable_exact / row.images:.2%}",
        f"{row.printed_success:g}%",
        f"{row.certified / row.total:.1%} of {row.total}, b {row.max_bits}",
        f"{row.falsified / row.total:.1%}",
        f"{row.undecided / row.total:.1%}",
        f"{row.printed_limit:g}%",
        f"{row.limit:.1%}",
    )


def _classes(record: ClassesRecord) -> Document:
    caption = "Median of (1/d) log_k of the code images that a budget reaches"
    return Document.of(
        f"{record.figure}: {record.title}; median of (1/d) log_k",
        f"{len(record.rows)} panels",
        Section.of(
            "Theirs and ours", Table.of("Medians", caption, _CLASSES, map(_panel, record.rows))
        ),
        settings_section(record, {}),
    )


def _panel(row: ClassesRow) -> tuple[str, ...]:
    return (
        row.dataset,
        str(row.n_codes),
        f"{row.train_images} images",
        eps_words(row.eps, row.dataset),
        str(row.images),
        f"{row.printed:g}",
        f"{row.exact:.3f}",
        f"{row.paper:.3f}",
        f"{row.exponent:.1f}",
    )


CLASSES = View(_classes)
ACCURACIES = View(_document)
CERTIFICATES = View(_certificates)
