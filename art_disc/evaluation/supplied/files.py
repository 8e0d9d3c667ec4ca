"""Reading adversarial images that somebody supplies: npz files and folders of pictures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array, IntArray, check_images
from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.core.files import read_npz
from art_disc.core.pictures import SUFFIXES
from art_disc.data.folders import stack_images, warn_of_skipped

Place = Path | NDArray[Any]
Files = str | Place | Sequence[str | Path] | Mapping[str, str | Place]

# an evaluation's own export holds the clean images as x, so its name for ours comes first
_IMAGES = ("x_adv", "adversarial", "x")
_IDS = ("example_ids", "indices")


@dataclass(frozen=True, slots=True, eq=False)
class Supplied:
    """Images of one file or folder.

    Attributes:
        file: Its name.
        images: float32 in the layout and input range of the classifier, shape (n, ...).
        ids: Index of each one's clean image in the test split, shape (n,), each once.
    """

    file: str
    images: Float32Array
    ids: IntArray


def find_sets(where: Files) -> dict[str, Place]:
    """Return the sets of images under their names.

    Args:
        where: An npz file; a folder with pictures in it; a folder of such files and folders (the
            `adversarial/` of an evaluation's export, or the folder of the evaluation); several of
            these; an array of images; or npz files, folders of pictures and arrays by name.

    Raises:
        DataNotFoundError: No such file or folder.
        InputError: A folder without images, or two sets of one name.
    """
    if isinstance(where, Mapping):
        return {
            str(name): place if isinstance(place, np.ndarray) else Path(place)
            for name, place in where.items()
        }
    if isinstance(where, np.ndarray):
        return {"images": where}
    if isinstance(where, Sequence) and not isinstance(where, str):
        return _all_sets(where)
    path = Path(where)
    if not path.exists():
        msg = f"no such file or folder: {path}"
        raise DataNotFoundError(msg)
    if not path.is_dir():
        return {path.stem: path}
    if _pictures(path):
        return {path.name or path.resolve().name: path}
    found = _sets_inside(path / "adversarial" if (path / "adversarial").is_dir() else path)
    if not found:
        msg = f"{path} holds no images; expected npz files or pictures ({', '.join(SUFFIXES)})"
        raise InputError(msg)
    return found


def _all_sets(places: Sequence[str | Path]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for name, path in (item for place in places for item in find_sets(place).items()):
        if name in found:
            msg = f"there are two sets called {name}: {found[name]} and {path}; rename one"
            raise InputError(msg)
        found[name] = path
    return found


def _sets_inside(inside: Path) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for entry in sorted(inside.iterdir()):
        if entry.is_dir() and _pictures(entry):
            found[f"{entry.name}/"] = entry
        elif entry.suffix == ".npz" and not entry.name.startswith("."):
            found[entry.stem] = entry
        elif entry.is_dir():
            warn_of_skipped(entry, ())
    return found


def read_set(path: Path, shape: tuple[int, ...], upper: float) -> Supplied:
    """Read one set of images of the classifier's shape, in its range up to `upper`, 1 or 255.

    An npz holds `x`, floats in the classifier's input range or uint8, and may hold `indices`, the
    index of each image in the test split; without them image i belongs to test image i. The
    files that an evaluation exports (`x_adv`, `example_ids`) and its `pictures.npz` are known too.
    A picture's file name holds that index as its one number: `17.png`, `adv_0017.png`.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Damaged, or without images.
        InputError: Images of another shape or range, or indices that name no image or two.
    """
    raw, ids = _read_pictures(path) if path.is_dir() else _read_npz(path, upper)
    if ids.shape != (len(raw),) or len(np.unique(ids)) != len(ids) or (ids < 0).any():
        msg = (
            f"{path} must name one test image for each of its {len(raw)} images, each once, got "
            f"{ids.size} indices, {len(np.unique(ids))} of them different"
        )
        raise InputError(msg)
    images = check_images(_laid_out(raw, shape, path), name=str(path), upper=upper)
    order = np.argsort(ids, kind="stable")
    return Supplied(path.name, images[order], ids[order])


def _read_npz(path: Path, upper: float) -> tuple[NDArray[Any], IntArray]:
    arrays = read_npz(path, (*_IMAGES, *_IDS))
    named = [name for name in _IMAGES if name in arrays]
    if not named:
        msg = f"{path} lacks x, the adversarial images; an evaluation's export has x_adv instead"
        raise FileFormatError(msg)
    images = arrays[named[0]]
    # the pictures of a report are in [0, 1] whatever the classifier's range
    if named[0] == "adversarial" and images.dtype != np.uint8:
        images = images * np.float32(upper)
    listed = [arrays[name] for name in _IDS if name in arrays]
    ids = listed[0] if listed else np.arange(len(images))
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        msg = f"{path}: indices must be whole numbers of shape (n,), got {ids.dtype} {ids.shape}"
        raise InputError(msg)
    return images, ids.astype(np.int64)


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _read_pictures(folder: Path) -> tuple[NDArray[np.uint8], IntArray]:
    paths = _pictures(folder)
    if not paths:
        msg = f"{folder} holds no pictures ({', '.join(SUFFIXES)})"
        raise InputError(msg)
    ids = []
    for path in paths:
        numbers = re.findall(r"\d+", path.stem)
        if len(numbers) != 1:
            msg = (
                f"{path} must hold one number in its name, the index of its test image (17.png), "
                f"got {len(numbers)}"
            )
            raise InputError(msg)
        ids.append(int(numbers[0]))
    images = stack_images(paths, folder)
    warn_of_skipped(folder, set(paths))
    return images, np.array(ids, dtype=np.int64)


def _laid_out(images: NDArray[Any], shape: tuple[int, ...], path: Path) -> NDArray[Any]:
    """Return images in the shape that the classifier takes, whatever axis holds the channels."""
    tried = [images]
    if images.ndim == 4:
        tried += [np.moveaxis(images, 1, -1), np.moveaxis(images, -1, 1)]
    if images.ndim == 3:
        tried += [images[:, None], images[..., None]]
    for some in tried:
        if some.ndim == 4 and some.shape[1:] == shape:
            return np.ascontiguousarray(some)
    msg = f"{path} must hold images of shape {shape}, the classifier's, got {images.shape[1:]}"
    raise InputError(msg)
