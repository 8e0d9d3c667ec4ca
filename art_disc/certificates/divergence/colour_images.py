"""Bounds of whole colour images, pixel by pixel, within what may be spent on each.

Every pixel begins with the divergence of the noise, which none exceeds. Colour by colour the bound
of `colour_cells` takes its place, so the sum over an image's pixels is a bound at every stop.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from art_disc.certificates.divergence.cells import shift_divergence
from art_disc.certificates.divergence.colour_cells import (
    CHANNELS,
    at_vertices,
    colour_codes,
    line_of,
    noise_divergence,
)
from art_disc.certificates.divergence.gaussian import check_order
from art_disc.certificates.spend import Spend
from art_disc.codebox import distinct
from art_disc.core.checks import Float64Array, IntArray, check_count, check_positive
from art_disc.core.errors import InputError

# along each of two axes; twice as many cost four times as much
N_BOXES = 24
_OUTWARD = 1 + 2.0**-40
_VALUES_AT_ONCE = 1 << 18

# a Renyi order, and whether D(shifted || clean) is meant, not D(clean || shifted)
Asked = tuple[float, bool]


def colour_divergence(  # noqa: PLR0913 - everything after the codewords is a keyword
    x: ArrayLike,
    codewords: ArrayLike,
    *,
    sigma: float,
    eps: float,
    order: float = 1.0,
    reverse: bool = False,
    n_boxes: int = N_BOXES,
) -> Float64Array:
    """Upper bound of the largest divergence of whole colour images from their shifted ones.

    Args:
        x: Images in [0, 1], shape (n, c, ...) or (n, c); every pixel is replaced by a codeword.
        codewords: Shape (k, c), on the scale of `x`. The time grows with k^2 for many of them.
        sigma: Standard deviation of the noise on that scale, > 0.
        eps: l_inf budget on that scale, >= 0; the adversary stays in [0, 1].
        order: At least 1; 1 is KL. Infinity gives infinity, unless the codewords lie on a line.
        reverse: D_order(shifted || clean), not D_order(clean || shifted): that of the noise, unless
            the codewords lie on a line.
        n_boxes: Columns along two axes that the space around a pixel is cut into, >= 1. More of
            them bring the bound closer to the exact maximum.

    Returns:
        Nats, shape (n,).

    Raises:
        InputError: An argument does not fit.
        CertificateError: More than three channels, or codewords so close together that rounding
            could mix up their cells.

    >>> red_or_blue = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 1.0, 0.5]]
    >>> colour_divergence([[0.4, 0.3, 0.5]], red_or_blue, sigma=0.25, eps=0.05).round(3).tolist()
    [0.038]
    """
    images = ColourImages.of(x, codewords, sigma=sigma, eps=eps, n_boxes=n_boxes)
    bounds, _ = images.divergences([(order, reverse)])
    return np.asarray(bounds[0])


@dataclass(frozen=True)
class ColourImages:
    """Images as their different colours, what these may be moved to, and the codewords.

    Attributes:
        box: The m different colours and the low and high ends of their budget, shape (3, m, c).
        place: For each image the colour of each pixel, shape (n, pixels).
        codes: Different codewords, shape (k, c).
        sigma: Standard deviation of the noise.
        n_boxes: As for `colour_divergence`.
    """

    box: Float64Array
    place: IntArray
    codes: Float64Array
    sigma: float
    n_boxes: int

    @classmethod
    def of(
        cls, x: ArrayLike, codewords: ArrayLike, *, sigma: float, eps: float, n_boxes: int
    ) -> "ColourImages":
        """Check the arguments of `colour_divergence`.

        Raises:
            InputError: One does not fit.
            CertificateError: As there.
        """
        codes, images = colour_codes(codewords), np.asarray(x, dtype=np.float64)
        sigma, n_boxes = check_positive(sigma, "sigma"), check_count(n_boxes, "n_boxes")
        eps = check_positive(eps, "eps", zero=True)
        if images.ndim < 2 or images.shape[1] != codes.shape[1]:
            msg = f"expected images of shape (n, {codes.shape[1]}, ...), got {images.shape}"
            raise InputError(msg)
        # resizing may leave the range by rounding
        if not (np.abs(images - 0.5) <= 0.5 + 1e-6).all():
            msg = "expected images in [0, 1] without NaN; divide those in 0..255 by 255"
            raise InputError(msg)
        colours, place = distinct(np.moveaxis(images, 1, -1).reshape(-1, codes.shape[1]))
        low = np.minimum(colours, np.maximum(colours - eps, 0.0))
        high = np.maximum(colours, np.minimum(colours + eps, 1.0))
        box = np.stack([colours, low, high])
        return cls(box, place.reshape(len(images), -1), codes, sigma, n_boxes)

    def divergences(
        self, asked: Sequence[Asked], spend: Spend | None = None, *, verbose: bool = False
    ) -> tuple[Float64Array, Sequence[str]]:
        """Return bounds (asked, n) in nats, and for each image what was spent before its end.

        All finite orders of D(clean || shifted) share the boxes; the rest takes hardly any time.

        Args:
            asked: Orders and directions.
            spend: At most this on each image: `nodes` colours, those of most pixels, and `seconds`,
                looked at between groups of colours; None: no limit.
            verbose: Show a bar of the colours.

        Raises:
            InputError: An order below 1.
        """
        # numbers of a narrow type would overflow, or round
        asked = [(check_order(order), reverse) for order, reverse in asked]
        closed = [self.closed_form(order, reverse=reverse) for order, reverse in asked]
        bounds = np.stack([single[self.place].sum(axis=1) for single in closed])
        spent = [""] * len(self.place)
        hard = [self._unit is None and not reverse and order < np.inf for order, reverse in asked]
        if any(hard):
            orders = [order for (order, _), cut in zip(asked, hard, strict=True) if cut]
            with tqdm(
                total=self.box.shape[1], desc="colours", leave=False, disable=not verbose
            ) as bar:
                search = _Search(self, orders, spend, bar)
                for image, pixels in enumerate(self.place):
                    bounds[hard, image], spent[image] = search.run(pixels)
        return bounds * _OUTWARD, spent

    @cached_property
    def _unit(self) -> Float64Array | None:
        return line_of(self.codes)

    def closed_form(self, order: float, *, reverse: bool = False) -> Float64Array:
        """Bounds (m,) of the colours: exact for codewords on a line, else those of the noise."""
        unit = self._unit
        if unit is None:
            farthest = np.abs(self.box[1:] - self.box[0]).max(axis=0)
            return noise_divergence(farthest / self.sigma, order)
        middle = self.box[0] @ unit
        ends = np.sort(self.box[1:] * unit, axis=0).sum(axis=2)
        # the order of summation may differ in the last digit
        low, high = np.minimum(ends[0], middle), np.maximum(ends[1], middle)
        levels, sigma = self.codes @ unit, self.sigma
        return shift_divergence(
            middle, levels, sigma=sigma, low=low, high=high, order=order, reverse=reverse
        )


class _Search:
    """Bounds of colours (orders, m): those of the noise, until space is cut around them."""

    def __init__(
        self, images: ColourImages, orders: Sequence[float], spend: Spend | None, bar: "tqdm[Any]"
    ) -> None:
        # channels that are missing neither move nor tell codewords apart
        missing = CHANNELS - images.codes.shape[1]
        self.box = np.pad(images.box, ((0, 0), (0, 0), (0, missing)))
        self.codes = np.pad(images.codes, ((0, 0), (0, missing)))
        self.images, self.orders, self.spend, self.bar = images, orders, spend, bar
        self.noise = np.stack([images.closed_form(order) for order in orders])
        self.bounds, self.seen = self.noise.copy(), np.zeros(self.box.shape[1], dtype=np.bool_)

    def run(self, pixels: IntArray) -> tuple[Float64Array, str]:
        """Bounds (orders,) of an image, and what was spent before all of its colours were seen."""
        colours, counts = np.unique(pixels, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        colours, counts = colours[order], counts[order]
        most = len(colours) if self.spend is None else self.spend.nodes
        spent = self._see(colours[:most]) or (f"{most} nodes" if most < len(colours) else "")
        bounds = self.bounds.take(colours, axis=1)
        # what other images needed is not this one's, lest its bound depend on them
        bounds[:, most:] = self.noise.take(colours[most:], axis=1)
        return (bounds * counts).sum(axis=1), spent

    def _see(self, colours: IntArray) -> str:
        """Bound colours that no image before had; return the time that ran out, if it did."""
        start, n_boxes = time.perf_counter(), self.images.n_boxes
        left = colours[~self.seen[colours]]
        size = max(1, _VALUES_AT_ONCE // (len(self.codes) * (n_boxes + 2) ** 2))
        for first in range(0, len(left), size):
            if self.spend is not None and time.perf_counter() - start > self.spend.seconds:
                return f"{self.spend.seconds:g} seconds"
            part = left[first : first + size]
            self.bounds[:, part] = at_vertices(
                self.box[:, part], self.codes, self.images.sigma, self.orders, n_boxes
            )
            self.seen[part] = True
            self.bar.update(len(part))
        return ""
