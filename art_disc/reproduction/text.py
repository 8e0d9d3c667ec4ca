"""A table in words: their numbers beside ours, for the terminal and as Markdown."""

from collections.abc import Sequence

from art_disc.core.records.certificate_table import CertificateTableRecord
from art_disc.core.records.classes import ClassesRecord
from art_disc.core.records.table import Gain, TableRecord, TableRow

HEADER = (
    "data", "setting", "defence", "eps", "clean, printed", "clean, ours", "robust, printed",
    "papers' attack, ours", "worst white box, ours", "worst of all, ours", "gain over base",
)  # fmt: skip


def table_cells(record: TableRecord) -> list[tuple[str, ...]]:
    """Return one row of words for each row of the table; percent with 95 % intervals."""
    gains = record.gains()
    return [_cells(row, gains.get(place)) for place, row in enumerate(record.rows)]


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
        gain_words(gain),
    )


def gain_words(gain: Gain | None) -> str:
    """Return a gain in percentage points with its paired interval; `*` where it is significant."""
    if gain is None:
        return ""
    star = " *" if gain.significant else ""
    return f"{100 * gain.difference:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]{star}"


def eps_words(eps: float, dataset: str) -> str:
    """Return a budget as the paper writes it: n/255 for colour images."""
    levels = round(255 * eps, 6)
    grey = dataset in ("mnist", "fashion_mnist")
    return f"{eps:g}" if grey or levels != round(levels) else f"{levels:g}/255"


def _printed(value: float | None) -> str:
    return "" if value is None else f"{value:g}%"


def as_text(record: TableRecord) -> str:
    """Return the table for a terminal."""
    title = f"{record.table}: {record.title}"
    return "\n".join([title, *_aligned([HEADER, *table_cells(record)]), *_notes(record)])


def as_markdown(record: TableRecord) -> str:
    """Return the table as Markdown, with what differs from the paper below it."""
    lines = [_line(HEADER), _line(["---"] * len(HEADER)), *map(_line, table_cells(record))]
    notes = [f"- {note}" for note in _notes(record)]
    return "\n".join([f"# {record.table}: {record.title}", "", *lines, "", *notes, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _notes(record: TableRecord) -> list[str]:
    unfinished = [] if record.complete else [f"unfinished: {len(record.rows)} of {record.planned}"]
    asked = [
        f"{name} {record.settings[key]}"
        for key, name in (("datasets", "data sets"), ("rows", "settings"), ("n_codes", "codes"))
        if record.settings.get(key, "all") != "all"
    ]
    if asked:
        unfinished.append(
            f"rows of the printed table that were asked for, and their bases: {'; '.join(asked)}"
        )
    together: dict[str, list[str]] = {}
    for row in record.rows:
        for phrase in row.differs:
            where = together.setdefault(phrase, [])
            if row.dataset not in where:
                where.append(row.dataset)
    budgets = dict.fromkeys(f"{row.dataset}: {row.worst_of}" for row in record.rows if row.defence)
    networks = dict.fromkeys(f"{row.dataset}, {row.setting}: {row.network}" for row in record.rows)
    return [
        *unfinished,
        "gain: worst case of the row minus that of its undefended base, percentage points, on the "
        "same images; * McNemar p below 0.05, adjusted for the number of rows (Holm)",
        *(f"differs ({', '.join(where)}): {phrase}" for phrase, where in together.items()),
        *(f"worst of, {line}" for line in budgets),
        *(f"network, {line}" for line in networks),
    ]


def certificates_text(record: CertificateTableRecord) -> str:
    """Return a table of certificates for a terminal; percent of the images."""
    header = (
        "eps", "b", "unable, printed", "ours, their floats", "ours, exact", "success, printed",
        "ours, certified", "falsified", "undecided", "lower limit, printed", "ours, exact 99%",
    )  # fmt: skip
    rows = [
        (
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
        for row in record.rows
    ]
    title = f"{record.table}: {record.title}"
    settings = record.settings
    notes = [
        f"network: {record.network}",
        f"codebook and network from {settings['train_images']} training images, theirs 55000; "
        f"certified: the first {settings['n_ex']} test images up to 2^{settings['max_free']} code "
        "images, theirs all up to 2^b",
    ]
    return "\n".join([title, *_aligned([header, *rows]), *notes])


def classes_text(record: ClassesRecord) -> str:
    """Return the medians of Figure 5 for a terminal."""
    header = (
        "data", "k", "learned from", "eps", "images", "printed", "ours, exact", "their rule",
        "log_k classes",
    )  # fmt: skip
    told = [
        (
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
        for row in record.rows
    ]
    return "\n".join(
        [f"{record.figure}: {record.title}; median of (1/d) log_k", *_aligned([header, *told])]
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
