"""Pictures through Pillow's JPEG, at a quality or at a ratio of bytes, and the tables it used."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from art_disc.core.checks import check_positive
from art_disc.core.errors import InputError

Picture = NDArray[np.uint8]
SUBSAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}
BEST, WORST = 100, 1


@dataclass(frozen=True, slots=True)
class JpegCodec:
    """Encodes and decodes single pictures.

    Args:
        quality: Pillow's, 1 to 100; None where there is a ratio.
        ratio: Bytes of the picture by bytes of its compressed data, > 0; None where there is a
            quality.
        subsampling: `4:4:4`, `4:2:2` or `4:2:0`.

    Raises:
        InputError: A setting does not fit, or neither or both of quality and ratio are given.
    """

    quality: int | None
    ratio: float | None
    subsampling: str

    def __post_init__(self) -> None:
        if (self.quality is None) == (self.ratio is None):
            msg = f"give quality or ratio, got quality={self.quality!r} and ratio={self.ratio!r}"
            raise InputError(msg)
        if self.subsampling not in SUBSAMPLINGS:
            known = ", ".join(SUBSAMPLINGS)
            msg = f"subsampling must be one of {known}, got {self.subsampling!r}"
            raise InputError(msg)
        if self.quality is not None and not _whole(self.quality):
            msg = f"quality must be a whole number from 1 to 100, got {self.quality!r}"
            raise InputError(msg)
        if self.ratio is not None:
            check_positive(self.ratio, "ratio", scale=", raw by compressed bytes")

    def through(self, picture: Picture) -> Picture:
        """Return a picture (h, w, c) encoded and decoded again."""
        made = np.asarray(Image.open(io.BytesIO(self._encoded(picture)[1])))
        return made.reshape(picture.shape)

    def quality_for(self, picture: Picture) -> int:
        """Return the quality that a picture (h, w, c) is encoded with."""
        return self.quality if self.quality is not None else self._encoded(picture)[0]

    def _encoded(self, picture: Picture) -> tuple[int, bytes]:
        """Return the quality and the file: with a ratio, the highest quality that bisection finds.

        Where sizes do not rise with the quality, a higher one than that may do too.
        """
        if self.quality is not None:
            return self.quality, encoded(picture, self.quality, self.subsampling)
        most = picture.size / float(self.ratio or 1)
        best = encoded(picture, BEST, self.subsampling)
        if data_bytes(best) <= most:
            return BEST, best
        low, high, kept = WORST, BEST, encoded(picture, WORST, self.subsampling)
        if data_bytes(kept) > most:
            return WORST, kept
        while high - low > 1:
            middle = (low + high) // 2
            file = encoded(picture, middle, self.subsampling)
            if data_bytes(file) <= most:
                low, kept = middle, file
            else:
                high = middle
        return low, kept


def _whole(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and WORST <= value <= BEST


def encoded(picture: Picture, quality: int, subsampling: str) -> bytes:
    """Return the JPEG file of a picture.

    Args:
        picture: Shape (h, w, 1) or (h, w, 3), on 0..255.
        quality: 1 to 100.
        subsampling: Of the colour differences; a grey picture has none.
    """
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=int(quality), subsampling=subsampling)
    return file.getvalue()


def data_bytes(file: bytes) -> int:
    """Return the bytes of a file's compressed data, without headers and tables.

    Args:
        file: A baseline JPEG file, as Pillow writes it: one scan.
    """
    place = 2
    while file[place + 1] != 0xDA:
        place += 2 + int.from_bytes(file[place + 2 : place + 4], "big")
    start = place + 2 + int.from_bytes(file[place + 2 : place + 4], "big")
    return len(file) - 2 - start


@lru_cache(maxsize=2 * BEST)
def tables(quality: int, channels: int) -> NDArray[np.float32]:
    """Return the quantisation tables (c, 8, 8) that Pillow writes, of rows of frequencies."""
    file = encoded(np.zeros((8, 8, channels), np.uint8), quality, "4:4:4")
    with Image.open(io.BytesIO(file)) as image:
        found = image.quantization
    # both colour differences share a table
    planes = [found[min(plane, len(found) - 1)] for plane in range(channels)]
    made = np.asarray(planes, dtype=np.float32).reshape(channels, 8, 8)
    made.flags.writeable = False
    return made
