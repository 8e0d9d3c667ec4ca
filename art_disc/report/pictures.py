"""A few examples as images, kept beside the record, and the strip that a page shows of them."""

import io
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_npz, write_npz
from art_disc.core.showing import Shown
from art_disc.report.document import Part
from art_disc.report.drawing import data_uri
from art_disc.report.reading import show_eps

IMAGES = ("clean", "discretised", "adversarial")
NUMBERS = ("labels", "clean_predictions", "adversarial_predictions", "example_ids")

# Beyond rounding, the codewords of 8 bits end half a grey level above 1; more is another range.
SLACK = 1 / 255

# heading of each row, and what its pictures show of an example
_ROWS = {
    "clean": ("clean", "label {0.label}, predicted {0.clean}"),
    "discretised": ("discretised clean", "as the network sees it, predicted {0.clean}"),
    "adversarial": ("adversarial", "label {0.label}, predicted {0.adversarial}"),
    "difference": ("adversarial - clean", "adversarial minus clean"),
}
_NEGATIVE = np.array([0.13, 0.40, 0.67])
_POSITIVE = np.array([0.70, 0.09, 0.17])


@dataclass(frozen=True, slots=True, eq=False)
class Pictures(Shown):
    """A handful of examples (about eight) before, within and after the defence and an attack.

    Attributes:
        clean: Images of shape (n, c, h, w), float32 in [0, 1].
        discretised: What the defence makes of `clean`; same shape and range.
        adversarial: What the attack made of `clean`; same shape and range.
        labels: True class of each example.
        clean_predictions: The defended model's class of each clean image.
        adversarial_predictions: The defended model's class of each adversarial image.
        example_ids: Index of each example in the data set's test split.
        attack: Name of the attack that made `adversarial`.
        eps: Its budget in the classifier's input range.
    """

    clean: Float32Array
    discretised: Float32Array
    adversarial: Float32Array
    labels: NDArray[np.int64]
    clean_predictions: NDArray[np.int64]
    adversarial_predictions: NDArray[np.int64]
    example_ids: NDArray[np.int64]
    attack: str
    eps: float

    def __post_init__(self) -> None:
        for name in IMAGES:
            object.__setattr__(self, name, _images(getattr(self, name), name))
        shape = self.clean.shape
        for name in IMAGES:
            got = getattr(self, name).shape
            if got != shape:
                msg = f"{name} must have the shape of clean, {shape}, got {got}"
                raise InputError(msg)
        for name in NUMBERS:
            object.__setattr__(self, name, _integers(getattr(self, name), name, shape[0]))
        object.__setattr__(self, "attack", str(self.attack))
        object.__setattr__(self, "eps", float(self.eps))

    def __len__(self) -> int:
        return int(self.clean.shape[0])

    def save(self, path: str | Path) -> Path:
        """Write the pictures as an npz, in one step."""
        return write_npz(path, {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read pictures; nothing in the file is unpickled.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: Not an npz, or not one of pictures.
        """
        arrays: dict[str, Any] = dict(read_npz(path))
        names = {f.name for f in fields(cls)}
        if set(arrays) != names:
            msg = (
                f"{path} must hold the arrays {', '.join(sorted(names))}, "
                f"got {', '.join(sorted(arrays)) or 'none'}"
            )
            raise FileFormatError(msg)
        try:
            return cls(**{**arrays, "attack": arrays["attack"].item(), "eps": arrays["eps"].item()})
        except ValueError as error:
            msg = f"{path} holds damaged pictures: {error}"
            raise FileFormatError(msg) from error


def _images(value: Any, name: str) -> Float32Array:
    array = np.asarray(value)
    if array.ndim != 4 or array.size == 0:
        msg = f"{name} must be images of shape (n, c, h, w) with n >= 1, got shape {array.shape}"
        raise InputError(msg)
    if not np.issubdtype(array.dtype, np.floating):
        msg = f"{name} must be floats in [0, 1], got {array.dtype}; divide 8-bit images by 255"
        raise InputError(msg)
    low, high = float(array.min()), float(array.max())
    if not (low >= -SLACK and high <= 1 + SLACK):
        msg = (
            f"{name} must lie in [0, 1], got [{low:.4g}, {high:.4g}]; "
            "divide by the classifier's upper clip value"
        )
        raise InputError(msg)
    return np.asarray(np.clip(array, 0, 1), dtype=np.float32)


def _integers(value: Any, name: str, n: int) -> NDArray[np.int64]:
    array = np.asarray(value)
    if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer):
        msg = (
            f"{name} must be {n} whole numbers, one for each image, "
            f"got {array.dtype} of shape {array.shape}"
        )
        raise InputError(msg)
    return array.astype(np.int64)


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
