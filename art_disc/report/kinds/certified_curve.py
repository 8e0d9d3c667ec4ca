"""Certified accuracy over budgets."""

from functools import partial
from typing import Any

from art_disc.core.records.base import Share
from art_disc.core.records.certificate import CertifiedCurve
from art_disc.report.document import Document, Paragraph, Section
from art_disc.report.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    Drawing,
    error_bars,
    one_label,
    over_eps,
    together,
)
from art_disc.report.reading import line_words, lower_percent, percent
from art_disc.report.table import Cell, Content, Table, number_cell
from art_disc.report.views import View, settings_section

_LOOKS = {
    "tight": (BLUE, "o", "-", "certified: inverted divergence"),
    "pinsker": (ORANGE, "^", "--", "certified: Pinsker"),
    "smoothing": (GREEN, "D", "-.", "certified: l2 smoothing in l-inf"),
}


def _document(record: CertifiedCurve) -> Document:
    contradicted = sum(point.contradicted for point in record.attacked)
    wrong = (
        f"{contradicted} certified image(s) were broken by the attack: an assumption below does "
        "not hold, and no number of this page does."
    )
    run = {"draws": record.draws, "confidence": record.confidence, **record.settings}
    return Document.of(
        "Certified accuracy over budgets",
        f"{record.total} images",
        Section.of(
            "Certified accuracy",
            Paragraph(wrong, look="headline") if contradicted else None,
            Paragraph(f"{record.clean} of {record.total} right by {record.draws} votes"),
            *(Paragraph(line) for line in record.vacuous),
            _plot(record),
            _table(record),
            Paragraph(
                "Lower limit: of the robust accuracy on the distribution of the images, with 99% "
                "confidence, the verdicts' own failures counted (each verdict holds with "
                f"probability {record.confidence})."
            ),
            Paragraph(record.assumes, title="What the verdicts assume"),
        ),
        settings_section(
            record,
            {"Cost": {"seconds": f"{record.seconds:,.1f}"}, "Run": run},
            "Settings and cost",
        ),
    )


def _plot(record: CertifiedCurve) -> Drawing:
    lines = [f"clean: {percent(record.clean / record.total, record.total)}"]
    for bound in record.bounds:
        shares = {p.eps: Share(p.certified, p.total) for p in record.line(bound)}
        lines.append(f"{bound}: {line_words(shares)}")
    if record.attacked:
        shares = {p.eps: p.share for p in record.attacked}
        lines.append(f"under attack: {line_words(shares)}")
    return Drawing(
        partial(_paint, record=record),
        f"Line plot of certified accuracy over eps. {'; '.join(lines)}.",
        f"Share of {record.total} images, against the budget eps. The dotted line is the clean "
        "accuracy of the vote. What lies between attack and certificate is unknown.",
        height=4.4,
    )


def _table(record: CertifiedCurve) -> Table:
    attacked = {point.eps: point.share for point in record.attacked}
    heads = ["eps", *(f"#{bound}" for bound in record.bounds)]
    heads += [f"#{bound}, lower limit" for bound in record.bounds]
    rows = []
    for eps in sorted({point.eps for point in record.points}):
        line = {p.bound: p for p in record.points if p.eps == eps}
        cells: list[Content] = [Cell(f"{eps:.4g}", sort=eps)]
        cells += [Share(line[b].certified, line[b].total) for b in record.bounds]
        cells += [number_cell(line[b].limit, lower_percent(line[b].limit)) for b in record.bounds]
        rows.append([*cells, attacked.get(eps)] if attacked else cells)
    return Table.of(
        "Certified accuracy",
        f"Certified accuracy of {record.total} images by budget and bound",
        (*heads, *(["#under attack"] if attacked else [])),
        rows,
    )


def _summary(record: CertifiedCurve) -> dict[str, Any]:
    fields = ("eps", "bound", "certified", "limit")
    return {
        "assumes": record.assumes,
        "total": record.total,
        "clean": record.clean,
        "confidence": record.confidence,
        "certified": [{f: getattr(p, f) for f in fields} for p in record.points],
        "attacked": [{"eps": p.eps, "right": p.right} for p in record.attacked],
        "contradictions": sum(p.contradicted for p in record.attacked),
        "vacuous": list(record.vacuous),
        "seconds": record.seconds,
    }


def _paint(figure: Any, *, record: CertifiedCurve) -> None:
    axes = figure.add_subplot()
    axes.axhline(100 * record.clean / record.total, color=INK, linestyle=":", label="clean")
    lines = {b: [(p.eps, 100 * p.share) for p in record.line(b)] for b in record.bounds}
    for bounds, line in together(lines).items():
        colour, marker, dashes, _ = _LOOKS[bounds[0]]
        axes.plot(
            *zip(*line, strict=True),
            color=colour,
            marker=marker,
            linestyle=dashes,
            label=one_label([_LOOKS[bound][-1] for bound in bounds]),
            clip_on=False,
        )
    if record.attacked:
        points = sorted(record.attacked, key=lambda p: p.eps)
        at, shares = [p.eps for p in points], [p.share for p in points]
        label = f"under attack ({record.attack})"
        error_bars(axes, at, shares, color=PURPLE, marker="v", label=label)
    over_eps(figure, axes, "accuracy (%)")


VIEW = View(_document, summary=_summary)
