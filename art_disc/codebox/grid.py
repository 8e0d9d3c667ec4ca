"""Reachable codewords where a perturbed image must be 8-bit again: every level is tried."""

from collections.abc import Iterator

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import WIDEN
from art_disc.core.checks import BoolArray, Float32Array, IntArray
from art_disc.core.errors import CertificateError

# small, so that the pixels of a chunk have few codewords between them
_CHUNK_COLOURS = 1 << 14


def grid_range(pixels: Float32Array, eps: float) -> tuple[IntArray, IntArray]:
    """Lowest and highest 8-bit level within the budget, up to `WIDEN`, shape of `pixels`.

    Raises:
        CertificateError: Some value has no level within the budget.
    """
    scaled = 255 * pixels.astype(np.float64)
    low = np.maximum(np.ceil(scaled - 255 * eps - WIDEN), 0).astype(np.int64)
    high = np.minimum(np.floor(scaled + 255 * eps + WIDEN), 255).astype(np.int64)
    if (low > high).any():
        msg = (
            "domain='8bit' needs a level v/255 within eps of every pixel, but x is off the 8-bit "
            f"grid by more than eps = {eps:g} ({255 * eps:.3g} grey levels); round x to 8 bits "
            "first or use domain='real'"
        )
        raise CertificateError(msg)
    return low, high


def as_pixels(levels: IntArray) -> Float32Array:
    """8-bit levels on the [0, 1] scale, as the package reads images: float32(v) / 255."""
    return levels.astype(np.float32) / np.float32(255)


def is_on_grid(pixels: Float32Array) -> BoolArray:
    """Whether each value on the [0, 1] scale is an 8-bit level v/255, up to float32 rounding."""
    scaled = 255 * pixels.astype(np.float64)
    return np.asarray(np.abs(scaled - np.rint(scaled)) < 1e-4)


def nearest_on_grid(pixels: Float32Array, eps: float) -> Float32Array:
    """Values moved to the nearest 8-bit level within the budget; see `grid_range` for errors."""
    low, high = grid_range(pixels, eps)
    nearest = np.rint(255 * pixels.astype(np.float64)).astype(np.int64)
    return as_pixels(np.clip(nearest, low, high))


def grid_mask_1d(pixels: Float32Array, codebook: Codebook, eps: float) -> BoolArray:
    """Codes (m, k) of all 8-bit levels within the budget of pixels (m,), scalar codewords."""
    low, high = grid_range(pixels, eps)
    codes = codebook.assign(as_pixels(np.arange(256))[:, None]).reshape(-1)
    hit = np.arange(codebook.n_codes_) == codes[:, None]
    below = np.concatenate([np.zeros((1, codebook.n_codes_), np.int64), hit.cumsum(axis=0)])
    return below[high + 1] > below[low]


def grid_mask_colour(
    pixels: Float32Array, codebook: Codebook, eps: float, allowed: BoolArray
) -> BoolArray:
    """Codes (m, k) of all 8-bit colours within the budget of pixels (m, c > 1).

    `allowed` holds the codes that the exact rule of the real domain lets through; colours are tried
    only where there are several, until each was hit.
    """
    low, high = grid_range(pixels, eps)
    mask: BoolArray = allowed & (allowed.sum(axis=1, keepdims=True) == 1)
    open_ = np.flatnonzero(~mask.any(axis=1))
    while len(open_):
        colours = int((high[open_] - low[open_] + 1).max(axis=0).prod())
        size = max(1, _CHUNK_COLOURS // max(1, colours))
        part, open_ = open_[:size], open_[size:]
        _fill(mask, part, low[part], high[part], codebook, allowed)
    return mask


def _fill(
    mask: BoolArray,
    rows: IntArray,
    low: IntArray,
    high: IntArray,
    codebook: Codebook,
    allowed: BoolArray,
) -> None:
    """Try the colours low..high of these rows, chunk by chunk, until all allowed codes are hit."""
    union = np.flatnonzero(allowed[rows].any(axis=0))
    small = of_codes(codebook, union)
    for offsets in offset_chunks((high - low + 1).max(axis=0), _CHUNK_COLOURS // len(rows)):
        # a clamped offset repeats a colour of the box, which does no harm
        colours = np.minimum(low[:, None] + offsets, high[:, None])
        codes = union[small.assign(as_pixels(colours))]
        mask[rows[:, None], codes] = True
        if np.array_equal(mask[rows], allowed[rows]):
            return


def of_codes(codebook: Codebook, codes: IntArray) -> Codebook:
    """Return some of the codewords, rising, as a codebook that assigns as this one."""
    words = codebook.codewords_[codes]
    return Codebook(words, metric=codebook.nearest_metric, ties=codebook.ties)


def offset_chunks(widths: IntArray, size: int) -> Iterator[IntArray]:
    """Yield all integer vectors 0 <= v < widths, at most `size` (>= 1) at once, shape (m, c)."""
    total = int(np.prod(widths))
    for start in range(0, total, max(1, size)):
        index = np.arange(start, min(start + max(1, size), total))
        yield np.stack(np.unravel_index(index, tuple(int(w) for w in widths)), axis=-1)


def grid_shells(pixel: Float32Array, eps: float) -> Iterator[Float32Array]:
    """Yield all 8-bit colours within the budget of one pixel (c,), nearest ones first, (m, c).

    Each time those that are less than one grey level farther than the last, so that few are in
    memory; among equally far ones those of lower levels come first.
    """
    scaled = 255 * pixel.astype(np.float64)
    low, high = grid_range(pixel, eps)
    inner = np.stack([high + 1, high])
    for reach in range(256):
        outer = np.stack([np.ceil(scaled - reach), np.floor(scaled + reach)]).astype(np.int64)
        outer = np.stack([np.maximum(outer[0], low), np.minimum(outer[1], high)])
        colours = np.concatenate(list(_slabs(inner, outer)))
        far = np.abs(colours - scaled).max(axis=1)
        if len(colours):
            yield as_pixels(colours[np.lexsort((*colours.T[::-1], far))])
        inner = outer


def _slabs(inner: IntArray, outer: IntArray) -> Iterator[IntArray]:
    """Colours of a box (2, c), first and last levels, without those of a smaller one, disjoint."""
    for axis in range(outer.shape[1]):
        levels = [np.arange(first, last + 1) for first, last in outer.T]
        levels[:axis] = [np.arange(first, last + 1) for first, last in inner.T[:axis]]
        outside = (levels[axis] < inner[0, axis]) | (levels[axis] > inner[1, axis])
        levels[axis] = levels[axis][outside]
        yield np.stack(np.meshgrid(*levels, indexing="ij"), axis=-1).reshape(-1, len(levels))
