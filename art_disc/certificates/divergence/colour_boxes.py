r"""Boxes that lie within one codeword's cell, around noisy pixels of three channels.

Isotropic noise looks the same in every orthonormal frame, so each pixel has its own: z = F (y - x)
/ sigma is standard normal. The third axis is normal to the nearest face of the pixel's cell, the
second lies in the plane of that normal and the next face's. The first two axes are cut into columns
at fixed planes, the outermost columns reach to infinity.

**Exact along the third axis.** |z - c_j|^2 - |z - c_i|^2 is affine in z, so within a column the
face between i and j is highest and lowest at a corner. A point of the column above the highest
face towards every codeword below c_i, and under the lowest one towards every codeword above c_i, is
nearest to c_i. So cell i holds a box in each column, perhaps an empty one. For a column that
reaches to infinity the corner is the limit, and infinite unless the face runs along the column or
away from it: the test of the directions in which the box is unbounded.

The face that the third axis is normal to is met exactly, the others up to a gap as high as the
column is wide. Boxes end earlier by a margin for the rounding of their faces, as far as
40 standard deviations out; beyond lies less than float64 holds.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr

from art_disc.core.checks import Float64Array

# columns cover this many standard deviations, beyond lie the unbounded ones; up to the second
# number all are about as wide, further out as wide as they are far
REACH, WIDTH = 6.0, 2.0
# relative error granted to the position of a face; measured below 2^-48
_FACE = 2.0**-40
# a face along the third axis is met far outside every float64 probability
_ALONG = 1e-200
# an axis that a face hardly leans to within this many deviations, less than `_FACE` grants it
_LEVEL, _FAR = 2.0**-48, 40.0


@dataclass(frozen=True)
class Boxes:
    """Boxes of P pixels within the cells of k codewords, M in all.

    Attributes:
        frames: Orthonormal rows, shape (P, 3, 3).
        planes: Ends of the columns of the first two axes, infinite at both sides, (m + 1,).
        pixel: Pixel of each box, shape (M,).
        cell: The number of its cell among the P k ones, (M,); those of a cell follow one another,
            cells of a pixel are in any order.
        column: Its columns along the two axes, (2, M).
        ends: Its lower and upper end along the third axis in standard deviations, (2, M).
        shape: (P, k).
    """

    frames: Float64Array
    planes: Float64Array
    pixel: NDArray[np.intp]
    cell: NDArray[np.intp]
    column: NDArray[np.intp]
    ends: Float64Array
    shape: tuple[int, int]

    def masses(self, shift: Float64Array) -> Float64Array:
        """Probabilities (P, k) of the union of each cell's boxes for normal laws of other means.

        They are off by at most `self.error` times 1 + |shift|; `shift` (P, 3) holds the means in
        the pixels' frames, in standard deviations.
        """
        first, second = (np.diff(ndtr(self.planes - shift[:, [i]]), axis=1) for i in (0, 1))
        weight = (first[:, :, None] * second[:, None]).reshape(-1)
        z = torch.from_numpy(self._halved - (np.sqrt(0.5) * shift[:, 2]).take(self.pixel))
        # the normal law by torch's erf, the slow part: as exact here as SciPy's, and vectorised
        low, high = torch.erf(z, out=z).numpy()
        return self._sums(weight.take(self._place) * ((high - low) / 2))

    def moments(self) -> Float64Array:
        """Integrals of z over each cell's boxes for the standard normal law, shape (P, k, 3)."""
        side, slope = np.diff(ndtr(self.planes)), -np.diff(_density(self.planes))
        first, second = self.column
        low, high = self.ends
        height = ndtr(high) - ndtr(low)
        return np.stack(
            [
                self._sums(slope[first] * side[second] * height),
                self._sums(side[first] * slope[second] * height),
                self._sums(side[first] * side[second] * (_density(low) - _density(high))),
            ],
            axis=-1,
        )

    @cached_property
    def error(self) -> float:
        """Bound of the error of a mass or a moment.

        A sum of m^2 parts, each a product of three differences; those of the two sides add up to
        one over their columns.
        """
        columns = len(self.planes)
        return 2.0**-53 * (columns**2 + 16 * columns + 256)

    @cached_property
    def _halved(self) -> Float64Array:
        """Ends over the root of 2: where erf is taken."""
        return np.asarray(np.sqrt(0.5) * self.ends)

    @cached_property
    def _place(self) -> NDArray[np.intp]:
        """The number of each box's column among all columns of all pixels."""
        m = len(self.planes) - 1
        return np.asarray((self.pixel * m + self.column[0]) * m + self.column[1])

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        """The first box of each cell that has any."""
        return np.flatnonzero(np.diff(self.cell, prepend=-1))

    def _sums(self, part: Float64Array) -> Float64Array:
        found = np.zeros(self.shape[0] * self.shape[1])
        found[self.cell[self._first]] = np.add.reduceat(part, self._first)
        return found.reshape(self.shape)


def _density(z: Float64Array) -> Float64Array:
    # far ends need not be squared
    return np.asarray(np.exp(-(np.clip(z, -_FAR, _FAR) ** 2) / 2) / np.sqrt(2 * np.pi))


def interior_boxes(x: Float64Array, codes: Float64Array, sigma: float, n_boxes: int) -> Boxes:
    """Return the boxes within the cells of different codewords (k >= 2, 3) around pixels (P, 3).

    `n_boxes` counts the bounded columns along each of the first two axes; twice as many cut the
    same columns in two.
    """
    frames = pixel_frames(x, codes)
    bounded = WIDTH * np.sinh(np.linspace(-1, 1, n_boxes + 1) * np.arcsinh(REACH / WIDTH))
    planes = np.concatenate([[-np.inf], bounded, [np.inf]])
    bottom, top = _ends(np.einsum("pij,pkj->pki", frames, codes - x[:, None]) / sigma, planes)
    # written so that ends of minus infinity on both sides count as empty
    seen = (bottom < top) & (bottom < _FAR) & (top > -_FAR)
    cell, pixel, first, second = np.nonzero(seen)
    return Boxes(
        frames=frames,
        planes=planes,
        pixel=pixel,
        cell=pixel * len(codes) + cell,
        column=np.stack([first, second]),
        ends=np.stack([bottom[seen], top[seen]]),
        shape=(len(x), len(codes)),
    )


def pixel_frames(x: Float64Array, codes: Float64Array) -> Float64Array:
    """Orthonormal rows (P, 3, 3) for pixels (P, 3); the last is normal to a cell's nearest face."""
    square = ((x[:, None] - codes) ** 2).sum(axis=2)
    near = square.argmin(axis=1)
    normals = codes - codes[near][:, None]
    length = np.linalg.norm(normals, axis=2)
    length[np.arange(len(x)), near] = 1.0
    away = (square - square.min(axis=1, keepdims=True)) / length
    away[np.arange(len(x)), near] = np.inf
    order = away.argsort(axis=1)[:, : min(3, len(codes) - 1)]
    found = np.take_along_axis(normals, order[..., None], axis=1)
    found = np.concatenate([found, np.broadcast_to(np.eye(3), (len(x), 3, 3))], axis=1)
    # orthonormal also where the normals are not independent
    basis = np.linalg.qr(np.swapaxes(found, 1, 2))[0]
    return np.ascontiguousarray(np.swapaxes(basis, 1, 2)[:, ::-1])


def _ends(codes: Float64Array, planes: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Ends of each cell's box in each column, shape (k, P, m, m); empty where they cross.

    `codes` lie in the pixels' frames, in standard deviations, shape (P, k, 3).
    """
    order = codes[:, :, 2].argsort(axis=1)
    codes = np.take_along_axis(codes, order[..., None], axis=1)
    half = (codes**2).sum(axis=2) / 2
    columns = len(planes) - 1
    bottom = np.full((*half.T.shape, columns, columns), -np.inf)
    top = np.full(bottom.shape, np.inf)
    face = np.empty(bottom.shape[1:])
    for upper in range(1, len(bottom)):
        for lower in range(upper):
            normal = codes[:, upper] - codes[:, lower]
            normal[np.abs(normal) < _LEVEL * np.linalg.norm(normal, axis=1)[:, None]] = 0.0
            offset = half[:, [upper]] - half[:, [lower]]
            height = np.maximum(normal[:, [2]], _ALONG)
            slack = _FACE * (1 + half[:, [upper]] + half[:, [lower]])
            # divided before they are added: whole columns are the slow part
            lows, highs = zip(*(_extremes(normal[:, i], planes) for i in (0, 1)), strict=True)
            first, second = (offset + slack + highs[0]) / height, highs[1] / height
            face = np.add(first[:, :, None], second[:, None], out=face)
            np.maximum(bottom[upper], face, out=bottom[upper])
            first, second = (offset - slack + lows[0]) / height, lows[1] / height
            face = np.add(first[:, :, None], second[:, None], out=face)
            np.minimum(top[lower], face, out=top[lower])
    return bottom, top


def _extremes(normal: Float64Array, planes: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Least and largest -normal * z over each column, two arrays of shape (P, m)."""
    with np.errstate(invalid="ignore"):
        ends = np.where(normal[:, None] == 0, 0.0, -normal[:, None] * planes)
    return np.minimum(ends[:, :-1], ends[:, 1:]), np.maximum(ends[:, :-1], ends[:, 1:])
