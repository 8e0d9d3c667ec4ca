"""The strip of images: clean, discretised, adversarial and their difference."""

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array
from art_disc.report.document import Part
from art_disc.report.drawing import data_uri
from art_disc.report.pictures import Pictures
from art_disc.report.reading import show_eps

# heading of each row, and what its pictures show of an example
_ROWS = {
    "clean": ("clean", "label {0.label}, predicted {0.clean}"),
    "discretised": ("discretised clean", "as the network sees it, predicted {0.clean}"),
    "adversarial": ("adversarial", "label {0.label}, predicted {0.adversarial}"),
    "difference": ("adversarial - clean", "adversarial minus clean"),
}
_NEGATIVE = np.array([0.13, 0.40, 0.67])
_POSITIVE = np.array([0.70, 0.09, 0.17])


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of the strip."""

    uri: str
    alt: str


@dataclass(frozen=True, slots=True)
class Column:
    """Heading of one example; `broken` where the attack turned a right answer into a wrong one."""

    example: int
    label: int
    clean: int
    adversarial: int

    @property
    def outcome(self) -> str:
        """What became of the example, in a word."""
        if self.clean != self.label:
            return "already wrong"
        return "held" if self.adversarial == self.label else "broken"


@dataclass(frozen=True, slots=True)
class Strip(Part):
    """The strip: columns are examples, rows are versions of each."""

    shape: ClassVar[str] = "strip"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Picture, ...]], ...]


def make_strip(pictures: Pictures, *, grey_levels: bool = True) -> Strip:
    """Turn pictures into PNG data URIs with their words; `grey_levels`: budgets in them too."""
    change = pictures.adversarial.astype(np.float64) - pictures.clean
    scale = float(np.abs(change).max())
    images = {
        "clean": pictures.clean,
        "discretised": pictures.discretised,
        "adversarial": pictures.adversarial,
        "difference": signed_colours(change, scale),
    }
    numbers = (
        *(pictures.example_ids, pictures.labels),
        *(pictures.clean_predictions, pictures.adversarial_predictions),
    )
    columns = tuple(Column(*map(int, row)) for row in zip(*numbers, strict=True))
    rows = tuple(
        (
            title,
            tuple(
                Picture(_png(image), f"Example {column.example}, {key}: {shows.format(column)}")
                for image, column in zip(images[key], columns, strict=True)
            ),
        )
        for key, (title, shows) in _ROWS.items()
    )
    caption = (
        f"Attack {pictures.attack} at eps {show_eps(pictures.eps, grey_levels=grey_levels)}. "
        f"Predictions are the defended model's. {_scale_words(change, scale)}"
    )
    return Strip(caption, columns, rows)


def _scale_words(change: NDArray[np.float64], scale: float) -> str:
    if scale == 0:
        return "The attack changed nothing in these examples."
    limit = f"{scale:.4g} ({scale * 255:.4g}/255)"
    if change.shape[1] == 3:
        return (
            "Difference: mid-grey means no change, each colour channel from darkest "
            f"(-{limit}) to brightest (+{limit}) of the [0, 1] pixel range."
        )
    return (
        f"Difference: white means no change, blue darker down to -{limit}, red brighter up to "
        f"+{limit} of the [0, 1] pixel range."
    )


def signed_colours(change: NDArray[np.float64], scale: float) -> Float32Array:
    """Map signed changes, shape (n, c, h, w), to colours in [0, 1], shape (n, 3, h, w).

    Mid-grey plus the change for three channels, else blue over white to red for the mean over
    the channels. The ends of the colours are a change of `scale`; 0 shows no change anywhere.
    """
    part = np.clip(change / (scale or 1.0), -1, 1)
    if part.shape[1] == 3:
        return (0.5 + part / 2).astype(np.float32)
    mean = part.mean(axis=1)[:, None]
    ends = np.where(mean < 0, _NEGATIVE[None, :, None, None], _POSITIVE[None, :, None, None])
    return np.asarray(1 + np.abs(mean) * (ends - 1), dtype=np.float32)


def _png(image: Float32Array) -> str:
    from PIL import Image

    levels = np.rint(image * 255).astype(np.uint8)
    colour = levels.shape[0] == 3
    pixels = levels.transpose(1, 2, 0) if colour else np.rint(levels.mean(axis=0)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return data_uri(buffer.getvalue(), "image/png")
