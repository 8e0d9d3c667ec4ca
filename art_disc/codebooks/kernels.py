"""Box and Gaussian kernel densities on the 8-bit grid, kept up to date while pixels are removed.

Both kernels are products over the channels, so a density is one 256 x 256 matrix a channel applied
to the dense histogram; removing a cube of pixels subtracts the same product of that cube alone.
"""

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.counts import PixelCounts
from art_disc.core.errors import InputError

KERNELS = ("identity", "box", "gaussian")

Grid = NDArray[np.float64]


def kernel_matrix(kernel: str, bandwidth: float) -> Grid:
    """Return the kernel between any two of the 256 levels of one channel, shape (256, 256)."""
    levels = np.arange(256, dtype=np.float64)
    gap = np.abs(levels[:, None] - levels[None, :])
    if kernel == "box":
        return (gap <= bandwidth).astype(np.float64)
    return np.asarray(np.exp(-(gap**2) / (2 * bandwidth**2)))


def spread(histogram: Grid, corner: tuple[int, ...], matrix: Grid) -> Grid:
    """Kernel density on the whole grid of a histogram that is zero outside one cube.

    Args:
        histogram: The cube's counts, one axis a channel.
        corner: Lowest level of the cube in each channel.
        matrix: Kernel of one channel, shape (256, 256).
    """
    density = histogram
    for axis, low in enumerate(corner):
        part = matrix[:, low : low + density.shape[axis]]
        density = np.moveaxis(np.tensordot(part, density, axes=(1, axis)), 0, axis)
    return density


def density_walk(
    counts: PixelCounts, n_codes: int, reach: int, kernel: str, bandwidth: float
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Algorithm 1 with a box or Gaussian kernel over the pixels left.

    Args:
        counts: Pixels, of 1 to 3 channels.
        n_codes: Codewords to find at most.
        reach: l_inf distance in grey levels up to which pixels are removed, inclusive.
        kernel: `box` or `gaussian`.
        bandwidth: In grey levels.

    Returns:
        The codewords on the 255 scale, shape (k', c), and the density of each when it was taken.

    Raises:
        InputError: More than three channels (the grid would not fit into memory).
    """
    if counts.n_channels > 3:
        msg = f"kernel {kernel!r} works for up to 3 channels, got {counts.n_channels}"
        raise InputError(msg)
    left: Grid = np.zeros((256,) * counts.n_channels)
    left[tuple(counts.values.T)] = counts.counts
    matrix = kernel_matrix(kernel, bandwidth)
    density = spread(left, (0,) * counts.n_channels, matrix)
    codes: list[list[int]] = []
    taken: list[float] = []
    while len(codes) < n_codes and left.any():
        score = np.where(left > 0, density, -np.inf)
        best = np.unravel_index(int(score.argmax()), score.shape)
        codes.append([int(level) for level in best])
        taken.append(float(score[best]))
        corner = tuple(max(0, int(level) - reach) for level in best)
        cube = tuple(
            slice(low, int(level) + reach + 1) for low, level in zip(corner, best, strict=True)
        )
        density = density - spread(left[cube], corner, matrix)
        left[cube] = 0
    return np.array(codes, dtype=np.int16), np.array(taken)
