"""Certificates over budgets: the counts as a table, and both ends of the accuracy as a plot."""

from collections.abc import Sequence
from typing import Any

from art_disc.core.records import VERDICTS, CertificateRecord, DivergenceRecord
from art_disc.core.records.certificate import CertificateCurveRecord
from art_disc.report.drawing import (
    BLUE,
    GREEN,
    INK,
    SHADE,
    label_eps,
    new_axes,
    one_label,
    together,
)
from art_disc.report.reading import lower_percent, percent
from art_disc.report.table import Cell, Content, Table

AnyCertificate = CertificateRecord | DivergenceRecord


def certificate_counts(records: Sequence[AnyCertificate], *, unable: int | None = None) -> Table:
    """The verdicts of several certificates, one budget a row.

    Args:
        records: Of the same examples.
        unable: Also count examples with more than 2^`unable` reachable code images, which the
            papers gave up.
    """
    enumerable = [] if unable is None else [f"#unable (b {unable})"]
    heads = (
        "#eps", *(f"#{verdict}" for verdict in VERDICTS), *enumerable, "#wrong when clean",
        "#certified share", "#unbroken share", "#99 % lower limit", "#of",
    )  # fmt: skip
    return Table.of(
        "Verdicts",
        "Verdicts by budget. Robust accuracy lies between the certified and the unbroken share "
        "(that of examples not falsified); the lower limit is the exact one-sided 99% limit of the "
        "certified accuracy, for examples drawn independently. Those wrong when clean are among "
        "the falsified, or undecided where that is not clear.",
        heads,
        (_counts(record, unable) for record in records),
        sortable=False,
    )


def _counts(record: AnyCertificate, unable: int | None) -> list[Content]:
    total = len(record.verdicts)
    proved = record if isinstance(record, CertificateRecord) else None
    correct = proved.correct if proved else ()
    cells: list[Content] = [Cell(f"{record.eps:.4g}", sort=record.eps)]
    cells += [str(record.count(verdict)) for verdict in VERDICTS]
    if unable is not None:
        cells.append(str(proved.unable(unable)) if proved else "")
    cells.append(str(correct.count(False)) if correct else "")
    if not total:
        return [*cells, "", "", "", "0"]
    cells.append(percent(record.certified_accuracy, total))
    # nothing is falsified by votes
    cells.append(percent(record.unbroken, total) if proved else "")
    return [*cells, lower_percent(record.lower_limit()), str(total)]


def curve_plot(record: CertificateCurveRecord, ax: Any = None) -> Any:
    """Draw certified, unbroken and clean accuracy over eps, and what is undecided shaded.

    Args:
        record: Of `metrics.certificate_curve(...)`.
        ax: Axes of matplotlib; None: new ones.

    Returns:
        The Axes.

    Raises:
        MissingExtraError: There are no Axes, and matplotlib is not installed.
    """
    axes = ax or new_axes()
    clean = 100 * record.clean.value
    # without a change, what is right is certified
    at = [0.0, *(found.eps for found in record.certificates)]
    ends = {
        # 1 - 0.3 is not 0.7
        name: [clean, *(round(100 * getattr(found, end), 9) for found in record.certificates)]
        for name, end in {"not falsified": "unbroken", "certified": "certified_accuracy"}.items()
    }
    unbroken, certified = ends.values()
    if certified != unbroken:
        axes.fill_between(at, certified, unbroken, color=SHADE, label="undecided", linewidth=0)
    axes.axhline(clean, color=INK, linestyle=":", label="clean")
    looks = {"not falsified": (BLUE, "v", "--"), "certified": (GREEN, "o", "-")}
    for names, line in together(ends).items():
        colour, marker, dashes = looks[names[-1]]
        look = {"color": colour, "marker": marker, "linestyle": dashes, "clip_on": False}
        axes.plot(at, line, label=one_label(names), **look)
    label_eps(axes, "accuracy (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=10)
    return axes
