"""Files of images on the 8-bit grid, read part by part: what is held does not grow with them."""

import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.doubts import check_divided_once
from art_disc.core.errors import ArtDiscError, DataNotFoundError, FileFormatError, InputError
from art_disc.core.files import UNREADABLE
from art_disc.core.layouts import channels_first
from art_disc.core.levels import to_levels
from art_disc.core.pictures import SUFFIXES, looks_like_picture, read_picture, tell_skipped

READ = (*SUFFIXES, ".npy", ".npz")
# values of an array that are read at once
_VALUES = 1 << 22
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def training_part(path: str | os.PathLike[str]) -> Path:
    """Return `train/` of a folder that keeps test images beside it, any other path as it is.

    Raises:
        DataNotFoundError: There is nothing.
    """
    root = Path(path).expanduser()
    if not root.exists():
        msg = f"no such file or folder: {root}; pixels are counted of {', '.join(READ)}"
        raise DataNotFoundError(msg)
    train = root / "train"
    apart = any((root / name).is_dir() for name in ("test", "val", "validation"))
    return train if apart and train.is_dir() else root


def image_files(root: Path) -> Iterator[Path]:
    """Yield the files of a folder that may hold images, in the order of their names.

    All below it, but for hidden ones; a linked folder is entered once. Or the one file itself.
    """
    return (path for path in _walk(root) if _is_read(path, root))


def _is_read(path: Path, root: Path) -> bool:
    # one file may have any name
    return path.suffix.lower() in READ or path == root


def _walk(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    entered = set()
    for folder, inside, names in os.walk(root, onerror=_refuse, followlinks=True):
        status = Path(folder).stat()
        new = (status.st_dev, status.st_ino) not in entered
        entered.add((status.st_dev, status.st_ino))
        inside[:] = sorted(name for name in inside if new and not name.startswith("."))
        for name in sorted(names) if new else ():
            if not name.startswith("."):
                yield Path(folder, name)


def _refuse(error: OSError) -> None:
    msg = f"{error.filename} cannot be read: {error.strerror}; change its rights or move it"
    raise DataNotFoundError(msg) from error


def survey(root: Path) -> tuple[int, int]:
    """Return of how many files images are to be read, and their bytes; warn of other pictures.

    Raises:
        InputError: There is no file to read.
    """
    files, size = 0, 0
    first: list[Path] = []
    skipped: Counter[str] = Counter()
    for path in _walk(root):
        if _is_read(path, root):
            files, size = files + 1, size + size_of(path)
        elif looks_like_picture(path):
            first = first or [path]
            skipped[path.suffix.lower()] += 1
    tell_skipped(root, skipped, first, files, ", ".join(READ))
    if not files:
        msg = f"{root} holds no images; expected files {', '.join(READ)}, in folders or not"
        raise InputError(msg)
    return files, size


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 where there is none, which reading it will tell."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_levels(path: Path) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Yield images of a file as levels (n, c, h, w), c 1 or 3, and what share of all they are.

    A picture is one image. An array holds images as `from_arrays` takes them; of an npz it is
    `x_train`, else `x_test`, else the only one.

    Raises:
        FileFormatError: The file is damaged or foreign.
        InputError: Its array holds no images.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz"):
        yield read_picture(path).transpose(2, 0, 1)[None], 1.0
        return
    top = 0.0
    try:
        for images, share in (_npy if suffix == ".npy" else _npz)(path):
            yield to_levels(images, str(path)), share
            top = max(top, float(images.max()) if images.dtype != np.uint8 else 1.0)
    except ArtDiscError:
        raise
    except UNREADABLE as error:
        msg = f"{path} cannot be read as an array of plain numbers: {error}; save it again"
        raise FileFormatError(msg) from error
    check_divided_once(top, str(path))


def _npy(path: Path) -> Iterator[tuple[NDArray[Any], float]]:
    array = np.lib.format.open_memmap(path, mode="r")
    for start, stop in _spans(array.shape, path):
        part = channels_first(np.asarray(array[start:stop]), str(path))
        yield part, len(part) / len(array)


def _npz(path: Path) -> Iterator[tuple[NDArray[Any], float]]:
    """Read an array through its archive, which may be compressed, images one after the other."""
    with zipfile.ZipFile(path) as archive, archive.open(_member(archive, path)) as file:
        shape, dtype = _header(file, path)
        one = int(np.prod(shape[1:], dtype=np.int64))
        for start, stop in _spans(shape, path):
            part = np.frombuffer(file.read((stop - start) * one * dtype.itemsize), dtype)
            images = channels_first(part.reshape(stop - start, *shape[1:]), str(path))
            yield images, len(images) / shape[0]


def _member(archive: zipfile.ZipFile, path: Path) -> str:
    arrays = [name for name in archive.namelist() if name.endswith(".npy")]
    wanted = [f"{name}.npy" for name in ("x_train", "x_test") if f"{name}.npy" in arrays]
    if not wanted and len(arrays) != 1:
        held = ", ".join(name.removesuffix(".npy") for name in arrays) or "none"
        msg = f"{path} must hold x_train, x_test or one array alone, got {held}; rename one"
        raise InputError(msg)
    return (wanted or arrays)[0]


def _header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        msg = f"its npy format {version} is that of no plain numbers"
        raise ValueError(msg)
    shape, columns_first, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        msg = "it holds pickled objects, which are never read"
        raise ValueError(msg)
    if columns_first:
        msg = (
            f"{path} holds its array column by column, so that no image is whole before the end; "
            "save np.ascontiguousarray of it, or an npy file"
        )
        raise InputError(msg)
    return shape, dtype


def _spans(shape: tuple[int, ...], path: Path) -> Iterator[tuple[int, int]]:
    """Yield from where to where images are read at once."""
    if not shape or 0 in shape:
        msg = f"{path} must hold at least one image, got shape {shape}"
        raise InputError(msg)
    step = max(1, _VALUES // int(np.prod(shape[1:], dtype=np.int64)))
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])
