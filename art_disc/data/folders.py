"""Folders of images: one sub-folder a class."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import InputError
from art_disc.core.pictures import SUFFIXES, looks_like_picture, read_picture, tell_skipped
from art_disc.data.arrays import from_arrays
from art_disc.data.dataset import Dataset, stratified_ids

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
    skipped = [
        path
        for path in sorted(root.rglob("*"))
        if looks_like_picture(path) and path not in read and path.is_file()
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    kinds = Counter(path.suffix.lower() for path in skipped)
    known = f"{', '.join(SUFFIXES)} in the folders of classes or sets"
    tell_skipped(root, kinds, skipped[:1], len(read), known)


def stack_images(paths: list[Path], root: Path) -> NDArray[np.uint8]:
    """Read 8-bit pictures of one size, shape (n, c, h, w); c is 1 if all are grey, else 3."""
    images = [read_picture(path) for path in paths]
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
