"""Histograms: pixel values with the codebook's cells, and a certificate's free pixels."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.records import VERDICTS, CertificateRecord, EvaluationRecord
from art_disc.report.drawing import GREEN, ORANGE, Drawing
from art_disc.report.hardness import cell_borders, level_histogram

Floats = NDArray[np.float64]

_VERDICT_COLOURS = {"certified": GREEN, "falsified": ORANGE, "undecided": "#8793a0"}


def codewords(record: EvaluationRecord) -> Floats:
    """Codewords of shape (k, c) in [0, 1]; (0, 0) where the record has none."""
    words = np.asarray(record.codebook.get("codewords", ()), dtype=np.float64)
    return words.reshape(len(words), -1) if words.size else np.zeros((0, 0))


def pixel_plot(record: EvaluationRecord) -> Drawing | None:
    """Draw the histogram of the training images' pixels, or return None where it is empty."""
    counts = np.asarray(record.histogram, dtype=np.float64)
    if counts.ndim != 2 or counts.size == 0 or not counts.any():
        return None
    words = codewords(record)
    alt, caption = _pixel_words(counts, words)
    height = 4.2 if words.shape[1] == 3 else 3.6
    return Drawing(partial(_paint_pixels, counts=counts, words=words), alt, caption, height)


def _pixel_words(counts: Floats, words: Floats) -> tuple[str, str]:
    channels, bins = counts.shape
    peaks = ", ".join(str(int(row.argmax())) for row in counts)
    alt = (
        f"Histogram of pixel values 0 to {bins - 1} with a logarithmic count axis, {channels} "
        f"channel(s); most frequent value: {peaks}."
    )
    caption = "Pixel values of the training images; counts on a logarithmic axis."
    if words.shape[1] == 1:
        levels = ", ".join(f"{255 * value:.4g}" for value in np.sort(words[:, 0]))
        borders = ", ".join(f"{value:.4g}" for value in cell_borders(words)) or "none"
        alt += f" Codewords at {levels}; cell borders at {borders}."
        caption += (
            " Solid lines: codewords, or marks below where there are many; dashed lines: borders "
            "of their cells, halfway between neighbours."
        )
    elif words.shape[1] == 3:
        alt += f" Below it a strip with the {len(words)} codewords as colours."
        caption += f" Strip: the {len(words)} codewords as colours."
    return alt, caption


def _paint_pixels(figure: Any, *, counts: Floats, words: Floats) -> None:
    if words.shape[1] == 3:
        axes, strip = figure.subplots(2, 1, height_ratios=(7, 1))
        strip.imshow(np.clip(words, 0, 1)[None], aspect="auto", interpolation="nearest")
        strip.set(yticks=[], xticks=[], xlabel=f"codebook: {len(words)} colours")
        strip.grid(visible=False)
    else:
        axes = figure.add_subplot()
    level_histogram(counts, words, axes)


def free_pixel_plot(record: CertificateRecord) -> Drawing | None:
    """Draw how many pixels can reach more than one codeword, or return None without examples."""
    if not record.free_pixels:
        return None
    free = np.asarray(record.free_pixels)
    verdicts = np.asarray(record.verdicts)
    groups = {v: free[verdicts == v] for v in VERDICTS if (verdicts == v).any()}
    numbers = "; ".join(
        f"{verdict}: median {np.median(values):g}, largest {values.max()}"
        for verdict, values in groups.items()
    )
    caption = (
        "Free pixels of an example: those that can reach more than one codeword within eps. With "
        "none the defence shows the network one image only."
    )
    paint = partial(_paint_free, groups=groups, largest=int(free.max()))
    alt = f"Stacked histogram of free pixels for each verdict. {numbers}."
    return Drawing(paint, alt, caption, height=3.4)


def _paint_free(figure: Any, *, groups: dict[str, NDArray[Any]], largest: int) -> None:
    axes = figure.add_subplot()
    # whole numbers of pixels in each bar, at most about 40 bars
    width = max(1, -(-(largest + 1) // 40))
    edges = np.arange(0, largest + width + 1, width) - 0.5
    axes.hist(
        list(groups.values()),
        bins=edges,
        stacked=True,
        color=[_VERDICT_COLOURS[verdict] for verdict in groups],
        label=list(groups),
        edgecolor="white",
        linewidth=0.5,
    )
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="free pixels", ylabel="examples")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
