"""The view of a measurement that is one table and one plot of the same numbers."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from art_disc.report.document import Document, Part, Section
from art_disc.report.drawing import Drawing
from art_disc.report.settings import run_settings, settings_section
from art_disc.report.table import Table
from art_disc.report.views import View


def measured(
    title: str,
    table: Callable[[Any], Table],
    plot: Callable[..., Any],
    remarks: Callable[[Any], Iterable[Part]] | None = None,
) -> View:
    """Return a view.

    Args:
        title: Of the document.
        table: Makes the table of a record.
        plot: Draws the record on the Axes of its second argument.
        remarks: What else is to be said of a record; None: nothing.
    """

    def document(record: Any) -> Document:
        shown = table(record)
        said = remarks(record) if remarks else ()
        drawing = Drawing(
            partial(_paint, plot=plot, record=record),
            f"Plot: {shown.caption}. Its numbers are in the table.",
            shown.caption,
        )
        return Document.of(
            title,
            shown.caption,
            Section.of(shown.label, drawing, shown, *said),
            settings_section(record, {"Run": run_settings(record)}),
        )

    return View(document)


def _paint(figure: Any, *, plot: Callable[..., Any], record: Any) -> None:
    plot(record, figure.add_subplot())
