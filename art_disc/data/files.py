"""Files of arrays: npz and CIFAR-10's binary batches."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import FileFormatError
from art_disc.core.files import read_npz

Arrays = dict[str, NDArray[Any]]

CIFAR10_FOLDER = "cifar-10-batches-bin"
_TRAIN_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_TEST_BATCH = "test_batch.bin"
_RECORD = 1 + 3 * 32 * 32
_KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_arrays(path: Path) -> Arrays:
    """Read `x_test, y_test` and, where both are there, `x_train, y_train`, each once.

    Raises:
        FileFormatError: Not an npz, damaged, pickled, or without these arrays.
    """
    arrays = read_npz(path, _KEYS)
    wanted = _KEYS if "x_train" in arrays or "y_train" in arrays else _KEYS[2:]
    missing = [key for key in wanted if key not in arrays]
    if missing:
        msg = (
            f"{path} lacks {', '.join(missing)}; expected x_train, y_train, x_test, y_test, or "
            "x_test and y_test alone"
        )
        raise FileFormatError(msg)
    return arrays


def read_cifar10(folder: Path) -> Arrays:
    """Read the official binary batches: records of one label byte and 3072 bytes of planar RGB.

    Raises:
        FileFormatError: A batch is missing, cut short, or holds a label above 9.
    """
    missing = [n for n in (*_TRAIN_BATCHES, _TEST_BATCH) if not (folder / n).is_file()]
    if missing:
        msg = f"{folder} lacks {', '.join(missing)}; unpack cifar-10-binary.tar.gz again"
        raise FileFormatError(msg)
    train = np.concatenate([_read_batch(folder / name) for name in _TRAIN_BATCHES])
    test = _read_batch(folder / _TEST_BATCH)
    return {
        "x_train": train[:, 1:].reshape(-1, 3, 32, 32),
        "y_train": train[:, 0],
        "x_test": test[:, 1:].reshape(-1, 3, 32, 32),
        "y_test": test[:, 0],
    }


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
