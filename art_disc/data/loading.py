"""Finding data sets: by name in the usual places, or by path."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.core.files import read_npz
from art_disc.core.words import known_words
from art_disc.data.arrays import from_arrays
from art_disc.data.dataset import Dataset, stratified_ids
from art_disc.data.folders import load_folder

ENVIRONMENT = "ART_DISC_DATA"

_DIGITS = tuple("0123456789")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_OBJECTS = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_CLASSES: Mapping[str, tuple[str, ...]] = {
    "digits": _DIGITS,
    "mnist": _DIGITS,
    "fashion_mnist": _CLOTHES,
    "cifar10": _OBJECTS,
    "gtsrb": tuple(str(i) for i in range(43)),
}
DATASETS = tuple(_CLASSES)

_DIGITS_TEST = 500
_DIGITS_SEED = 0

_CIFAR10_FOLDER = "cifar-10-batches-bin"
_TRAIN_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_TEST_BATCH = "test_batch.bin"
_RECORD = 1 + 3 * 32 * 32

_NAMES = ("x_train", "y_train", "x_test", "y_test")
# the arrays of these names; None where there is no training part
_Parts = tuple[Any, Any, Any, Any]


def load_dataset(
    name_or_path: str | os.PathLike[str] = "digits",
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load a data set by name, or from an npz file or a folder of images.

    Args:
        name_or_path: `digits` (scikit-learn's 8x8 images, always there, brought onto the 8-bit
            grid), or `mnist`, `fashion_mnist`, `cifar10`, `gtsrb`: `<name>.npz` with `x_train,
            y_train, x_test, y_test`, looked for in `data_dir`, `$ART_DISC_DATA` and ART's data
            folder; for `cifar10` also the official `cifar-10-batches-bin` there; `mnist` is at
            last downloaded by ART, which does not verify the server. Anything else is a path: an
            npz with these arrays (or `x_test, y_test` alone; uint8 or floats in [0, 1]; NHW, NHWC
            or NCHW), or a folder of images (`<class>/*.png`, or `train/<class>/` and
            `test/<class>/`). A folder that is called like a data set is reached by `./mnist`.
        data_dir: First place to look for a data set known by name.

    Returns:
        float32 images of shape (n, channels, height, width) in [0, 1], int64 labels.

    Raises:
        InputError: Unknown name, or arrays that are no images and labels.
        DataNotFoundError: In none of the places, or no such file.
        FileFormatError: A damaged or foreign file; nothing is ever unpickled.

    Example:
        >>> data = load_dataset("digits")
        >>> data.x_train.shape, data.x_test.shape, data.nb_classes
        ((1297, 1, 8, 8), (500, 1, 8, 8), 10)
    """
    if isinstance(name_or_path, str):
        if name_or_path == "digits":
            return _load_digits()
        if name_or_path in DATASETS:
            return _load_known(name_or_path, data_dir)
        _refuse_unknown(name_or_path)
    elif not isinstance(name_or_path, os.PathLike):
        kind = type(name_or_path).__name__
        msg = f"name_or_path must be a name or a path, got {kind}; of arrays use from_arrays"
        raise InputError(msg)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return load_folder(path.resolve())
    if not path.exists():
        msg = f"no such file or folder: {path}; known by name are {', '.join(DATASETS)}"
        raise DataNotFoundError(msg)
    return _build(_read_npz(path), path.stem, path.name)


def _refuse_unknown(name: str) -> None:
    looks_like_path = Path(name).suffix or "/" in name or os.sep in name
    if not name or not (looks_like_path or Path(name).exists()):
        msg = (
            f"unknown data set {name!r}; {known_words(name, DATASETS)}, or give the path of an "
            "npz file or of a folder of images"
        )
        raise InputError(msg)


def _build(
    parts: _Parts, name: str, source: str, class_names: tuple[str, ...] | None = None
) -> Dataset:
    try:
        return from_arrays(*parts, name=name, class_names=class_names, source=source)
    except InputError as error:
        msg = f"{source}: {error}"
        raise InputError(msg) from error


def _load_digits() -> Dataset:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    levels: NDArray[np.uint8] = np.round(255 * images / 16).astype(np.uint8).reshape(-1, 8, 8)
    is_test = np.zeros(len(labels), bool)
    is_test[stratified_ids(labels, _DIGITS_TEST, seed=_DIGITS_SEED)] = True
    parts = (levels[~is_test], labels[~is_test], levels[is_test], labels[is_test])
    return _build(parts, "digits", "scikit-learn", _DIGITS)


def _load_known(name: str, data_dir: str | os.PathLike[str] | None) -> Dataset:
    looked: list[str] = []
    for label, place in _places(data_dir):
        if place is None:
            looked.append(label)
            continue
        looked.append(f"{place} ({label})")
        found = place / f"{name}.npz"
        if found.is_file():
            return _build(_read_npz(found), name, found.name, _CLASSES[name])
        found = place / _CIFAR10_FOLDER
        if name == "cifar10" and found.is_dir():
            return _build(_read_cifar10(found), name, found.name, _CLASSES[name])
    if name != "mnist":
        raise _not_found(name, looked)
    try:
        parts = _download_mnist()
    except Exception as error:  # whatever breaks in there, the user lacks the data
        looked.append(f"ART's download ({type(error).__name__}: {error})")
        raise _not_found(name, looked) from error
    return _build(parts, name, "ART", _CLASSES[name])


def _places(data_dir: str | os.PathLike[str] | None) -> Iterator[tuple[str, Path | None]]:
    variable = os.environ.get(ENVIRONMENT) or None
    for label, place, absent in (
        ("data_dir", data_dir, "not given"),
        (f"${ENVIRONMENT}", variable, "not set"),
    ):
        yield (f"{label}, {absent}", None) if place is None else (label, Path(place).expanduser())
    # last and here: importing ART takes seconds
    from art import config

    yield "ART's data folder", Path(config.ART_DATA_PATH)


def _not_found(name: str, looked: list[str]) -> DataNotFoundError:
    what = f"{name}.npz" + (f" (or {_CIFAR10_FOLDER}/)" if name == "cifar10" else "")
    into_art = "or let ART download it there" if name == "mnist" else "which ART cannot fill itself"
    msg = (
        f"data set {name} not found; looked in: {'; '.join(looked)}. Cures: put {what} into a "
        f"folder and give it as data_dir (--data-dir), set {ENVIRONMENT} to that folder, or put it "
        f"into ART's data folder, {into_art}"
    )
    return DataNotFoundError(msg)


def _download_mnist() -> _Parts:
    import logging
    import ssl

    from art import utils

    # ART turns certificate checks off for the whole process and logs with a broken format
    context, logger = ssl._create_default_https_context, logging.getLogger("art.utils")
    disabled, logger.disabled = logger.disabled, True
    try:
        train, test, _, _ = utils.load_mnist(raw=True)
    finally:
        ssl._create_default_https_context = context
        logger.disabled = disabled
    return (*train, *test)


def _read_npz(path: Path) -> _Parts:
    arrays = read_npz(path, _NAMES)
    wanted = _NAMES if "x_train" in arrays or "y_train" in arrays else _NAMES[2:]
    missing = [key for key in wanted if key not in arrays]
    if missing:
        msg = (
            f"{path} lacks {', '.join(missing)}; expected x_train, y_train, x_test, y_test, or "
            "x_test and y_test alone"
        )
        raise FileFormatError(msg)
    x_train, y_train, x_test, y_test = map(arrays.get, _NAMES)
    return x_train, y_train, x_test, y_test


def _read_cifar10(folder: Path) -> _Parts:
    """Read the official binary batches: records of one label byte and 3072 bytes of planar RGB."""
    missing = [n for n in (*_TRAIN_BATCHES, _TEST_BATCH) if not (folder / n).is_file()]
    if missing:
        msg = f"{folder} lacks {', '.join(missing)}; unpack cifar-10-binary.tar.gz again"
        raise FileFormatError(msg)
    train = np.concatenate([_read_batch(folder / name) for name in _TRAIN_BATCHES])
    test = _read_batch(folder / _TEST_BATCH)
    x_train, x_test = (part[:, 1:].reshape(-1, 3, 32, 32) for part in (train, test))
    return x_train, train[:, 0], x_test, test[:, 0]


def _read_batch(path: Path) -> NDArray[np.uint8]:
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % _RECORD:
        msg = f"{path} must hold whole records of {_RECORD} bytes, got {content.size} bytes"
        raise FileFormatError(msg)
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        msg = f"{path} is no CIFAR-10 batch: it holds label {records[:, 0].max()}, expected 0..9"
        raise FileFormatError(msg)
    return records
