"""The attack zoo: the matrix of attacks and classifiers."""

from collections.abc import Iterable

from art_disc.core.records.zoo import ZooCell, ZooRecord
from art_disc.report.document import Document, Notes, Notice, Paragraph, Section
from art_disc.report.table import Table
from art_disc.report.views import View, settings_section

LEGEND = (
    "7>1: of the images that were right, 7, the attack left 1 right by a fresh prediction; * it "
    "lowered the accuracy; + by changes beyond the budget, of an attack that takes none. 0: share "
    "of zero gradients among those at the raw input, where there are any. Letters: see below the "
    "table. Few images and steps: what runs, not what is robust."
)


def matrix(record: ZooRecord) -> Section:
    """The matrix, attack by attack, why cells did not run, and how many did what."""
    reasons: dict[str, str] = {}
    rows = [
        (name, *(_cell_words(record, record.cell(name, d), reasons) for d in record.defences))
        for name in record.attacks
    ]
    counts = (
        f"{name}: " + ", ".join(f"{n} {word}" for word, n in record.counts(name).items() if n)
        for name in record.defences
    )
    return Section.of(
        "Matrix",
        Table.of("Matrix", LEGEND, ("attack", *_short(record.defences)), rows),
        Notes((*(f"{letter}: {reason}" for reason, letter in reasons.items()), *counts)),
        Paragraph(LEGEND),
    )


def _short(names: Iterable[str]) -> list[str]:
    """Return names without their parameters where that leaves them different."""
    names = list(names)
    short = [name.partition(":")[0] for name in names]
    return short if len(set(short)) == len(short) else names


def _cell_words(record: ZooRecord, cell: ZooCell, reasons: dict[str, str]) -> str:
    if not cell.finished:
        reason = f"{cell.status}, {cell.reason}"
        return f"{cell.status} {reasons.setdefault(reason, _letter(len(reasons)))}"
    mark = ("*+" if record.beyond(cell) else "*") if cell.status == "lowered" else ""
    zero = f" {cell.zero_share:.0%} 0" if cell.zero_gradients else ""
    passed = f" {cell.bypassed} bypassed" if cell.bypassed else ""
    return f"{cell.clean}>{cell.attacked}{mark} {_time(cell.seconds)}{zero}{passed}"


def _time(seconds: float) -> str:
    """Return seconds with no digit that another run would not find again."""
    return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"


def _letter(i: int) -> str:
    return chr(ord("A") + i) if i < 26 else f"A{i}"


def _document(record: ZooRecord) -> Document:
    run = {
        **{name: getattr(record, name) for name in ("tier", "eps", "seed", "time_limit")},
        **{f"classifier {name}": "; ".join(lines) for name, lines in record.defences.items()},
    }
    unfinished = Notice("alert", "Interrupted:", "later attacks are missing.")
    return Document.of(
        f"Matrix of attacks on {record.dataset.get('name') or 'unnamed data'}",
        f"{len(record.attacks)} attacks, {len(record.defences)} classifiers, "
        f"{len(record.labels)} examples",
        matrix(record),
        Section.of(
            "Flaws",
            None if record.complete else unfinished,
            *(Notice("alert", "FLAW:", flaw) for flaw in record.flaws()),
        ),
        settings_section(
            record,
            {
                "Run": run,
                "Network": record.network,
                **{f"Network of {name}": facts for name, facts in record.networks.items()},
                "Left out": record.left_out,
            },
        ),
    )


VIEW = View(_document)
