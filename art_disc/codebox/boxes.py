"""Units of an image, and the box of values that a budget allows each of them.

Everything runs in float64 on the 255 scale. `Codebook.assign` works in float32, so an exact answer
in float64 has to be widened to be a sound one:

* `WIDEN` = 4e-4 grey levels on either side of a box. It covers a change that exceeds the budget by
  the 1e-6 of the input range that the evaluation forgives (2.6e-4), the rounding of x + eps to
  float32 (up to 1.5e-5 from adding and from dividing by 255) and of 255 * x' (7.6e-6).
* `slack` lets a codeword win that is farther than another by a little. A float32 difference up to
  255 is off by at most 1.5e-5 (7.6e-6 where x' itself is exact) and a sum of c of them by
  (c - 1) * c * 1.5e-5, so that two l1 or l_inf distances of three channels are mistaken by less
  than 3e-4: 1e-3 covers that. A square is off by 2 * 255 * 1.5e-5 + 65025 * 2^-24 < 0.012 and a
  sum of three of them by 0.016 more; two such distances by 0.11: 0.25 covers that. Sums grow with
  c^2, and so does the slack beyond three channels.
"""

import numpy as np

from art_disc.codebooks import Codebook, distance
from art_disc.core.checks import Float32Array, Float64Array

WIDEN = 4e-4


def slack(codebook: Codebook) -> float:
    """Distance (squared for l2 with c > 1) that float32 rounding may hide, 255 scale."""
    squared = codebook.nearest_metric == "l2" and codebook.n_channels_ > 1
    return float((0.25 if squared else 1e-3) * max(1.0, (codebook.n_channels_ / 3) ** 2))


def levels_of(codebook: Codebook) -> Float64Array:
    """Codewords on the 255 scale exactly as `assign` uses them, shape (k, c)."""
    return np.asarray(codebook.levels, dtype=np.float64)


def box(pixels: Float32Array, eps: float, *, widen: float = WIDEN) -> tuple[Float64Array, ...]:
    """Lowest and highest value of each channel on the 255 scale, for pixels (..., c) in [0, 1].

    `widen` is how many grey levels are added on either side, also beyond 0 and 255.
    """
    scaled = 255 * pixels.astype(np.float64)
    low = np.maximum(scaled - 255 * eps, 0.0) - widen
    high = np.minimum(scaled + 255 * eps, 255.0) + widen
    return low, high


def to_units(x: Float32Array, codebook: Codebook, *, channels_first: bool = True) -> Float32Array:
    """Split images (n, c, h, w), or (n, h, w, c), into what gets one codeword each.

    Returns:
        Shape (n, h*w, c), row by row; (n, c*h*w, 1) in NCHW order where `per_channel`.
    """
    if codebook.per_channel:
        first = x if channels_first else np.moveaxis(x, -1, 1)
        return first.reshape(len(x), -1, 1)
    last = np.moveaxis(x, 1, -1) if channels_first else x
    return last.reshape(len(x), -1, last.shape[-1])


def from_units(
    units: Float32Array, shape: tuple[int, ...], codebook: Codebook, *, channels_first: bool = True
) -> Float32Array:
    """Undo `to_units`: units (n, units, d) to images of `shape` (without the batch axis)."""
    if channels_first:
        c, h, w = shape
    else:
        h, w, c = shape
    if codebook.per_channel:
        first = units.reshape(-1, c, h, w)
        return np.ascontiguousarray(first if channels_first else np.moveaxis(first, 1, -1))
    last = units.reshape(-1, h, w, c)
    return np.ascontiguousarray(np.moveaxis(last, -1, 1) if channels_first else last)


def distances_to(points: Float64Array, level: Float64Array, metric: str) -> Float64Array:
    """Distance of points (m, c) to one codeword (c,), squared for l2 with c > 1."""
    return np.asarray(distance(list(points.T), level.tolist(), metric, np))
