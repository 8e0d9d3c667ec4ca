"""Published figures of the pixels of a data set: their numbers beside ours, and a histogram."""

from typing import Any

import numpy as np

from art_disc.core.records.pixels import PixelFact, PixelFigureRecord
from art_disc.report.document import Document, Notes, Section
from art_disc.report.drawing import Drawing
from art_disc.report.hardness import level_histogram
from art_disc.report.kinds.published import eps_words
from art_disc.report.table import Table
from art_disc.report.views import View, settings_section


def _table(record: PixelFigureRecord) -> Table:
    rows = (
        (fact.words, _number(fact.printed, fact), _number(fact.ours, fact)) for fact in record.rows
    )
    caption = f"{record.title}, eps {eps_words(record.eps, record.dataset)}"
    return Table.of("Theirs and ours", caption, ("of the pixels", "printed", "ours"), rows)


def _number(value: float | None, fact: PixelFact) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if fact.share else f"{value:,.0f}"


def pixel_plots(record: PixelFigureRecord) -> dict[str, Drawing]:
    """Return the histogram of grey levels, by data set; channels are no picture of colours."""
    if len(record.levels) != 1:
        return {}

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        codewords = np.array(record.codewords)
        level_histogram(np.array(record.levels), codewords, axes, eps=record.eps)

    return {
        record.dataset: Drawing(
            paint,
            f"Histogram of the pixel levels of {record.dataset}, with the codewords.",
            "Pixels of the training images at each level, on a logarithmic axis.",
        )
    }


def _document(record: PixelFigureRecord) -> Document:
    images = f"pixels of {record.train_images} training images of {record.dataset}"
    return Document.of(
        f"{record.figure}: {record.title}",
        images,
        Section.of(
            "Theirs and ours", _table(record), Notes((images,)), *pixel_plots(record).values()
        ),
        settings_section(record, {}),
    )


VIEW = View(_document)
