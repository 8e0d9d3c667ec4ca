"""How fragmented the ball around an image is: the code images that a budget reaches."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox import Threat, checked_units, class_sizes, distinct
from art_disc.core.checks import Float64Array, IntArray
from art_disc.core.showing import Shown


@dataclass(frozen=True, slots=True, eq=False)
class EquivalenceClasses(Shown):
    """What `equivalence_classes` returns.

    Attributes:
        sizes: |C_i|, the codewords that each pixel can be assigned to, >= 1, shape (n, h, w). For
            a `per_channel` codebook the product over the channels: the codeword vectors that the
            pixel can be assigned to.
        n_codes: What a pixel can be assigned to at all: k, or k^c for a `per_channel` codebook.
        eps: l_inf budget on the [0, 1] scale.
        rule: How reach was decided: `exact`, `paper` or `paper_float`.
        domain: `real` or `8bit`.
    """

    sizes: IntArray = field(repr=False)
    n_codes: int
    eps: float
    rule: str
    domain: str

    @property
    def exponents(self) -> Float64Array:
        """log_k of the number of code images prod_i |C_i|, shape (n,); 0 where k is 1.

        With two codewords of grey images this is the number of pixels that can change their code.
        """
        logs: Float64Array = np.log2(self.sizes).reshape(len(self.sizes), -1).sum(axis=1)
        return np.asarray(logs / np.log2(max(self.n_codes, 2)))

    @property
    def per_pixel(self) -> Float64Array:
        """(1/d) log_k prod_i |C_i|, shape (n,), in [0, 1]; d is the number of pixels h * w.

        0: no perturbation changes the discretised image; 1: every discretised image is in reach.
        """
        return np.asarray(self.exponents / self.sizes[0].size)

    @property
    def median(self) -> float:
        """Median of `per_pixel` over the images, in [0, 1]."""
        return float(np.median(self.per_pixel))

    def cdf(self) -> tuple[Float64Array, Float64Array]:
        """Return the distinct values of `per_pixel`, rising, and the share of images up to each."""
        values, counts = np.unique(self.per_pixel, return_counts=True)
        return values, counts.cumsum() / len(self.sizes)

    def facts(self) -> dict[str, Any]:
        """Return the few numbers of it, as JSON takes them."""
        quartiles = np.quantile(self.per_pixel, [0, 0.25, 0.5, 0.75, 1])
        return {
            "eps": self.eps,
            "rule": self.rule,
            "domain": self.domain,
            "images": len(self.sizes),
            "pixels": int(self.sizes[0].size),
            "n_codes": self.n_codes,
            "median_per_pixel": self.median,
            "per_pixel_quartiles": [float(value) for value in quartiles],
            "median_exponent": float(np.median(self.exponents)),
            "mean_class_size": float(self.sizes.mean()),
            "share_of_pixels_free": float((self.sizes > 1).mean()),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the CDF of `per_pixel` (Figure 5 of Chen et al. 2019) and return the Axes.

        Args:
            ax: Matplotlib Axes to draw on; None: a new figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from art_disc.report.hardness import cdf_plot

        label = f"k = {self.n_codes}, eps = {255 * self.eps:.3g}/255"
        words = "(1/d) log$_k$ of the code images in reach", "share of images"
        return cdf_plot({label: self.per_pixel}, ax, labels=words, unit_range=True)


def equivalence_classes(
    x: Any,
    codebook: Codebook,
    *,
    eps: float,
    rule: str = "exact",
    domain: str = "real",
    channels_first: bool = True,
) -> EquivalenceClasses:
    """Count the equivalence classes |C_i| that a budget opens at each pixel of some images.

    C_i = {T(z) : |z - x[i]|_inf <= eps}, and the images that the discretised classifier can be
    shown are the product of the C_i. Each distinct pixel value is looked at once. For 8-bit images
    of two or three channels whole cells are counted (see `codebox.cell_volume`), in seconds for any
    number of them, with `domain="8bit"`; with `real` where codewords and budget are whole grey
    levels and the metric is l_inf, as in the papers, or l1. Elsewhere `real` looks at
    each distinct colour by itself, which takes longer.

    Args:
        x: Images, shape (n, c, h, w), floats in [0, 1] or uint8.
        codebook: A fitted codebook.
        eps: l_inf budget on the [0, 1] scale.
        rule: `exact`; `paper`: the superset d(x, c) <= d(x, c*) + 2 eps; `paper_float`, see
            `reachable_codes`.
        domain: What changed values may be: `real`, where ties count for both sides, or `8bit`, the
            levels v/255, where they go as the codebook breaks them.
        channels_first: Otherwise images are (n, h, w, c).

    Raises:
        InputError: An argument does not fit.
        CertificateError: `8bit`, and a pixel has no level within the budget.

    Source: Chen et al. 2019, section V-A2 and Figure 5 (k = 2, d = 784; k = 300, d = 1024).

    >>> book = Codebook([0.0, 1.0])
    >>> equivalence_classes(np.array([[[[0.2, 0.45]]]]), book, eps=0.1).exponents
    array([1.])
    """
    threat = Threat(eps, rule, domain)
    units = checked_units(x, codebook, channels_first=channels_first)
    n, *shape = np.shape(x)
    channels = shape.pop(0 if channels_first else -1)
    values, where = distinct(units.reshape(-1, units.shape[-1]))
    sizes = class_sizes(values, codebook, threat)[where]
    k = codebook.n_codes_
    if codebook.per_channel:
        sizes = sizes.reshape(n, channels, -1).prod(axis=1)
        k = k**channels
    return EquivalenceClasses(sizes.reshape(n, *shape), k, threat.eps, rule, domain)
