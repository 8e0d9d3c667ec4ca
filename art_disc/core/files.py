"""Files that are written whole or not at all, and read without running anything in them."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError

# bad zip, damaged or encrypted streams, unknown compression, broken npy headers, pickles
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
)


def check_folder(path: str | Path) -> Path:
    """Return a path where a folder is or can be made.

    Raises:
        InputError: It, or what it should lie in, is a file.
    """
    folder = Path(path)
    there = next((part for part in (folder, *folder.parents) if part.exists()), None)
    if there is not None and not there.is_dir():
        msg = (
            f"expected a folder, or a path where one can be made, got {str(path)!r}, and {there} "
            "is a file; give another path"
        )
        raise InputError(msg)
    return folder


def make_folder(path: str | Path) -> Path:
    """Make a folder where there is none, and those that it lies in.

    Raises:
        InputError: As `check_folder`.
    """
    folder = check_folder(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_file(path: str | Path) -> Path:
    """Return a path where a file can be written.

    Raises:
        InputError: It is a folder, or what it should lie in is none.
    """
    target = Path(path)
    if target.is_dir():
        msg = f"expected the path of a file, got the folder {target}; add a file's name"
        raise InputError(msg)
    check_folder(target.parent)
    return target


def replace_file(path: str | Path, content: bytes) -> Path:
    """Write `content` beside `path` and move it there in one step.

    Raises:
        InputError: The path is a folder, or what it should lie in is none.
    """
    target = check_file(path)
    make_folder(target.parent)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        scratch.write_bytes(content)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return target


def write_json(path: str | Path, data: Any, *, indent: int | None = None) -> Path:
    """Write strict JSON (no NaN)."""
    return replace_file(path, (json.dumps(data, allow_nan=False, indent=indent) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """Read JSON.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Not JSON.
    """
    source = _existing(path)
    try:
        return json.loads(source.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"{source} is not JSON: {error}"
        raise FileFormatError(msg) from error


def _existing(path: str | Path) -> Path:
    source = Path(path)
    if not source.is_file():
        msg = f"no such file: {source}"
        raise DataNotFoundError(msg)
    return source


def write_npz(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write arrays as a compressed npz, in one step."""
    buffer = io.BytesIO()
    # np.savez takes names as keywords, of which `file` and `allow_pickle` are its own
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return replace_file(path, buffer.getvalue())


def read_npz(path: str | Path, keys: tuple[str, ...] | None = None) -> dict[str, NDArray[Any]]:
    """Read arrays of an npz; nothing in it is ever unpickled.

    Args:
        path: The file.
        keys: Names to read; those that the file lacks are left out. None: all.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Not an npz, damaged, or it holds pickled objects.
    """
    source = _existing(path)
    try:
        # opened here: np.load leaves a file open whose zip directory is damaged
        with source.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                msg = f"{source} is one npy array, expected an npz; save with np.savez"
                raise FileFormatError(msg)
            with archive:
                wanted = [k for k in archive.files if keys is None or k in keys]
                arrays: dict[str, Any] = {k: archive[k] for k in wanted}
    except UNREADABLE as error:
        if isinstance(error, FileFormatError):
            raise
        msg = f"{source} cannot be read as an npz of plain arrays (a pickle is never read): {error}"
        raise FileFormatError(msg) from error
    for key, array in arrays.items():
        # a zip member that is no npy comes back as bytes
        if not isinstance(array, np.ndarray):
            msg = f"{source} holds {key} as something that is no array; save with np.savez"
            raise FileFormatError(msg)
    return arrays
