"""The page of a certificate."""

from collections import Counter

import numpy as np

from art_disc.core.records import VERDICTS, CertificateRecord, DivergenceRecord, Setting
from art_disc.report.histograms import free_pixel_plot
from art_disc.report.page import environment_rows, fill, made_by
from art_disc.report.reading import lower_percent, percent
from art_disc.report.table import Body, Cell, Row, Table, columns, number_cell
from art_disc.report.tables import setting_rows

TEMPLATE = "certificate.html.j2"
AnyCertificate = CertificateRecord | DivergenceRecord
MEANINGS = {
    "certified": "every input within eps is classified correctly",
    "falsified": "some input within eps, possibly the clean one, is classified wrongly",
    "undecided": "neither was shown; counts against the defence",
}

VOTED = {
    **MEANINGS,
    "certified": "with the confidence below, a single draw favours the label over every other "
    "class for every input within eps, so that a majority of enough draws is right",
    "undecided": "that was not shown; counts against the defence",
}


def certificate_page(record: AnyCertificate) -> str:
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
        quantity=_quantity(record),
        limit_note=_limit_note(record),
        plot=free_pixel_plot(record) if isinstance(record, CertificateRecord) else None,
        spent=_spent(record),
        facts=(
            ("Run", setting_rows(_run(record))),
            ("Environment", environment_rows(record.environment)),
        ),
    )


def _verdicts(record: AnyCertificate) -> Table:
    total = len(record.verdicts)
    meanings = MEANINGS if isinstance(record, CertificateRecord) else VOTED
    rows = tuple(
        Row(
            (
                Cell(verdict),
                Cell(meanings[verdict]),
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


def _reasons(record: AnyCertificate) -> Table | None:
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


def _part(record: AnyCertificate, verdict: str) -> str:
    total = len(record.verdicts)
    return percent(record.count(verdict) / total, total) if total else "not measured"


def _quantity(record: AnyCertificate) -> str:
    if record.settings.get("labels", "given") == "given":
        return "certified accuracy"
    what = "votes" if isinstance(record, DivergenceRecord) else "predictions"
    return f"share of certified {what} (right or wrong)"


def _limit_note(record: AnyCertificate) -> str:
    exact = "exact one-sided limit after Clopper and Pearson, for examples drawn independently"
    if isinstance(record, CertificateRecord):
        return exact
    return f"{exact}, less the {1 - record.confidence:.3g} with which a verdict may be wrong"


def _run(record: AnyCertificate) -> dict[str, Setting]:
    facts: dict[str, Setting] = {"method": record.method, "eps": record.eps}
    if isinstance(record, DivergenceRecord):
        facts |= {"bound": record.bound, "draws": record.draws, "confidence": record.confidence}
    return facts | record.settings


def _spent(record: AnyCertificate) -> tuple[tuple[str, str], ...]:
    if not record.verdicts:
        return ()
    if isinstance(record, DivergenceRecord):
        return (
            ("votes, in all", f"{record.draws * len(record.verdicts):,}"),
            ("lowest probability under attack, median", f"{np.median(record.lowest):.3g}"),
            ("seconds", f"{record.seconds:,.1f}"),
        )
    sizes = np.asarray(record.log2_images)
    return (
        ("free pixels, median", f"{np.median(record.free_pixels):g}"),
        ("free pixels, largest", f"{max(record.free_pixels):,}"),
        ("reachable code images, median", f"2^{np.median(sizes):.3g}"),
        ("reachable code images, largest", f"2^{sizes.max():.3g}"),
        ("code images classified, in all", f"{sum(record.evaluated):,}"),
        ("seconds", f"{record.seconds:,.1f}"),
    )
