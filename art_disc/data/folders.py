"""Folders of images: one sub-folder a class."""

import struct
import warnings
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import FileFormatError, InputError, InputWarning
from art_disc.data.arrays import from_arrays
from art_disc.data.dataset import Dataset, stratified_ids

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm")
_FORMATS = ("PNG", "JPEG", "BMP", "PPM")
# beside those that Pillow knows
_OTHER_PICTURES = (".heic", ".heif", ".avif", ".jxl", ".svg")
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error)
_TEST_SHARE = 0.2
_SPLIT_SEED = 0

_Files = dict[str, list[Path]]


def load_folder(root: Path) -> Dataset:
    """Read a folder of images, classes and files in the order of their names.

    It holds `train/<class>/` and `test/<class>/` (or `test/` alone), or the class folders
    themselves; then a fixed, stratified fifth becomes the test part. The data set has one channel
    if every image is grey, else RGB (alpha is dropped).
    """
    train, test = root / "train", root / "test"
    if any(_subfolders(train)) or any(_subfolders(test)):
        if not test.is_dir():
            msg = f"{root} has train/ but no test/; add test/<class>/ or drop the train/ level"
            raise InputError(msg)
        return _from_files(root, _find(train), _find(test))
    files = _find(root)
    labels = np.repeat(np.arange(len(files)), [len(paths) for paths in files.values()])
    count = max(1, round(_TEST_SHARE * len(labels))) if len(labels) else 0
    every = [path for paths in files.values() for path in paths]
    chosen = {every[i] for i in stratified_ids(labels, count, seed=_SPLIT_SEED)}
    train_files = {name: [p for p in paths if p not in chosen] for name, paths in files.items()}
    test_files = {name: [p for p in paths if p in chosen] for name, paths in files.items()}
    return _from_files(root, train_files, test_files)


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _find(folder: Path) -> _Files:
    return {
        entry.name: sorted(
            path
            for path in entry.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
        for entry in _subfolders(folder)
    }


def _from_files(root: Path, train: _Files, test: _Files) -> Dataset:
    names = tuple(sorted({*train, *test}))
    for name in names:
        if not train.get(name) and not test.get(name):
            msg = f"{root}: class folder {name!r} holds no image ({', '.join(SUFFIXES)})"
            raise InputError(msg)
    start = sum(map(len, train.values()))
    pairs = [
        (path, label)
        for files in (train, test)
        for label, name in enumerate(names)
        for path in files.get(name, [])
    ]
    if len(pairs) == start:
        msg = f"{root} holds no test image; expected <class>/*.png or test/<class>/*.png"
        raise InputError(msg)
    images = stack_images([path for path, _ in pairs], root)
    warn_of_skipped(root, {path for path, _ in pairs})
    labels = np.array([label for _, label in pairs])
    return from_arrays(
        images[:start],
        labels[:start],
        images[start:],
        labels[start:],
        name=root.name,
        class_names=names,
        source=root.name,
    )


def warn_of_skipped(root: Path, read: Collection[Path]) -> None:
    """Warn of pictures under a folder that were not read; hidden ones do not count."""
    from PIL import Image

    looks = {*Image.registered_extensions(), *_OTHER_PICTURES}
    skipped = [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in looks and path not in read and path.is_file()
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    if not skipped:
        return
    kinds = Counter(path.suffix.lower() for path in skipped)
    counted = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    msg = (
        f"{root.name}: skipped {len(skipped)} of {len(skipped) + len(read)} pictures ({counted}), "
        f"{skipped[0].relative_to(root)} first; read are {', '.join(SUFFIXES)} in the folders of "
        "classes or sets: convert or move the others"
    )
    warnings.warn(msg, InputWarning, stacklevel=2)


def stack_images(paths: list[Path], root: Path) -> NDArray[np.uint8]:
    """Read 8-bit pictures of one size, shape (n, c, h, w); c is 1 if all are grey, else 3."""
    images = [_read(path) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            sizes = [f"{i.shape[1]}x{i.shape[0]}" for i in (images[0], image)]
            msg = (
                f"images must have one size, got {sizes[0]} in {paths[0].relative_to(root)} and "
                f"{sizes[1]} in {path.relative_to(root)}; resize them first"
            )
            raise InputError(msg)
    channels = max(image.shape[2] for image in images)
    height, width, _ = images[0].shape
    batch = np.empty((len(images), channels, height, width), np.uint8)
    for row, image in zip(batch, images, strict=True):
        row[...] = image.transpose(2, 0, 1)  # a grey image among colours fills all three
    return batch


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.mode.startswith(("I", "F")):
                msg = f"{path} is no 8-bit image (mode {image.mode}); save it with 8 bits a channel"
                raise FileFormatError(msg)
            return _to_array(image)
    except FileFormatError:
        raise
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        msg = f"{path} cannot be read as an image: {error}"
        raise FileFormatError(msg) from error


def _to_array(image: Any) -> NDArray[np.uint8]:
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"), np.uint8)[:, :, None]
    # Pillow warns when a palette with transparency goes straight to RGB
    opaque = image.convert("RGBA") if "transparency" in image.info else image
    return np.asarray(opaque.convert("RGB"), np.uint8)
