"""Codewords by density estimation and greedy removal (Chen et al. 2018, Algorithm 1)."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.counts import PixelCounts
from art_disc.codebooks.learned import LearnedCodebook
from art_disc.core.checks import check_choice, number_of
from art_disc.core.errors import InputError

KERNELS = ("identity", "box", "gaussian")

_CHUNK = 1 << 17

_Grid = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class DensityCodebook(LearnedCodebook):
    """The k densest pixel values that are farther than `radius` from one another.

    Each step takes the pixel value of highest density among the pixels left, then removes every
    pixel within `radius` of it. Equal densities: the lexicographically lowest value.

    Args:
        n_codes: Codewords k asked for, >= 1.
        radius: l_inf distance in [0, 1] up to which pixels are removed, inclusive (0.6 for MNIST,
            64/255 for colour).
        kernel: `identity` (the papers': counts), `box` (pixels within `bandwidth` in l_inf) or
            `gaussian` (exp(-l2^2 / (2 bandwidth^2))). Densities are taken over the pixels left.
        bandwidth: Of `box` and `gaussian`, in grey levels (0..255), > 0.
        metric: Metric in which pixels are assigned to the codewords afterwards.

    Attributes:
        codewords_: Shape (k', c), densest first; k' < k, with a `CodebookWarning`, if the pixels
            ran out.
        densities_: Kernel density of each codeword when it was taken, shape (k',).

    Source: Chen, Wu, Liang, Jha 2018, section 4.1.
    """

    n_codes: int = 2
    radius: float = 0.6
    _: KW_ONLY
    kernel: str = "identity"
    bandwidth: float | None = None
    metric: str = "l_inf"

    def _learn(self, counts: PixelCounts) -> None:
        reach = int(np.floor(255 * self.radius + 1e-6))
        if self.kernel == "identity":
            levels, densities = _greedy(counts, self.n_codes, reach)
        else:
            levels, densities = _density_walk(
                counts, self.n_codes, reach, self.kernel, float(self.bandwidth or 0)
            )
        reason = f"no pixel is farther than {self.radius:g} from all; a smaller radius gives more"
        if len(levels) == len(counts.values):
            reason = "no more pixel values are distinct; ask for fewer"
        self._warn_of_few(len(levels), reason)
        self._adopt((levels.astype(np.float64) / 255).astype(np.float32))
        self.densities_ = densities

    def _check(self) -> None:
        super()._check()
        check_choice(self.kernel, "kernel", KERNELS)
        if not 0 <= number_of(self.radius) <= 1:
            msg = f"radius is on the [0, 1] scale, got {self.radius}; write 64/255 for 64 levels"
            raise InputError(msg)
        if self.kernel != "identity" and not number_of(self.bandwidth) > 0:
            msg = f"kernel {self.kernel!r} needs bandwidth > 0 in grey levels, got {self.bandwidth}"
            raise InputError(msg)


def _greedy(
    counts: PixelCounts, n_codes: int, reach: int
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """With the identity kernel densities never change, so one walk down the counts is enough."""
    amounts = counts.counts
    order = np.argsort(-amounts, kind="stable")
    values = counts.values
    codes: list[NDArray[np.int16]] = []
    densities: list[float] = []
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        pixels = values[rows].astype(np.int16)
        for code in codes:
            left = _beyond(pixels, code, reach)
            pixels, rows = pixels[left], rows[left]
        while len(codes) < n_codes and len(rows):
            codes.append(pixels[0])
            densities.append(float(amounts[rows[0]]))
            left = _beyond(pixels, codes[-1], reach)
            pixels, rows = pixels[left], rows[left]
        if len(codes) == n_codes:
            break
    return np.array(codes, dtype=np.int16), np.array(densities)


def _beyond(pixels: NDArray[np.int16], code: NDArray[np.int16], reach: int) -> NDArray[np.bool_]:
    """Which pixels are farther than `reach` from the code in some channel."""
    beyond = np.zeros(len(pixels), dtype=bool)
    for channel, level in zip(pixels.T, code, strict=True):
        beyond |= np.abs(channel - level) > reach
    return beyond


def _kernel_matrix(kernel: str, bandwidth: float) -> _Grid:
    """Return the kernel between any two of the 256 levels of one channel, shape (256, 256)."""
    levels = np.arange(256, dtype=np.float64)
    gap = np.abs(levels[:, None] - levels[None, :])
    if kernel == "box":
        return (gap <= bandwidth).astype(np.float64)
    return np.asarray(np.exp(-(gap**2) / (2 * bandwidth**2)))


def _spread(histogram: _Grid, corner: tuple[int, ...], matrix: _Grid) -> _Grid:
    """Kernel density on the whole grid of the counts of one cube, whose lowest levels are `corner`.

    `matrix` is the kernel of one channel.
    """
    density = histogram
    for axis, low in enumerate(corner):
        part = matrix[:, low : low + density.shape[axis]]
        density = np.moveaxis(np.tensordot(part, density, axes=(1, axis)), 0, axis)
    return density


def _density_walk(
    counts: PixelCounts, n_codes: int, reach: int, kernel: str, bandwidth: float
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Algorithm 1 with a box or Gaussian kernel over the pixels left; `reach` in grey levels.

    Returns codewords on the 255 scale, shape (k', c), and the density of each when it was taken.
    """
    # the grid has to fit into memory
    if counts.n_channels > 3:
        msg = f"kernel {kernel!r} works for up to 3 channels, got {counts.n_channels}"
        raise InputError(msg)
    left: _Grid = np.zeros((256,) * counts.n_channels)
    left[tuple(counts.values.T)] = counts.counts
    matrix = _kernel_matrix(kernel, bandwidth)
    density = _spread(left, (0,) * counts.n_channels, matrix)
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
        density = density - _spread(left[cube], corner, matrix)
        left[cube] = 0
    return np.array(codes, dtype=np.int16), np.array(taken)
