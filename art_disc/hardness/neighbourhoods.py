"""How many pixels of a data set lie around each of its colours, by summed-area tables."""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks import PixelCounts
from art_disc.codebox import MOST_CHANNELS, grid_reach
from art_disc.core.checks import Float64Array, IntArray, check_count, check_eps, number_of
from art_disc.core.errors import InputError
from art_disc.core.seeds import generator_of
from art_disc.core.showing import Shown
from art_disc.data import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourhoodSizes(Shown):
    """What `neighbourhood_sizes` returns; the m distinct colours rise lexicographically.

    Attributes:
        values: Distinct colours, 0..255, shape (m, c).
        counts: How often each occurs, shape (m,).
        pixels: |N(x, eps)|: pixels of the data, each as often as it occurs, within eps of each
            colour in every channel, itself included, shape (m,).
        colours: Distinct colours within eps of it, itself included, shape (m,).
        eps: l_inf budget on the [0, 1] scale.
        distinct: Whether quantiles and the CDF weigh each colour once, or as often as it occurs.
    """

    values: NDArray[np.uint8] = field(repr=False)
    counts: IntArray = field(repr=False)
    pixels: IntArray = field(repr=False)
    colours: IntArray = field(repr=False)
    eps: float
    distinct: bool

    def cdf(self) -> tuple[IntArray, Float64Array]:
        """Return the distinct sizes of `pixels`, rising, and the share of colours up to each.

        Of pixels, where not `distinct`.
        """
        sizes, where = np.unique(self.pixels, return_inverse=True)
        weights = None if self.distinct else self.counts
        totals = np.bincount(where.reshape(-1), weights=weights, minlength=len(sizes)).cumsum()
        return sizes, totals / totals[-1]

    def quantile(self, share: float) -> int:
        """Return the smallest size that at least this share of colours does not exceed.

        Args:
            share: In [0, 1].
        """
        if not 0 <= number_of(share) <= 1:
            msg = f"share must lie in [0, 1], got {share}"
            raise InputError(msg)
        sizes, shares = self.cdf()
        return int(sizes[np.searchsorted(shares, min(share, shares[-1]))])

    def facts(self) -> dict[str, Any]:
        """Return the few numbers of it, as JSON takes them."""
        return {
            "eps": self.eps,
            "pixels": int(self.counts.sum()),
            "distinct_colours": len(self.counts),
            "weighted_by": "distinct colour" if self.distinct else "pixel",
            "size_quantiles": {
                f"{share:g}": self.quantile(share) for share in (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
            },
            "largest": int(self.pixels.max()),
            "largest_at_255": self.values[int(self.pixels.argmax())].tolist(),
            "median_distinct_colours_around": float(np.median(self.colours)),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the CDF of the sizes on a logarithmic axis and return the Axes.

        Args:
            ax: Matplotlib Axes to draw on; None: a new figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from art_disc.report.hardness import cdf_plot

        label = f"eps = {255 * self.eps:.3g}/255"
        what = "distinct colours" if self.distinct else "pixels"
        words = "pixels of the data within eps", f"share of {what}"
        weights = None if self.distinct else self.counts
        return cdf_plot({label: self.pixels}, ax, labels=words, weights=weights, log=True)

    def scatter(
        self, ax: Any = None, *, sample: int = 40_000, seed: int = 0, log: bool = True
    ) -> Any:
        """Draw colours in the cube, coloured by their size, and return the Axes.

        Args:
            ax: Matplotlib 3-D Axes to draw on; None: a new figure.
            sample: Distinct colours to draw, at random without replacement; all if there are fewer.
            seed: Of that draw.
            log: Colour by the logarithm of the size over that of the largest, or by the size over
                the largest.

        Raises:
            InputError: Not three channels, or a bad sample.
            MissingExtraError: matplotlib is not installed.

        Source: Chen et al. 2019, Figure 6; a is linear, b logarithmic.
        """
        from art_disc.report.hardness import colour_scatter

        if self.values.shape[1] != 3:
            msg = f"a scatter needs three channels, got {self.values.shape[1]}; see plot()"
            raise InputError(msg)
        count = min(check_count(sample, "sample"), len(self.values))
        rows = generator_of(seed).choice(len(self.values), count, replace=False)
        # the largest last, or the many small ones hide them
        rows = rows[np.argsort(self.pixels[rows], kind="stable")]
        largest = int(self.pixels.max())
        return colour_scatter(self.values[rows], self.pixels[rows], ax, largest=largest, log=log)


def neighbourhood_sizes(data: Any, *, eps: float, distinct: bool = True) -> NeighbourhoodSizes:
    """Count, for every distinct colour of a data set, the pixels within a budget of it.

    The histogram on the 8-bit cube is summed along each channel, and eight corners of the sums give
    the count in any box, so that the cost does not depend on eps and hardly on the number of
    colours. Memory for three channels: 136 MB for the table of sums, one at a time, and 40 bytes a
    distinct colour.

    Args:
        data: A `Dataset` (its training images, or its test images where it has none), images
            (n, c, h, w) with c <= 3, or `PixelCounts`. Values off the 8-bit grid count for the
            nearest level.
        eps: l_inf budget on the [0, 1] scale, inclusive: up to floor(255 eps) grey levels.
        distinct: Whether quantiles and CDF weigh each distinct colour once, or each pixel.

    Raises:
        InputError: No such data, more than three channels, or a bad budget.

    Source: Chen et al. 2019, section V-B: N_inf(x, eps), whose sizes count every pixel of the data
    (its largest, 1,567,080 at eps 8, exceeds the 17^3 colours that a ball can hold).

    >>> x = np.array([[[[0, 0, 3, 9]]]], dtype=np.uint8)
    >>> neighbourhood_sizes(x, eps=3 / 255).pixels
    array([3, 3, 1])
    """
    budget, counts = check_eps(eps), counts_of(data)
    values, reach = counts.values, grid_reach(budget)
    return NeighbourhoodSizes(
        values=values,
        counts=counts.counts,
        pixels=_box_sums(values, counts.counts, reach),
        colours=_box_sums(values, np.ones(len(values), np.int64), reach),
        eps=budget,
        distinct=distinct,
    )


def counts_of(data: Any) -> PixelCounts:
    """Return the pixel counts of a data set, images or counts.

    Raises:
        InputError: None of these, nothing counted, or more than three channels.
    """
    if isinstance(data, Dataset):
        data = data.x_train if len(data.x_train) else data.x_test
    counts = data if isinstance(data, PixelCounts) else PixelCounts.of(data)
    if not counts.total:
        msg = "expected counts of at least one pixel, got none; call update(x) first"
        raise InputError(msg)
    if counts.n_channels > MOST_CHANNELS:
        msg = f"expected pixels of 1 to 3 channels, got {counts.n_channels}"
        raise InputError(msg)
    return counts


def _box_sums(values: NDArray[np.uint8], weights: IntArray, reach: int) -> IntArray:
    """Sum the weights (m,) of all points (m, c) within `reach` levels of each in every channel."""
    channels = values.shape[1]
    least = values.min(axis=0).astype(np.int64)
    points = values.astype(np.int64) - least
    most = points.max(axis=0) + 1
    # an empty layer before the first level of each channel spares the corners a case of their own
    sums = np.zeros(tuple(most + 1), dtype=np.int64)
    sums[tuple(points.T + 1)] = weights
    for axis in range(channels):
        np.cumsum(sums, axis=axis, out=sums)
    low = np.maximum(points - reach, 0)
    high = np.minimum(points + reach + 1, most)
    total = np.zeros(len(values), dtype=np.int64)
    for corner in product((False, True), repeat=channels):
        at = tuple(np.where(upper, high[:, i], low[:, i]) for i, upper in enumerate(corner))
        sign = -1 if (channels - sum(corner)) % 2 else 1
        total += sign * sums[at]
    return total
