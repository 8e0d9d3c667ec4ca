"""Certified accuracy over budgets: the plot, and the page."""

from functools import partial
from typing import Any

from art_disc.core.records.base import Share
from art_disc.core.records.divergence import CertifiedCurve
from art_disc.report.drawing import BLUE, GREEN, INK, ORANGE, PURPLE, Drawing, draw
from art_disc.report.page import environment_rows, fill, made_by
from art_disc.report.reading import lower_percent, percent
from art_disc.report.table import Body, Cell, Row, Table, columns, number_cell, share_cell
from art_disc.report.tables import setting_rows

TEMPLATE = "certified_curve.html.j2"
_LOOKS = {
    "tight": (BLUE, "o", "-", "certified: inverted divergence"),
    "pinsker": (ORANGE, "^", "--", "certified: Pinsker"),
    "smoothing": (GREEN, "D", "-.", "certified: l2 smoothing in l-inf"),
}


def certified_curve_plot(record: CertifiedCurve) -> Drawing:
    """Draw clean, empirical and certified accuracy over eps.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    told = [f"clean: {percent(record.clean / record.total, record.total)}"]
    for bound in record.bounds:
        line = record.line(bound)
        words = (f"{percent(p.share, p.total)} at {p.eps:.4g}" for p in line)
        told.append(f"{bound}: " + ", ".join(words))
    if record.attacked:
        words = (f"{percent(p.share.value, p.total)} at {p.eps:.4g}" for p in record.attacked)
        told.append("under attack: " + ", ".join(words))
    caption = (
        f"Share of {record.total} images, against the budget eps. The dotted line is the clean "
        "accuracy of the vote. What lies between attack and certificate is unknown."
    )
    uri = draw(partial(_paint, record=record), height=4.4)
    alt = f"Line plot of certified accuracy over eps. {'; '.join(told)}."
    return Drawing(uri, alt, caption)


def certified_curve_page(record: CertifiedCurve) -> str:
    """Return the page of a curve as HTML, complete in itself.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    run = {"draws": record.draws, "confidence": record.confidence, **record.settings}
    return fill(
        TEMPLATE,
        title="Certified accuracy over budgets",
        made_by=made_by(record),
        record=record,
        contradicted=sum(point.contradicted for point in record.attacked),
        points=_table(record),
        plot=certified_curve_plot(record),
        facts=(
            ("Cost", (("seconds", f"{record.seconds:,.1f}"),)),
            ("Run", setting_rows(run)),
            ("Environment", environment_rows(record.environment)),
        ),
    )


def _table(record: CertifiedCurve) -> Table:
    attacked = {point.eps: point for point in record.attacked}
    heads = ["eps", *(f"#{bound}" for bound in record.bounds)]
    heads += [f"#{bound}, lower limit" for bound in record.bounds]
    rows = []
    for eps in sorted({point.eps for point in record.points}):
        line = {p.bound: p for p in record.points if p.eps == eps}
        cells = [Cell(f"{eps:.4g}", sort=eps)]
        cells += [share_cell(Share(line[b].certified, line[b].total)) for b in record.bounds]
        cells += [number_cell(line[b].limit, lower_percent(line[b].limit)) for b in record.bounds]
        if attacked:
            cells.append(share_cell(attacked[eps].share if eps in attacked else None))
        rows.append(Row(tuple(cells)))
    return Table(
        label="Certified accuracy",
        caption=f"Certified accuracy of {record.total} images by budget and bound",
        columns=columns(*heads, *(["#under attack"] if attacked else [])),
        bodies=(Body(tuple(rows)),),
    )


def _paint(figure: Any, *, record: CertifiedCurve) -> None:
    axes = figure.add_subplot()
    axes.axhline(100 * record.clean / record.total, color=INK, linestyle=":", label="clean")
    for bound in record.bounds:
        colour, marker, dashes, label = _LOOKS[bound]
        line = record.line(bound)
        axes.plot(
            [p.eps for p in line],
            [100 * p.share for p in line],
            color=colour,
            marker=marker,
            linestyle=dashes,
            label=label,
            clip_on=False,
        )
    if record.attacked:
        points = sorted(record.attacked, key=lambda p: p.eps)
        limits = [tuple(100 * limit for limit in p.share.interval) for p in points]
        values = [100 * p.share.value for p in points]
        axes.errorbar(
            [p.eps for p in points],
            values,
            yerr=[
                [value - low for value, (low, _) in zip(values, limits, strict=True)],
                [high - value for value, (_, high) in zip(values, limits, strict=True)],
            ],
            color=PURPLE,
            marker="v",
            label=f"under attack ({record.attack})",
        )
    axes.set(ylim=(0, 100), ylabel="accuracy (%)", xlabel="eps (classifier's input range)")
    axes.set_xlim(left=0)
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
