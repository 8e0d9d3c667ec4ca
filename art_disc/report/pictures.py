"""A few examples as images, kept beside the record for the report's strip of pictures."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_npz, write_npz

IMAGES = ("clean", "discretised", "adversarial")
NUMBERS = ("labels", "clean_predictions", "adversarial_predictions", "example_ids")

# Beyond rounding, the codewords of 8 bits end half a grey level above 1; more is another range.
SLACK = 1 / 255


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
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
