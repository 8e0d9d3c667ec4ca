"""The page of a certificate."""

from collections import Counter

import numpy as np

from art_disc.core.records import VERDICTS, CertificateRecord
from art_disc.report.histograms import free_pixel_plot
from art_disc.report.page import environment_rows, fill, made_by
from art_disc.report.reading import lower_percent, percent
from art_disc.report.table import Body, Cell, Row, Table, columns, number_cell
from art_disc.report.tables import setting_rows

TEMPLATE = "certificate.html.j2"
MEANINGS = {
    "certified": "every input within eps is classified correctly",
    "falsified": "some input within eps, possibly the clean one, is classified wrongly",
    "undecided": "neither was shown; counts against the defence",
}


def certificate_page(record: CertificateRecord) -> str:
    """Return the page of a certificate as HTML, complete in itself.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    total = len(record.verdicts)
    return fill(
        TEMPLATE,
        title=f"Certificate by {record.method} at eps {record.eps:.4g}",
        made_by=made_by(record),
        record=record,
        total=total,
        verdicts=_verdicts(record),
        lower_limit=lower_percent(record.lower_limit(0.99)) if total else None,
        reasons=_reasons(record),
        plot=free_pixel_plot(record),
        spent=_spent(record),
        facts=(
            ("Run", setting_rows({"method": record.method, "eps": record.eps, **record.settings})),
            ("Environment", environment_rows(record.environment)),
        ),
    )


def _verdicts(record: CertificateRecord) -> Table:
    total = len(record.verdicts)
    rows = tuple(
        Row(
            (
                Cell(verdict),
                Cell(MEANINGS[verdict]),
                Cell(f"{record.count(verdict)} of {total}"),
                Cell(_part(record, verdict), look="value"),
            ),
            look="headline-row" if verdict == "certified" else "",
        )
        for verdict in VERDICTS
    )
    return Table(
        label="Verdict",
        caption=f"Verdicts at eps {record.eps:.4g} for {total} examples",
        columns=columns("Verdict", "Meaning", "#Examples", "#Share"),
        bodies=(Body(rows),),
        look="verdict",
        sortable=False,
    )


def _reasons(record: CertificateRecord) -> Table | None:
    found = Counter(filter(None, record.reasons)).most_common()
    if not found:
        return None
    return Table(
        label="Reasons",
        caption="Reasons, the most frequent first",
        columns=columns("Reason", "#Examples"),
        bodies=(Body(tuple(Row((Cell(why), number_cell(count))) for why, count in found)),),
        look="attacks",
    )


def _part(record: CertificateRecord, verdict: str) -> str:
    total = len(record.verdicts)
    return percent(record.count(verdict) / total, total) if total else "not measured"


def _spent(record: CertificateRecord) -> tuple[tuple[str, str], ...]:
    if not record.verdicts:
        return ()
    sizes = np.asarray(record.log2_images)
    return (
        ("free pixels, median", f"{np.median(record.free_pixels):g}"),
        ("free pixels, largest", f"{max(record.free_pixels):,}"),
        ("reachable code images, median", f"2^{np.median(sizes):.3g}"),
        ("reachable code images, largest", f"2^{sizes.max():.3g}"),
        ("code images classified, in all", f"{sum(record.evaluated):,}"),
        ("seconds", f"{record.seconds:,.1f}"),
    )
