"""One image in panels: what a defence makes of it, what of it is free, what an attack changes."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array
from art_disc.core.files import replace_file
from art_disc.core.showing import Shown
from art_disc.report.drawing import need, new_figure
from art_disc.report.pictures import signed_colours
from art_disc.report.reading import show_eps

MARK = np.array([0.84, 0.15, 0.16])
_COLUMNS = 3
_INCHES = 2.4
_DPI = 150

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ImagePanels(Shown):
    """One image in panels. Images are float32 of shape (c, h, w) in [0, 1], masks (h, w).

    Attributes:
        title: What is shown: the image, its label, the defence.
        eps: l_inf budget on the [0, 1] scale.
        image: The image.
        seen: What the defence makes of it; None: there is no defence.
        free: Pixels whose codeword a change within the budget can change; None: no codebook comes
            first, so that nobody knows.
        predicted: Class of the image; empty where there is no network.
        attack: Name of the attack; empty where there was none.
        attacked: What it made of the image.
        attacked_predicted: Class of that.
        attacked_seen: What the defence makes of it.
        moved: Pixels that the defence makes something else of than before; None where the defence
            draws, so that a difference may be luck.
    """

    title: str
    eps: float
    image: Float32Array
    seen: Float32Array | None = None
    free: Bools | None = None
    predicted: str = ""
    attack: str = ""
    attacked: Float32Array | None = None
    attacked_predicted: str = ""
    attacked_seen: Float32Array | None = None
    moved: Bools | None = None

    def panels(self) -> list[tuple[str, NDArray[np.float64]]]:
        """Return each panel's heading, and its picture of shape (h, w, 3) in [0, 1].

        A mask is red on a picture that is faded.
        """
        return [*self._clean(), *self._attacked()]

    def _clean(self) -> Iterator[tuple[str, NDArray[np.float64]]]:
        yield _words("image", self.predicted), _rgb(self.image)
        if self.seen is not None:
            yield "behind the defence", _rgb(self.seen)
        if self.free is not None and self.seen is not None:
            at = show_eps(self.eps, grey_levels=True)
            yield _counted(self.free, f"free at {at}"), _marked(self.seen, self.free)

    def _attacked(self) -> Iterator[tuple[str, NDArray[np.float64]]]:
        if self.attacked is None:
            return
        yield _words(self.attack, self.attacked_predicted), _rgb(self.attacked)
        change = self.attacked.astype(np.float64) - self.image
        largest = float(np.abs(change).max())
        (colours,) = signed_colours(change[None], largest)
        up, down = ("brighter", "darker") if len(change) == 3 else ("red", "blue")
        words = f"change, up {up}, down {down},\nat most {show_eps(largest, grey_levels=True)}"
        yield words, _rgb(colours)
        if self.moved is not None and self.attacked_seen is not None:
            yield _counted(self.moved, "codes moved"), _marked(self.attacked_seen, self.moved)

    def figure(self) -> Any:
        """Return the panels as a figure of matplotlib.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        shown = self.panels()
        rows = -(-len(shown) // _COLUMNS)
        with new_figure() as figure:
            figure.set_size_inches(_COLUMNS * _INCHES, rows * (_INCHES + 0.35) + 0.5)
            figure.suptitle(self.title, fontsize=10, wrap=True)
            for i, (words, picture) in enumerate(shown):
                axes = figure.add_subplot(rows, _COLUMNS, i + 1)
                axes.imshow(picture, interpolation="nearest", vmin=0, vmax=1)
                axes.set_title(words, fontsize=9)
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
                axes.spines[:].set_visible(True)
        return figure

    def save(self, path: str | Path) -> Path:
        """Write the panels as a PNG, in one step.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        need("matplotlib")
        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
        return replace_file(path, buffer.getvalue())


def _words(name: str, predicted: str) -> str:
    return f"{name}: predicted {predicted}" if predicted else name


def _counted(mask: Bools, words: str) -> str:
    return f"{words}:\n{int(mask.sum())} of {mask.size} pixels"


def _rgb(image: Float32Array) -> NDArray[np.float64]:
    """Return (c, h, w) as (h, w, 3); of another number of channels than three their mean."""
    colours = image if len(image) == 3 else np.repeat(image.mean(axis=0)[None], 3, axis=0)
    return np.moveaxis(np.clip(colours, 0, 1), 0, -1).astype(np.float64)


def _marked(image: Float32Array, mask: Bools) -> NDArray[np.float64]:
    """Return an image faded by half, with the mask's pixels in red."""
    faded = 0.25 + 0.5 * _rgb(image)
    faded[mask] = MARK
    return faded
