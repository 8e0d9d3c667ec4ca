"""Plots of how hard a data set is to defend, from plain arrays, on Axes that are given or new."""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.records import Share
from art_disc.report.drawing import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    INK,
    MARKERS,
    ORANGE,
    SHADE,
    error_band,
    new_axes,
)

Floats = NDArray[np.float64]

_LOOKS = tuple(zip(COLOURS, ("-", "--", "-.", ":", "-", "--"), strict=True))
_CHANNELS = {1: ((INK, "pixels"),), 3: ((ORANGE, "red"), (GREEN, "green"), (BLUE, "blue"))}
# more vertical lines than this hide the histogram
_LINES_UP_TO = 16


def png(axes: Any) -> bytes:
    """Return the figure of some Axes as a PNG."""
    buffer = io.BytesIO()
    axes.figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def cdf_plot(
    lines: Mapping[str, NDArray[Any]],
    ax: Any = None,
    *,
    labels: tuple[str, str],
    weights: NDArray[Any] | None = None,
    log: bool = False,
    unit_range: bool = False,
) -> Any:
    """Draw empirical distribution functions and return the Axes.

    Args:
        lines: Values under the name of each line, each of shape (m,).
        ax: Axes to draw on; None: new ones.
        labels: Of the two axes.
        weights: Of the values of every line, shape (m,); None: equal ones.
        log: A logarithmic value axis, for values > 0.
        unit_range: The value axis is [0, 1].

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = ax or new_axes()
    for (name, values), (colour, dashes) in zip(lines.items(), cycle(_LOOKS), strict=False):
        # millions of values come in few thousands of steps
        rising, places = np.unique(values, return_inverse=True)
        shares = np.bincount(places, weights).cumsum()
        shares = shares / shares[-1]
        middle = _median(rising, shares)
        axes.step(
            np.append(rising[:1], rising),
            np.append([0.0], shares),
            where="post",
            color=colour,
            linestyle=dashes,
            linewidth=1.8,
            label=f"{name}; median {middle:.3g}",
        )
    axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes.set(ylim=(0, 1.02), xlabel=labels[0], ylabel=labels[1])
    if log:
        axes.set_xscale("log")
        # their labels run into one another where the sizes span few powers of ten
        axes.xaxis.set_minor_formatter("")
    if unit_range:
        axes.set_xlim(0, 1)
    axes.legend(loc="best", fontsize=9)
    return axes


def _median(rising: Floats, shares: Floats) -> float:
    """Return the median of a step function; between two values, as `numpy.median`, their mean.

    >>> _median(np.array([1.0, 2.0, 5.0]), np.array([0.25, 0.5, 1.0]))
    3.5
    """
    at = int(np.searchsorted(shares, 0.5))
    between = at + 1 < len(rising) and shares[at] == 0.5
    return float(rising[at : at + 1 + between].mean())


def cell_borders(words: Floats) -> Floats:
    """Borders between the cells of 1-D codewords, on the 255 scale: halfway between neighbours.

    >>> cell_borders(np.array([[1.0], [0.0], [0.2]])).round(1).tolist()
    [25.5, 153.0]
    """
    levels = np.sort(words[:, 0]) * 255
    return np.asarray((levels[1:] + levels[:-1]) / 2, dtype=np.float64)


def level_histogram(
    histogram: NDArray[Any],
    codewords: NDArray[Any],
    ax: Any = None,
    *,
    eps: float = 0.0,
) -> Any:
    """Draw pixel histograms with the codewords and return the Axes.

    Scalar codewords come with the levels from which a budget crosses a border of their cells;
    those of colours are marks below, one row a channel.

    Args:
        histogram: Pixels at each level of each channel, shape (c, 256).
        codewords: Shape (k, c') with c' = 1 or c, in [0, 1]; c' = 0: none.
        ax: Axes to draw on; None: new ones.
        eps: l_inf budget on the [0, 1] scale; 0: none is shown.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = ax or new_axes()
    several = zip(cycle(COLOURS), (f"channel {i}" for i in range(len(histogram))), strict=False)
    looks = _CHANNELS.get(len(histogram), tuple(several))
    for row, (colour, label), (_, dashes) in zip(histogram, looks, cycle(_LOOKS), strict=False):
        axes.step(
            np.arange(len(row)),
            row,
            where="mid",
            color=colour,
            ls=dashes,
            linewidth=1.2,
            label=label,
        )
    axes.set(xlim=(-2, 257), xlabel="pixel value (8-bit level)", ylabel="pixels of the data")
    axes.set_yscale("log")
    if codewords.shape[1] == 1:
        _mark_scalars(axes, codewords, eps)
    else:
        _mark_colours(axes, codewords, looks)
    axes.legend(loc="best", fontsize=9)
    return axes


def _mark_scalars(axes: Any, codewords: NDArray[Any], eps: float) -> None:
    borders = cell_borders(codewords)
    for i, border in enumerate(borders if eps else ()):
        label = f"within eps = {255 * eps:.3g}/255 of a border" if i == 0 else None
        axes.axvspan(
            border - 255 * eps, border + 255 * eps, color=SHADE, zorder=0, linewidth=0, label=label
        )
    if len(codewords) > _LINES_UP_TO:
        _mark_colours(axes, codewords, ((ORANGE, "codewords"),))
        return
    for border in borders:
        axes.axvline(border, color=GREY, linestyle="--", linewidth=1)
    for i, level in enumerate(codewords[:, 0] * 255):
        axes.axvline(level, color=ORANGE, linewidth=1.8, label="codeword" if i == 0 else None)


def _mark_colours(
    axes: Any, codewords: NDArray[Any], looks: Sequence[tuple[str | None, str]]
) -> None:
    for i, (channel, (colour, label)) in enumerate(zip(codewords.T, looks, strict=False)):
        axes.plot(
            255 * channel,
            np.full(len(channel), 0.02 + 0.035 * i),
            "|",
            color=colour,
            markersize=6,
            transform=axes.get_xaxis_transform(),
            label=f"{len(channel)} codewords" if i == 0 else f"_{label}",
        )


def colour_scatter(
    colours: NDArray[np.uint8],
    sizes: NDArray[np.int64],
    ax: Any = None,
    *,
    largest: int,
    log: bool = True,
) -> Any:
    """Draw colours in the cube, coloured by size over the largest; return the Axes.

    Args:
        colours: 0..255, shape (m, 3), drawn in this order.
        sizes: Neighbourhood sizes, >= 1, shape (m,).
        ax: 3-D Axes to draw on; None: new ones.
        largest: Size at the top of the colour scale, >= 1.
        log: Whether both are their logarithms.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = ax or new_axes(solid=True)
    shade = np.log(sizes) / np.log(max(largest, 2)) if log else sizes / largest
    word = "log " if log else ""
    points = axes.scatter(
        *(colours.T / 255), c=shade, cmap="cividis", vmin=0, vmax=1, s=1.5, linewidths=0
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1), xlabel="red", ylabel="green", zlabel="blue")
    axes.figure.colorbar(
        points, ax=axes, shrink=0.7, pad=0.12, label=f"{word}neighbourhood size / {word}{largest:,}"
    )
    return axes


def history_plot(
    epochs: Sequence[int],
    lines: Mapping[str, Sequence[tuple[int, int]]],
    ax: Any = None,
    *,
    eps: float,
) -> Any:
    """Draw shares over the epochs of a training with their intervals and return the Axes.

    Args:
        epochs: Rising.
        lines: Under the name of each line, a count and its total for each epoch.
        ax: Axes to draw on; None: new ones.
        eps: l_inf budget on the [0, 1] scale.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = ax or new_axes()
    looks = zip(lines.items(), cycle(_LOOKS), cycle(MARKERS), strict=False)
    for (name, counts), (colour, dashes), marker in looks:
        shares = [Share(*pair) for pair in counts]
        error_band(axes, epochs, shares, colour)
        values = [100 * share.value for share in shares]
        axes.plot(epochs, values, color=colour, linestyle=dashes, marker=marker, label=name)
    axes.set(ylim=(-2, 102), xlabel="epochs of training")
    axes.set_ylabel(f"still correct at eps = {255 * eps:.3g}/255 (%)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="best", fontsize=9, title="bands: 95 % Wilson intervals", title_fontsize=8)
    return axes
