"""What k-medoids and k-means minimise: distances between 8-bit pixel values, counted by weight.

Distances between 8-bit values are whole numbers, and float64 holds their weighted sums exactly up
to 2**53, so that "the cost falls" is never a matter of rounding.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from art_disc.codebooks.counts import PixelCounts

OBJECTIVES = ("l1", "sqeuclidean")

Levels = NDArray[np.int64]
Sums = NDArray[np.float64]

_CHUNK = 1 << 18


def distances(values: NDArray[Any], other: NDArray[Any], objective: str) -> Sums:
    """Distances between rows (..., c) on the 255 scale, broadcast over the leading axes."""
    total: Any = 0.0
    for i in range(values.shape[-1]):
        gap = values[..., i].astype(np.float64) - other[..., i]
        total = total + (np.abs(gap) if objective == "l1" else gap * gap)
    return np.asarray(total, dtype=np.float64)


def unit(objective: str) -> float:
    """Return what one unit of the [0, 1] scale is in the costs of the 255 scale."""
    return 255.0 if objective == "l1" else 255.0**2


def nearest_rows(values: NDArray[Any], codes: Sums, objective: str) -> tuple[Levels, Sums]:
    """Index of the cheapest codeword (k, c) of every value (m, c), and its distance.

    Both are on the 255 scale; values may be millions.
    """
    tree = cKDTree(codes)
    label = np.empty(len(values), dtype=np.int64)
    away = np.empty(len(values))
    for start in range(0, len(values), _CHUNK):
        part = slice(start, start + _CHUNK)
        rows = values[part].astype(np.float64)
        label[part] = tree.query(rows, p=1 if objective == "l1" else 2)[1]
        away[part] = distances(rows, codes[label[part]], objective)
    return label, away


def pooled(counts: PixelCounts, *, per_channel: bool) -> tuple[NDArray[np.uint8], Levels]:
    """Distinct values (m, c), rising, and their counts (m,); `per_channel`: of all channels."""
    if not per_channel:
        return counts.values, counts.counts
    histogram = counts.per_channel().sum(axis=0)
    levels = np.flatnonzero(histogram)
    return levels.astype(np.uint8)[:, None], histogram[levels]


def draw_pixels(
    values: NDArray[np.uint8],
    weights: Levels,
    size: int,
    rng: np.random.Generator,
    *,
    repeated: bool = False,
) -> tuple[NDArray[np.uint8], Levels]:
    """Draw `size` pixels without replacement; all of them where no more values are distinct.

    With `repeated` the pixels themselves must be no more than `size`. Returns the distinct values
    drawn, rising, and how often each was drawn.
    """
    total = int(weights.sum())
    if (total if repeated else len(values)) <= size:
        return values, weights
    drawn = rng.choice(total, size, replace=False, shuffle=False)
    rows = np.searchsorted(np.cumsum(weights), drawn, side="right")
    kept, amounts = np.unique(rows, return_counts=True)
    return values[kept], amounts.astype(np.int64)
