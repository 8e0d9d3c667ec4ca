"""Whether the pixels of a data set fall into clusters that a budget cannot bridge."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from art_disc.codebooks import Codebook, PixelCounts, check_codebook
from art_disc.codebox import Threat, class_sizes, cube_counts
from art_disc.core.checks import BoolArray, Float32Array, IntArray
from art_disc.core.showing import Shown
from art_disc.hardness.neighbourhoods import counts_of

# up to here all pairs are compared, which is quicker than filters over the cube
_PAIRS_UP_TO = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Separability(Shown):
    """What `separability` returns; distances are l_inf on the [0, 1] scale.

    Attributes:
        eps: l_inf budget.
        domain: `real` or `8bit`.
        codeword_separation: Smallest distance between two codewords; infinite for one codeword.
        gap: Smallest distance between two pixels of the data in different cells, in the same
            channel where the codebook is `per_channel`; infinite where all fall into one cell.
        free_pixels: Pixels of the data that reach more than one codeword.
        pixels: Pixels of the data.
        free_colours: Distinct colours that do.
        colours: Distinct colours of the data.
        free_volume: Share of all 8-bit colours that do, or None where that would take long.
        histogram: Pixels at each level of each channel, shape (c, 256).
        codewords: Shape (k, c), in [0, 1].
    """

    eps: float
    domain: str
    codeword_separation: float
    gap: float
    free_pixels: int
    pixels: int
    free_colours: int
    colours: int
    free_volume: float | None
    histogram: IntArray = field(repr=False)
    codewords: Float32Array = field(repr=False)

    @property
    def separable(self) -> bool:
        """Whether no perturbation of any pixel of the data changes its codeword.

        This is the definition of Chen et al. 2019, section V-B. It implies `gap` > 2 eps (two
        pixels within 2 eps of one another have a point between them, which one of them reaches by
        leaving its cell), and is not implied by it.
        """
        return self.free_pixels == 0

    @property
    def free_share(self) -> float:
        """Share of the data's pixels that reach more than one codeword, in [0, 1]."""
        return self.free_pixels / self.pixels

    def facts(self) -> dict[str, Any]:
        """Return the few numbers of it, as JSON takes them: None for an infinite distance."""
        distances = {
            "codeword_separation": self.codeword_separation,
            "gap": self.gap,
            "gap_in_grey_levels": 255 * self.gap,
        }
        return {
            "eps": self.eps,
            "twice_eps": 2 * self.eps,
            "domain": self.domain,
            **{key: value if np.isfinite(value) else None for key, value in distances.items()},
            "gap_exceeds_twice_eps": self.gap > 2 * self.eps,
            "pixels": self.pixels,
            "share_of_pixels_free": self.free_share,
            "distinct_colours": self.colours,
            "share_of_colours_free": self.free_colours / self.colours,
            "share_of_colour_volume_free": self.free_volume,
            "separable": self.separable,
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the histogram of each channel with the codewords and return the Axes.

        Args:
            ax: Matplotlib Axes to draw on; None: a new figure.

        Raises:
            MissingExtraError: matplotlib is not installed.

        Source: Chen et al. 2019, Figure 7 (without codewords).
        """
        from art_disc.report.hardness import level_histogram

        return level_histogram(self.histogram, self.codewords, ax, eps=self.eps)


def separability(
    data: Any, codebook: Codebook, *, eps: float, domain: str = "real"
) -> Separability:
    """Measure how far the clusters of a data set's pixels lie apart, against the budget.

    All distances are l_inf, the adversary's norm, whatever metric the codebook assigns by. The gap
    is exact: the smallest difference of neighbouring levels for scalar codewords; for colours all
    pairs of up to 2,048 colours, else bisection over the radius of a window that, around some
    colour, holds two cells.

    Args:
        data: A `Dataset` (its training images, or its test images where it has none), images
            (n, c, h, w) with c <= 3, or `PixelCounts`. Values off the 8-bit grid count for the
            nearest level.
        codebook: A fitted codebook.
        eps: l_inf budget on the [0, 1] scale.
        domain: What changed pixels may be: `real`, or `8bit`; see `equivalence_classes` for what
            each costs.

    Raises:
        InputError: An argument does not fit.

    Source: Chen et al. 2019, section V-B.

    >>> x = np.array([[[[0, 10, 250, 255]]]], dtype=np.uint8)
    >>> separability(x, Codebook([0.0, 1.0]), eps=0.4).separable
    True
    """
    threat, counts = Threat(eps, domain=domain), counts_of(data)
    check_codebook(codebook).check_channels(counts.n_channels)
    cube = cube_counts(codebook, threat)
    free = _is_free(counts, codebook, threat, cube)
    # channels of the cube that move apart from one another
    apart = counts.n_channels if codebook.per_channel else 1
    return Separability(
        eps=threat.eps,
        domain=domain,
        codeword_separation=Codebook(codebook.codewords_).separation(),
        gap=_gap(counts, codebook) / 255,
        free_pixels=int(counts.counts[free].sum()),
        pixels=counts.total,
        free_colours=int(free.sum()),
        colours=len(free),
        free_volume=None if cube is None else 1 - float((cube == 1).mean()) ** apart,
        histogram=counts.per_channel(),
        codewords=codebook.codewords_.copy(),
    )


def _is_free(counts: PixelCounts, codebook: Codebook, threat: Threat, cube: Any) -> BoolArray:
    """Whether each distinct colour reaches more than one codeword in any of its channels."""
    levels = counts.values.astype(np.int64)
    if cube is None:
        pixels = levels.astype(np.float32) / np.float32(255)
        return class_sizes(pixels, codebook, threat) > 1
    if codebook.n_channels_ == 1:
        sizes = cube.reshape(-1)[levels].max(axis=1)
    else:
        sizes = cube[tuple(levels.T)]
    return np.asarray(sizes > 1)


def _gap(counts: PixelCounts, codebook: Codebook) -> float:
    """Smallest l_inf distance of two data pixels in different cells, 255 scale."""
    if codebook.n_channels_ == 1:
        present = (np.flatnonzero(row) for row in counts.per_channel())
        return min(_gap_1d(levels, _cells(levels[:, None], codebook)) for levels in present)
    levels = counts.values.astype(np.int64)
    cells = _cells(levels, codebook)
    if (cells == cells[0]).all():
        return np.inf
    return (_gap_of_pairs if len(levels) <= _PAIRS_UP_TO else _gap_by_windows)(levels, cells)


def _cells(levels: IntArray, codebook: Codebook) -> IntArray:
    return codebook.assign(levels.astype(np.float32) / np.float32(255)).reshape(-1)


def _gap_1d(levels: IntArray, cells: IntArray) -> float:
    """Of rising levels: two in different cells have neighbours in different cells between them."""
    changes = cells[1:] != cells[:-1]
    return float(np.diff(levels)[changes].min()) if changes.any() else np.inf


def _gap_of_pairs(levels: IntArray, cells: IntArray) -> float:
    smallest = 256.0
    for i in range(1, len(levels)):
        others = cells[:i] != cells[i]
        if others.any():
            away = np.abs(levels[:i][others] - levels[i]).max(axis=1)
            smallest = min(smallest, float(away.min()))
    return smallest


def _gap_by_windows(levels: IntArray, cells: IntArray) -> float:
    """Bisect the smallest radius at which a window around some colour holds another cell."""
    side_by_side = np.abs(np.diff(levels, axis=0)).max(axis=1) == 1
    if (side_by_side & (np.diff(cells) != 0)).any():
        return 1.0
    low = levels.min(axis=0)
    at = tuple((levels - low).T)
    shape = tuple((levels.max(axis=0) - low + 1).tolist())
    none = int(cells.max()) + 1
    top, bottom = np.full(shape, -1, np.int32), np.full(shape, none, np.int32)
    top[at] = bottom[at] = cells

    def holds_another(radius: int) -> bool:
        size = 2 * radius + 1
        most = ndimage.maximum_filter(top, size, mode="constant", cval=-1)[at]
        least = ndimage.minimum_filter(bottom, size, mode="constant", cval=none)[at]
        return bool(((most != cells) | (least != cells)).any())

    lowest, highest = 1, 255
    while lowest < highest:
        # small radii first: most data have two cells side by side
        middle = min(2 * lowest - 1, (lowest + highest) // 2)
        if holds_another(middle):
            highest = middle
        else:
            lowest = middle + 1
    return float(lowest)
