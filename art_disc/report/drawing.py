"""Figures without pyplot's global state, as data URIs that are the same for the same record."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

import numpy as np

from art_disc.core import extras
from art_disc.core.records.base import Share
from art_disc.report.document import Part

T = TypeVar("T")

INK, GRID, SHADE = "#1f2933", "#d5dae0", "#eef1f4"
# Okabe and Ito's colours, told apart with any colour vision; each also has its own marker.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#b34700", "#007a5a", "#8a4a7a", "#66707a"

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, INK, GREY)
MARKERS = "os^Dv"

STYLE = {
    "svg.hashsalt": "art_disc",
    "svg.fonttype": "path",
    "font.size": 11,
    "axes.edgecolor": "#6b7783",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
}


@dataclass(frozen=True, slots=True)
class Drawing(Part):
    """A plot for the page, painted when the page is made.

    Attributes:
        paint: Paints a figure of matplotlib.
        alt: What the picture shows, in words and numbers.
        caption: What the reader must know to read it.
        height: Of the figure in inches.
    """

    shape: ClassVar[str] = "drawing"
    paint: Callable[[Any], None]
    alt: str
    caption: str
    height: float = 3.9

    @property
    def uri(self) -> str:
        """Data URI of what `draw` makes of it."""
        return data_uri(draw(self.paint, height=self.height), "image/svg+xml")


# imports a module of the extra, or raises a MissingExtraError
need = partial(extras.need, extra="report", what="the HTML report")


def check_extra() -> None:
    """Refuse a run whose page could not be made in the end.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    for package in ("jinja2", "matplotlib"):
        need(package)


@contextmanager
def new_figure(height: float = 3.9) -> Iterator[Any]:
    """Give a figure in the report's style, whatever the user's own; nothing of that is changed.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = need("matplotlib")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield need("matplotlib.figure").Figure(figsize=(5.7, height), layout="constrained")


def new_axes(*, solid: bool = False) -> Any:
    """Return Axes of a new figure in the report's style, without pyplot; `solid`: 3-D ones.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if solid:
        need("mpl_toolkits.mplot3d")
    with new_figure(4.4 if solid else 3.9) as figure:
        return figure.add_subplot(projection="3d" if solid else None)


def draw(paint: Callable[[Any], None], *, height: float = 3.9) -> bytes:
    """Return a figure painted by `paint(figure)` as SVG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    buffer = io.BytesIO()
    with new_figure(height) as figure:
        paint(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def error_bars(axes: Any, at: Any, shares: Sequence[Share], **look: Any) -> None:
    """Draw shares in percent with their intervals, on Axes of matplotlib."""
    limits = np.array([share.interval for share in shares]).reshape(-1, 2)
    values = np.array([share.value for share in shares])
    # rounding may put a limit a hair on the wrong side of the share
    bars = np.maximum(100 * np.array([values - limits[:, 0], limits[:, 1] - values]), 0)
    axes.errorbar(at, 100 * values, yerr=bars, capsize=2, **look)


def error_band(
    axes: Any, at: Any, shares: Sequence[Share], colour: str, alpha: float = 0.15
) -> None:
    """Shade the intervals of shares in percent, on Axes of matplotlib."""
    # many steps of an attack leave the same count
    limits = {share: share.interval for share in set(shares)}
    low, high = 100 * np.array([limits[share] for share in shares]).T
    axes.fill_between(at, low, high, color=colour, alpha=alpha, linewidth=0)


def together(lines: Mapping[str, T]) -> dict[tuple[str, ...], T]:
    """Give lines that are equal one entry under all their names: drawn, one would hide the others.

    >>> together({"a": [1, 2], "b": [3, 4], "c": [1, 2]})
    {('a', 'c'): [1, 2], ('b',): [3, 4]}
    """
    groups: list[tuple[list[str], T]] = []
    for name, line in lines.items():
        for names, known in groups:
            if known == line:
                names.append(name)
                break
        else:
            groups.append(([name], line))
    return {tuple(names): line for names, line in groups}


def one_label(names: Sequence[str]) -> str:
    """Return the entry of a legend for lines that are drawn as one."""
    return "\n= ".join(names)


def label_eps(axes: Any, ylabel: str) -> None:
    """Set limits and labels of Axes of shares in percent over budgets."""
    axes.set(ylim=(0, 100), ylabel=ylabel, xlabel="eps (classifier's input range)")
    axes.set_xlim(left=0)


def over_eps(figure: Any, axes: Any, ylabel: str = "still correct (%)") -> None:
    """Finish Axes of shares in percent over budgets; the legend stands below."""
    label_eps(axes, ylabel)
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)


def data_uri(content: bytes, mime: str) -> str:
    """Return bytes as a data URI."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
