"""Histograms of pixel values on the 8-bit grid that are filled batch by batch and add up."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_batch, check_images
from art_disc.core.errors import InputError
from art_disc.core.layouts import check_channels
from art_disc.core.showing import Shown

_CHUNK_PIXELS = 1 << 21
# up to so many channels, and where it is no longer than this many times the pixels, a table of all
# values costs less time and memory than sorting
_DENSE_CHANNELS, _DENSE = 3, 16
# a pixel is one whole number of 64 bits, 8 for each channel, and a sign
_MOST_CHANNELS = 7


class PixelCounts(Shown):
    """How often each pixel value, a vector of c channels on the 8-bit grid, occurs.

    Args:
        n_channels: Channels c of a pixel, 1 to 7.

    >>> x = np.zeros((1, 1, 2, 2), dtype=np.float32)
    >>> (PixelCounts(1).update(x) + PixelCounts(1).update(x + 1)).counts
    array([4, 4])
    """

    def __init__(self, n_channels: int) -> None:
        if not 1 <= n_channels <= _MOST_CHANNELS:
            msg = (
                f"n_channels must lie in 1..{_MOST_CHANNELS}, got {n_channels}; of more channels "
                "take UniformCodebook or BitDepthCodebook, which count no pixels"
            )
            raise InputError(msg)
        self.n_channels = n_channels
        self._keys: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def _shown(self) -> dict[str, Any]:
        return {"n_channels": self.n_channels, "total": self.total, "distinct": len(self._keys)}

    @classmethod
    def of(cls, x: Any, *, channels_first: bool = True) -> Self:
        """Count the pixels of one batch; see `update`."""
        array = np.asarray(x)
        if array.ndim == 4:
            check_channels(cls, array.shape[1:], channels_first=channels_first)
        channels = array.shape[1 if channels_first else -1] if array.ndim == 4 else 1
        return cls(channels).update(array, channels_first=channels_first)

    def update(self, x: Any, *, channels_first: bool = True) -> Self:
        """Add a batch of images and return self.

        It is read in parts, so a memory-mapped one of up to three channels may be larger than the
        memory; of more channels the different pixels of each part are kept until the end.

        Args:
            x: Shape (n, c, h, w), or (n, h, w, c); float in [0, 1] or uint8. A value off the 8-bit
                grid counts for the nearest level.
            channels_first: Where the channel axis is.

        Raises:
            InputError: Not such a batch; nothing is counted then.
        """
        images = check_batch(x)
        axis = 1 if channels_first else 3
        if images.shape[axis] != self.n_channels:
            msg = f"expected {self.n_channels} channel(s), got images of shape {images.shape}"
            raise InputError(msg)
        step = max(1, _CHUNK_PIXELS // max(1, images[0].size // self.n_channels))
        chunks = (
            self._pack(np.moveaxis(_levels(images[start : start + step]), axis, -1))
            for start in range(0, len(images), step)
        )
        values = 256**self.n_channels
        dense = self.n_channels <= _DENSE_CHANNELS
        if dense and values <= _DENSE * images.size // self.n_channels:
            found = _tally_dense(chunks, values)
        else:
            found = _tally_sorted(chunks)
        self._merge([self._keys, *found[0]], [self._counts, *found[1]])
        return self

    def _pack(self, levels: NDArray[np.uint8]) -> NDArray[np.int64]:
        packed = levels[..., 0].astype(np.int64)
        for i in range(1, self.n_channels):
            packed <<= 8
            packed |= levels[..., i]
        return packed.reshape(-1)

    def _merge(self, keys: list[NDArray[np.int64]], counts: list[NDArray[np.int64]]) -> None:
        merged, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        totals = np.zeros(len(merged), dtype=np.int64)
        np.add.at(totals, inverse.reshape(-1), np.concatenate(counts))
        self._keys, self._counts = merged, totals

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        """Return the counts of both."""
        if not isinstance(other, PixelCounts):
            return NotImplemented
        if other.n_channels != self.n_channels:
            msg = f"cannot add counts of {self.n_channels} and {other.n_channels} channels"
            raise InputError(msg)
        both = PixelCounts(self.n_channels)
        both._merge([self._keys, other._keys], [self._counts, other._counts])
        return both

    @property
    def values(self) -> NDArray[np.uint8]:
        """Distinct pixel values, shape (m, c), rising lexicographically, 0..255."""
        shifts = np.arange(self.n_channels - 1, -1, -1) * 8
        return ((self._keys[:, None] >> shifts) & 255).astype(np.uint8)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each of `values` occurs, shape (m,)."""
        return self._counts.copy()

    @property
    def total(self) -> int:
        """Number of pixels counted."""
        return int(self._counts.sum())

    def per_channel(self) -> NDArray[np.int64]:
        """Marginal histograms, shape (c, 256); see `channel_histograms` for many channels."""
        values = self.values
        return np.stack(
            [
                np.bincount(values[:, i], weights=self._counts, minlength=256).astype(np.int64)
                for i in range(self.n_channels)
            ]
        )


def channel_histograms(x: Any) -> NDArray[np.int64]:
    """Count the values of each channel of images (n, c, h, w), however many: shape (c, 256)."""
    channels = np.moveaxis(_levels(check_batch(x)), 1, 0)
    return np.stack([np.bincount(one.reshape(-1), minlength=256) for one in channels])


def _levels(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Levels of images: uint8 as they are, floats in [0, 1] to the nearest."""
    if images.dtype == np.uint8:
        return images
    levels: NDArray[np.uint8] = np.rint(np.float32(255) * check_images(images)).astype(np.uint8)
    return levels


_Tally = tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]


def _tally_sorted(chunks: Iterable[NDArray[Any]]) -> _Tally:
    keys, counts = [], []
    for packed in chunks:
        values, amounts = np.unique(packed, return_counts=True)
        keys.append(values.astype(np.int64))
        counts.append(amounts.astype(np.int64))
    return keys, counts


def _tally_dense(chunks: Iterable[NDArray[Any]], size: int) -> _Tally:
    table = np.zeros(size, dtype=np.int64)
    for packed in chunks:
        if size < len(packed):
            table += np.bincount(packed, minlength=size)
        else:
            # bincount would make a table for each part
            np.add.at(table, packed, 1)
    values = np.flatnonzero(table)
    return [values], [table[values]]
