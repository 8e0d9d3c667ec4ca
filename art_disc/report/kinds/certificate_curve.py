"""Certificates over budgets: certified, undecided and falsified of the same examples."""

from functools import partial
from typing import Any

from art_disc.core.records.base import Share
from art_disc.core.records.certificate import CertificateCurveRecord, CertificateRecord
from art_disc.report.certificates import certificate_counts, curve_plot
from art_disc.report.document import Document, Paragraph, Section
from art_disc.report.drawing import Drawing
from art_disc.report.reading import line_words
from art_disc.report.views import View, settings_section, summarise


def _document(record: CertificateCurveRecord) -> Document:
    found = record.certificates
    total = len(found[-1].verdicts) if found else 0
    stopped = "The run was stopped before its last budget; what it finished is here."
    return Document.of(
        "Certificates over budgets",
        f"{total} examples",
        Section.of(
            "Accuracy over eps",
            None if record.complete else Paragraph(stopped, look="headline"),
            _plot(record) if total and found[0].correct else None,
            certificate_counts(found),
            *(Paragraph(_carried(one)) for one in found if any(_others(one))),
            Paragraph(found[-1].assumes, title="What the verdicts assume") if found else None,
        ),
        settings_section(
            record,
            {
                "Cost": {"seconds": f"{record.seconds:,.1f}"},
                "Run": {"method": found[-1].method, **found[-1].settings} if found else {},
            },
            "Settings and cost",
        ),
    )


def _others(record: CertificateRecord) -> list[float]:
    return [eps for eps in record.decided_at if eps is not None]


def _carried(record: CertificateRecord) -> str:
    """Say which verdicts of a budget were decided at another."""
    pairs = list(zip(record.verdicts, record.decided_at or [None], strict=False))
    certified, falsified = (
        sum(verdict == word and at is not None for verdict, at in pairs)
        for word in ("certified", "falsified")
    )
    return (
        f"eps {record.eps:.4g}: {certified} certified examples were certified at a larger budget, "
        f"{falsified} falsified ones by a witness that was found at another budget and lies within "
        "this one."
    )


def _plot(record: CertificateCurveRecord) -> Drawing:
    found = record.certificates
    certified = {one.eps: Share(one.count("certified"), len(one.verdicts)) for one in found}
    broken = {one.eps: Share(one.count("falsified"), len(one.verdicts)) for one in found}
    return Drawing(
        partial(_paint, record=record),
        f"Plot of accuracy over eps. Clean: {record.clean}. Certified: {line_words(certified)}. "
        f"Falsified: {line_words(broken)}.",
        "Certified: no change within eps does harm. Not falsified: none was found that does. "
        "Robust accuracy lies in the shaded area between.",
        height=4.4,
    )


def _paint(figure: Any, *, record: CertificateCurveRecord) -> None:
    curve_plot(record, figure.add_subplot())


def _summary(record: CertificateCurveRecord) -> dict[str, Any]:
    found = record.certificates
    return {
        "complete": record.complete,
        "clean": record.clean.count if found and found[0].correct else None,
        "certificates": [summarise(one) for one in found],
        "seconds": record.seconds,
    }


def _text(record: CertificateCurveRecord) -> str:
    return certificate_counts(record.certificates).text()


VIEW = View(_document, _text, _summary)
