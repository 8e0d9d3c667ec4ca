"""One image in words: a file, or a test image of a data set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from art_disc.core.checks import Float32Array
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import UNREADABLE
from art_disc.core.pictures import SUFFIXES
from art_disc.core.showing import Shown
from art_disc.data.arrays import to_nchw
from art_disc.data.dataset import Dataset
from art_disc.data.folders import stack_images
from art_disc.data.loading import load_dataset


@dataclass(frozen=True, slots=True, eq=False)
class OneImage(Shown):
    """An image, and the data set whose training images a defence or a network learns from.

    Attributes:
        name: What it is called: `digits:3`, the name of the file.
        pixels: float32, shape (1, channels, height, width), in [0, 1].
        label: Its class; None: that is not known.
        data: The data set; None: none was named.
    """

    name: str
    pixels: Float32Array
    label: int | None
    data: Dataset | None


def load_image(
    text: str, *, dataset: str | None = None, data_dir: str | Path | None = None
) -> OneImage:
    """Read an image.

    Args:
        text: `DATASET:INDEX`, a test image of a data set as `load_dataset` takes it; or the name of
            a picture (PNG, JPEG, ...) or of an npy file, whose array is one image as `from_arrays`
            takes images.
        dataset: Beside a file: the data set to learn from.
        data_dir: As for `load_dataset`.

    Raises:
        InputError: It is neither, there is no such index, or the shape is not the data set's.
        FileFormatError: The file cannot be read.
        DataNotFoundError: The data set is not found.
    """
    name, colon, index = text.rpartition(":")
    if colon and index.isdecimal() and not Path(text).is_file():
        if dataset is not None:
            msg = f"{text} names its data set; leave dataset {dataset} out"
            raise InputError(msg)
        data = load_dataset(name, data_dir=data_dir)
        at = int(index)
        if at >= len(data.x_test):
            msg = f"{name} has test images 0 to {len(data.x_test) - 1}, got {index}"
            raise InputError(msg)
        return OneImage(text, data.x_test[at : at + 1], int(data.y_test[at]), data)
    pixels = _read(text)
    if dataset is None:
        return OneImage(Path(text).name, pixels, None, None)
    data = load_dataset(dataset, data_dir=data_dir)
    if pixels.shape[1] == 1 and data.input_shape[0] == 3:
        # a picture without colour among coloured ones
        pixels = np.repeat(pixels, 3, axis=1)
    if pixels.shape[1:] != data.input_shape:
        msg = f"{text} must have the shape of {dataset}, {data.input_shape}, got {pixels.shape[1:]}"
        raise InputError(msg)
    return OneImage(Path(text).name, pixels, None, data)


def _read(text: str) -> Float32Array:
    path = Path(text)
    if path.suffix.lower() not in (*SUFFIXES, ".npy"):
        known = ", ".join((*SUFFIXES, ".npy"))
        msg = f"an image must be DATASET:INDEX (digits:3) or a file ({known}), got {text!r}"
        raise InputError(msg)
    if not path.is_file():
        msg = f"there is no file {text}; an image is a file or DATASET:INDEX (digits:3)"
        raise InputError(msg)
    if path.suffix.lower() != ".npy":
        return to_nchw(stack_images([path], path.parent), text)
    try:
        # np.load would read a zip of that name as an npz
        array = np.array(np.lib.format.open_memmap(path, mode="r"))
    except UNREADABLE as error:
        msg = f"{text} cannot be read as an npy file of plain numbers: {error}; save it again"
        raise FileFormatError(msg) from error
    return to_nchw(array[None], text)


def alone(image: OneImage, nb_classes: int, label: int) -> Dataset:
    """Return the image as the one test image of a data set."""
    names = tuple(str(i) for i in range(nb_classes))
    labels = np.array([label], np.int64)
    empty = np.zeros((0, *image.pixels.shape[1:]), np.float32)
    none = np.zeros(0, np.int64)
    return Dataset(image.name, empty, none, image.pixels, labels, names, image.name)
