"""Pictures of 8 bits: which files they are, how they are read, which were not."""

import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import FileFormatError, InputWarning

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm")
_FORMATS = ("PNG", "JPEG", "BMP", "PPM")
# beside those that Pillow knows
_OTHER_PICTURES = (".heic", ".heif", ".avif", ".jxl", ".svg")
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error)


def looks_like_picture(path: Path) -> bool:
    """Return whether a file's name ends as that of a picture, of whatever kind."""
    from PIL import Image

    suffix = path.suffix.lower()
    return suffix in Image.registered_extensions() or suffix in _OTHER_PICTURES


def tell_skipped(
    root: Path, kinds: Mapping[str, int], first: Sequence[Path], read: int, known: str
) -> None:
    """Warn of pictures of these kinds that were skipped, unless there are none.

    Args:
        root: The folder that was read.
        kinds: How many were skipped, by how their names end.
        first: The first of them.
        read: How many were read.
        known: What is read.
    """
    if not first:
        return
    count, counted = sum(kinds.values()), ", ".join(f"{n} {k}" for k, n in sorted(kinds.items()))
    msg = (
        f"{root.name}: skipped {count} of {count + read} pictures ({counted}), "
        f"{first[0].relative_to(root)} first; read are {known}: convert or move the others"
    )
    warnings.warn(msg, InputWarning, stacklevel=3)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit picture, shape (h, w, c); c is 1 if it is grey, else 3."""
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
