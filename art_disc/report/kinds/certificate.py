"""Certificates: one verdict an example, by enumeration or by divergence."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from art_disc.core.records import VERDICTS, CertificateRecord, DivergenceRecord, Setting
from art_disc.report.certificates import AnyCertificate, certificate_counts
from art_disc.report.document import Document, Paragraph, Section
from art_disc.report.drawing import Drawing
from art_disc.report.histograms import free_pixel_plot
from art_disc.report.reading import lower_percent, percent
from art_disc.report.table import Cell, Table, row
from art_disc.report.views import View, settings_section

_PROVED = {
    "certified": "every input within eps is classified correctly",
    "falsified": "some input within eps, possibly the clean one, is classified wrongly",
    "undecided": "neither was shown; counts against the defence",
}
_VOTED = {
    **_PROVED,
    "certified": "with the confidence below, a single draw favours the label over every other "
    "class for every input within eps, so that a majority of enough draws is right",
    "undecided": "that was not shown; counts against the defence",
}


def _text(record: AnyCertificate) -> str:
    return certificate_counts([record]).text()


def _summary(record: AnyCertificate) -> dict[str, Any]:
    total, proved = len(record.verdicts), {}
    if isinstance(record, CertificateRecord):
        clean = record.correct.count(False) if record.correct else None
        proved = {
            "wrong_when_clean": clean,
            "unbroken_acc": record.unbroken if total else None,
            "carried": sum(eps is not None for eps in record.decided_at),
        }
    return {
        "method": record.method,
        "eps": record.eps,
        "assumes": record.assumes,
        "total": total,
        **{verdict: record.count(verdict) for verdict in VERDICTS},
        **proved,
        "certified_acc": record.certified_accuracy if total else None,
        "lower_limit_99": record.lower_limit(0.99) if total else None,
        "reasons": dict(Counter(filter(None, record.reasons)).most_common()),
        "seconds": record.seconds,
    }


def _proved(record: CertificateRecord) -> Document:
    return _document(
        record,
        _verdicts(record, _PROVED),
        _headline(record, "predictions"),
        run=("method", "eps"),
        spent=_enumerated,
        plot=free_pixel_plot(record),
    )


def _voted(record: DivergenceRecord) -> Document:
    doubt = f", less the {1 - record.confidence:.3g} with which a verdict may be wrong"
    return _document(
        record,
        _verdicts(record, _VOTED),
        _headline(record, "votes", doubt),
        run=("method", "eps", "bound", "draws", "confidence"),
        spent=_counted,
    )


def _document(
    record: AnyCertificate,
    verdicts: Table,
    headline: Paragraph,
    *,
    run: Sequence[str],
    spent: Callable[[Any], dict[str, Setting]],
    plot: Drawing | None = None,
) -> Document:
    reasons = Counter(filter(None, record.reasons)).most_common()
    facts = {name: getattr(record, name) for name in run} | record.settings
    cost = {**spent(record), "seconds": f"{record.seconds:,.1f}"} if record.verdicts else {}
    return Document.of(
        f"Certificate by {record.method} at eps {record.eps:.4g}",
        f"{len(record.verdicts)} examples",
        Section.of(
            "Verdict",
            verdicts,
            headline,
            Paragraph(record.assumes, title="What the verdicts assume"),
        ),
        Section.of(
            "Why examples are undecided",
            Table.of(
                "Reasons",
                "Reasons, the most frequent first",
                ("Reason", "#Examples"),
                reasons,
                look="attacks",
            ),
        ),
        Section.of("Free pixels", plot),
        settings_section(record, {"Cost": cost, "Run": facts}, "Settings and cost"),
    )


def _verdicts(record: AnyCertificate, meanings: dict[str, str]) -> Table:
    total = len(record.verdicts)
    counts = {verdict: record.count(verdict) for verdict in VERDICTS}
    return Table.of(
        "Verdict",
        f"Verdicts at eps {record.eps:.4g} for {total} examples",
        ("Verdict", "Meaning", "#Examples", "#Share"),
        (
            row(
                verdict,
                meanings[verdict],
                f"{count} of {total}",
                Cell(percent(count / total, total) if total else "not measured", look="value"),
                look="headline-row" if verdict == "certified" else "",
            )
            for verdict, count in counts.items()
        ),
        look="verdict",
        sortable=False,
    )


def _headline(record: AnyCertificate, quantity: str, doubt: str = "") -> Paragraph:
    if not record.verdicts:
        return Paragraph("No example was judged.")
    given = record.settings.get("labels", "given") == "given"
    of = "certified accuracy" if given else f"share of certified {quantity} (right or wrong)"
    return Paragraph(
        f"With 99% confidence the {of} on the distribution of the examples is at least "
        f"{lower_percent(record.lower_limit(0.99))} (exact one-sided limit after Clopper and "
        f"Pearson, for examples drawn independently{doubt}).",
        look="headline",
    )


def _counted(record: DivergenceRecord) -> dict[str, Setting]:
    return {
        "votes, in all": f"{record.draws * len(record.verdicts):,}",
        "lowest probability under attack, median": f"{np.median(record.lowest):.3g}",
    }


def _enumerated(record: CertificateRecord) -> dict[str, Setting]:
    sizes = np.asarray(record.log2_images)
    carried = sum(eps is not None for eps in record.decided_at)
    told = {"score noise, largest": record.noise, "score margin": record.margin}
    return {
        # of the largest score of an image; records of before they were measured have neither
        **{name: f"{value:.2g}" for name, value in told.items() if value is not None},
        "free pixels, median": f"{np.median(record.free_pixels):g}",
        "free pixels, largest": f"{max(record.free_pixels):,}",
        "reachable code images, median": f"2^{np.median(sizes):.3g}",
        "reachable code images, largest": f"2^{sizes.max():.3g}",
        "code images classified, in all": f"{sum(record.evaluated):,}",
        **({"wrong when clean": record.correct.count(False)} if record.correct else {}),
        **({"verdicts of other budgets": carried} if carried else {}),
    }


ENUMERATION = View(_proved, _text, _summary)
DIVERGENCE = View(_voted, _text, _summary)
