"""Histograms of pixel values on the 8-bit grid that are filled batch by batch and add up."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_batch
from art_disc.core.errors import InputError
from art_disc.core.layouts import check_channels
from art_disc.core.levels import to_levels
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
        self._tally = _Tally(n_channels)

    def _shown(self) -> dict[str, Any]:
        distinct = len(self._tally.folded()[0])
        return {"n_channels": self.n_channels, "total": self.total, "distinct": distinct}

    @classmethod
    def of(cls, x: Any, *, channels_first: bool = True) -> Self:
        """Count the pixels of one batch; see `update`."""
        array = np.asarray(x)
        if array.ndim == 4:
            check_channels(cls, array.shape[1:], channels_first=channels_first)
        channels = array.shape[1 if channels_first else -1] if array.ndim == 4 else 1
        return cls(channels).update(array, channels_first=channels_first)

    def update(self, x: Any, *, channels_first: bool = True) -> Self:
        """Add a batch of images, or other counts, and return self.

        A batch is read in parts, so a memory-mapped one of up to three channels may be larger than
        the memory; of more channels the different pixels are kept.

        Args:
            x: Shape (n, c, h, w), or (n, h, w, c); float in [0, 1] or uint8. A value off the 8-bit
                grid counts for the nearest level. Or `PixelCounts` of c channels.
            channels_first: Where the channel axis is.

        Raises:
            InputError: Neither; nothing is counted then.
        """
        if isinstance(x, PixelCounts):
            self._check_like(x)
            self._tally.include(*x._tally.folded())
            return self
        images = check_batch(x)
        axis = 1 if channels_first else 3
        if images.shape[axis] != self.n_channels:
            msg = f"expected {self.n_channels} channel(s), got images of shape {images.shape}"
            raise InputError(msg)
        # a later part of floats may be refused
        tally = self._tally if images.dtype == np.uint8 else _Tally(self.n_channels)
        step = max(1, _CHUNK_PIXELS // max(1, images[0].size // self.n_channels))
        for start in range(0, len(images), step):
            tally.add(self._pack(np.moveaxis(to_levels(images[start : start + step]), axis, -1)))
        if tally is not self._tally:
            self._tally.include(*tally.folded())
        return self

    def _pack(self, levels: NDArray[np.uint8]) -> NDArray[np.int64]:
        packed = levels[..., 0].astype(np.int64)
        for i in range(1, self.n_channels):
            packed <<= 8
            packed |= levels[..., i]
        return packed.reshape(-1)

    def _check_like(self, other: "PixelCounts") -> None:
        if other.n_channels != self.n_channels:
            msg = f"cannot add counts of {self.n_channels} and {other.n_channels} channels"
            raise InputError(msg)

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        """Return the counts of both."""
        if not isinstance(other, PixelCounts):
            return NotImplemented
        return PixelCounts(self.n_channels).update(self).update(other)

    def __copy__(self) -> "PixelCounts":
        """Return counts that later updates of these leave alone."""
        return PixelCounts(self.n_channels).update(self)

    def as_colours(self) -> "PixelCounts":
        """Return the counts of grey pixels as those of colours, three channels of that grey each.

        Raises:
            InputError: The pixels have several channels.
        """
        self._check_like(PixelCounts(1))
        colours = PixelCounts(3)
        keys, counts = self._tally.folded()
        colours._tally.include(keys * 0x010101, counts)
        return colours

    @property
    def values(self) -> NDArray[np.uint8]:
        """Distinct pixel values, shape (m, c), rising lexicographically, 0..255."""
        keys, channels = self._tally.folded()[0], reversed(range(self.n_channels))
        return np.stack([(keys >> 8 * i & 255).astype(np.uint8) for i in channels], axis=1)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each of `values` occurs, shape (m,)."""
        return self._tally.folded()[1].copy()

    @property
    def total(self) -> int:
        """Number of pixels counted."""
        return self._tally.total

    def per_channel(self) -> NDArray[np.int64]:
        """Marginal histograms, shape (c, 256); see `channel_histograms` for many channels."""
        values, counts = self.values, self._tally.folded()[1]
        return np.stack(
            [
                np.bincount(values[:, i], weights=counts, minlength=256).astype(np.int64)
                for i in range(self.n_channels)
            ]
        )


def channel_histograms(x: Any) -> NDArray[np.int64]:
    """Count the values of each channel of images (n, c, h, w), however many: shape (c, 256)."""
    channels = np.moveaxis(to_levels(check_batch(x)), 1, 0)
    return np.stack([np.bincount(one.reshape(-1), minlength=256) for one in channels])


# keys that are all different, rising, and how often each occurs
_Part = tuple[NDArray[np.int64], NDArray[np.int64]]


class _Tally:
    """Counts of whole numbers that are being filled: sorted, and once they are many in a table."""

    def __init__(self, n_channels: int) -> None:
        self.total = 0
        self._size = 256**n_channels
        self._may_be_table = n_channels <= _DENSE_CHANNELS
        self._parts: list[_Part] = []
        self._table: NDArray[np.int64] | None = None
        self._filled = self._loose = 0

    def add(self, keys: NDArray[np.int64]) -> None:
        """Count each of the keys once more."""
        self.total += len(keys)
        table = self._room_for(len(keys))
        if table is None:
            self._parts.append(np.unique(keys, return_counts=True))
        elif self._size < len(keys):
            table += np.bincount(keys, minlength=self._size)
        else:
            # bincount would make a table each time
            np.add.at(table, keys, 1)

    def include(self, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Add counts of keys that are all different and rise."""
        self.total += int(counts.sum())
        table = self._room_for(len(keys))
        if table is None:
            self._parts.append((keys, counts))
        else:
            table[keys] += counts

    def folded(self) -> _Part:
        """Return all keys and their counts, which nobody writes to."""
        if self._table is not None:
            keys = np.flatnonzero(self._table)
            self._parts = [(keys, self._table[keys])]
            self._table = None
        elif len(self._parts) != 1:
            self._parts = [_merged(self._parts)]
        self._loose = 0
        return self._parts[0]

    def _room_for(self, more: int) -> NDArray[np.int64] | None:
        """Return the table, if one is worth it; keep the sorted keys that stand twice few."""
        if self._table is not None:
            return self._table
        self._filled += more
        self._loose += more
        if self._may_be_table and self._size <= _DENSE * self._filled:
            keys, counts = self.folded()
            self._table = np.zeros(self._size, dtype=np.int64)
            self._table[keys] = counts
            self._parts = []
        elif self._loose > max(_CHUNK_PIXELS, len(self._parts[0][0]) if self._parts else 0):
            self.folded()
        return self._table

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and other processes need: no table."""
        self.folded()
        return self.__dict__


def _merged(parts: list[_Part]) -> _Part:
    none = np.empty(0, dtype=np.int64)
    keys, inverse = np.unique(
        np.concatenate([none, *(keys for keys, _ in parts)]), return_inverse=True
    )
    totals = np.zeros(len(keys), dtype=np.int64)
    np.add.at(totals, inverse.reshape(-1), np.concatenate([none, *(n for _, n in parts)]))
    return keys, totals
