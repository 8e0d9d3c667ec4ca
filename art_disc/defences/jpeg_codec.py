"""Pictures through Pillow's JPEG, at a quality or at a ratio of bytes, and the tables it used."""

import io
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_choice, check_count, check_positive
from art_disc.core.errors import InputError

Picture = NDArray[np.uint8]
SUBSAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}
BEST, WORST = 100, 1


@dataclass(frozen=True, slots=True)
class JpegCodec:
    """Encodes and decodes single pictures.

    The fields are parameters of `JpegCompression`; either quality or ratio is None.

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
        check_choice(self.subsampling, "subsampling", SUBSAMPLINGS)
        if self.quality is not None:
            check_count(self.quality, "quality", least=WORST, most=BEST)
        if self.ratio is not None:
            check_positive(self.ratio, "ratio", scale=", raw by compressed bytes")

    def through(self, picture: Picture) -> Picture:
        """Return a picture (h, w, c) encoded and decoded again."""
        from PIL import Image

        file = encoded(picture, self.quality_for(picture), self.subsampling)
        return np.asarray(Image.open(io.BytesIO(file))).reshape(picture.shape)

    def quality_for(self, picture: Picture) -> int:
        """Return the quality that a picture (h, w, c) is encoded with.

        With a ratio it is the highest that bisection finds; where sizes do not rise with the
        quality, a higher one may do too.
        """
        if self.quality is not None:
            return self.quality

        def fits(quality: int) -> bool:
            size = data_bytes(encoded(picture, quality, self.subsampling))
            return size <= picture.size / float(self.ratio or 1)

        if fits(BEST):
            return BEST
        if not fits(WORST):
            return WORST
        between = range(BEST - 1, WORST, -1)
        place = bisect_left(between, x=True, key=fits)
        return between[place] if place < len(between) else WORST


def encoded(picture: Picture, quality: int, subsampling: str) -> bytes:
    """Return the JPEG file of a picture (h, w, 1 or 3); a grey one has no subsampling."""
    from PIL import Image

    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=int(quality), subsampling=subsampling)
    return file.getvalue()


def data_bytes(file: bytes) -> int:
    """Return the bytes of a file's compressed data, without headers and tables, of its one scan."""
    place = 2
    while file[place + 1] != 0xDA:
        place += 2 + int.from_bytes(file[place + 2 : place + 4], "big")
    start = place + 2 + int.from_bytes(file[place + 2 : place + 4], "big")
    return len(file) - 2 - start


@lru_cache(maxsize=2 * BEST)
def tables(quality: int, channels: int) -> NDArray[np.float32]:
    """Return the quantisation tables (c, 8, 8) that Pillow writes, of rows of frequencies."""
    from PIL import Image

    file = encoded(np.zeros((8, 8, channels), np.uint8), quality, "4:4:4")
    with Image.open(io.BytesIO(file)) as image:
        found = image.quantization
    # both colour differences share a table
    planes = [found[min(plane, len(found) - 1)] for plane in range(channels)]
    made = np.asarray(planes, dtype=np.float32).reshape(channels, 8, 8)
    made.flags.writeable = False
    return made
