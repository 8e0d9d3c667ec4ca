"""How far a budget can move the law of a defended image: one model for each defence that draws.

A model bounds the divergence of what leaves the random defence. Whatever follows, the network
included, is a channel and can only lower it, as long as it sees nothing else of the image. What
comes before must not widen the budget: max-pooling does not, since maxima of values that move by at
most eps move by at most eps.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from art_disc.certificates.divergence.cells import codeword_divergence
from art_disc.certificates.divergence.colour_cells import colour_codes
from art_disc.certificates.divergence.colour_images import N_BOXES, Asked, ColourImages
from art_disc.certificates.divergence.gaussian import (
    gaussian_renyi,
    gaussian_shift,
    proposition1_kl,
)
from art_disc.certificates.spend import Spend
from art_disc.core.checks import Float64Array, check_count, check_positive
from art_disc.core.errors import CertificateError
from art_disc.core.showing import Shown


class DivergenceModel(Protocol):
    """Bounds for a random defence, on images (n, c, h, w) in [0, 1] and a budget on that scale."""

    @property
    def assumes(self) -> str:
        """What the bounds hold for, in words."""
        ...

    def divergence(
        self, x: Float64Array, eps: float, order: float, *, reverse: bool = False
    ) -> Float64Array:
        """Return upper bounds of a divergence in nats, shape (n,).

        Args:
            x: Images.
            eps: Budget.
            order: Renyi's, at least 1.
            reverse: D_order(shifted || clean), not D_order(clean || shifted).

        Raises:
            CertificateError: No bound is known of that divergence, or for these images.
        """
        ...

    def shift(self, x: Float64Array, eps: float) -> Float64Array:
        """Return distances in standard deviations of Gaussian laws behind the defence, (n,)."""
        ...


class _Noise:
    """x + sigma N: laws eps sqrt(d) / sigma apart, whose divergences are the same both ways."""

    __slots__ = ()
    sigma: float
    _then: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_positive(self.sigma, "sigma")

    @property
    def assumes(self) -> str:
        """What the bounds hold for."""
        return f"independent exact Gaussian noise of deviation {self.sigma:g}{self._then}"

    def divergence(
        self,
        x: Float64Array,
        eps: float,
        order: float,
        *,
        reverse: bool = False,  # noqa: ARG002 - the same for Gaussian laws
    ) -> Float64Array:
        """Order times half the square of `shift`; see `DivergenceModel`."""
        return np.full(len(x), gaussian_renyi(self.shift(x[:1], eps)[0], order))

    def shift(self, x: Float64Array, eps: float) -> Float64Array:
        """Distance of the noisy images' means, the same for all; see `DivergenceModel`."""
        return np.full(len(x), gaussian_shift(eps, self.sigma, x[0].size))


@dataclass(frozen=True, slots=True)
class GaussianModel(Shown, _Noise):
    """x + sigma N, and whatever is made of it: eps sqrt(d) / sigma apart.

    Attributes:
        sigma: Standard deviation on the [0, 1] scale, > 0.
    """

    sigma: float


@dataclass(frozen=True, slots=True)
class FixedCodesModel(Shown, _Noise):
    """x + sigma N, each value replaced by the nearest of fixed scalar codewords.

    Attributes:
        levels: For each channel its scalar codewords on the [0, 1] scale.
        sigma: Standard deviation on that scale, > 0.
    """

    levels: tuple[tuple[float, ...], ...]
    sigma: float
    _then: ClassVar[str] = (
        ", then the nearest of fixed codewords whose cells are boxes; adversarial images stay in "
        "the input range"
    )

    def divergence(
        self, x: Float64Array, eps: float, order: float, *, reverse: bool = False
    ) -> Float64Array:
        """Exact maxima over the box, summed; see `codeword_divergence`."""
        _check_channels(x, len(self.levels))
        options = {"sigma": self.sigma, "eps": eps, "order": order}
        parts = [
            codeword_divergence(x[:, i], levels, **options, reverse=reverse)
            for i, levels in enumerate(self.levels)
        ]
        return np.asarray(np.sum(parts, axis=0))


@dataclass(frozen=True, slots=True)
class ColourCodesModel(Shown, _Noise):
    """x + sigma N, each pixel replaced by the l2-nearest of fixed codewords that form no grid.

    Attributes:
        codewords: On the [0, 1] scale, k tuples of one number a channel.
        sigma: Standard deviation on that scale, > 0.
        n_boxes: How finely space is cut; see `colour_divergence`.

    Raises:
        InputError: An attribute does not fit.
        CertificateError: More than three channels, unless the codewords lie on a line.
    """

    codewords: tuple[tuple[float, ...], ...]
    sigma: float
    n_boxes: int = N_BOXES
    _then: ClassVar[str] = (
        ", then the l2-nearest of fixed colours (bounded by a finer observation in closed form); "
        "adversarial images stay in the input range"
    )

    def __post_init__(self) -> None:
        colour_codes(self.codewords)
        check_positive(self.sigma, "sigma")
        check_count(self.n_boxes, "n_boxes")

    def divergence(
        self, x: Float64Array, eps: float, order: float, *, reverse: bool = False
    ) -> Float64Array:
        """Upper bounds of the maxima over the box, summed; see `colour_divergence`.

        Raises:
            CertificateError: Images of another number of channels.
        """
        bounds, _ = self.divergences(x, eps, [(order, reverse)])
        return np.asarray(bounds[0])

    def divergences(
        self,
        x: Float64Array,
        eps: float,
        asked: Sequence[Asked],
        spend: Spend | None = None,
        *,
        verbose: bool = False,
    ) -> tuple[Float64Array, Sequence[str]]:
        """Bounds of several orders and directions at once; see `ColourImages.divergences`."""
        _check_channels(x, len(self.codewords[0]))
        images = ColourImages.of(x, self.codewords, sigma=self.sigma, eps=eps, n_boxes=self.n_boxes)
        return images.divergences(asked, spend, verbose=verbose)


def _check_channels(x: Float64Array, channels: int) -> None:
    if x.shape[1] != channels:
        msg = f"codewords have {channels} channel(s), the images {x.shape[1]}"
        raise CertificateError(msg)


@dataclass(frozen=True, slots=True)
class AdaptiveModel(Shown, _Noise):
    """Centres drawn from the noisy image, then x + sigma N and the nearest of them.

    By Proposition 1 of Zhang and Liang 2019; see `proposition1_kl`.

    Attributes:
        n_samples: Noisy pixels among which centres are chosen.
        tau: Deviation of their noise on the [0, 1] scale, > 0.
        sigma: Deviation of the noise before the assignment, > 0.
    """

    n_samples: int
    tau: float
    sigma: float

    def __post_init__(self) -> None:
        check_positive(self.tau, "tau")
        check_positive(self.sigma, "sigma")

    @property
    def assumes(self) -> str:
        """What the bounds hold for."""
        return (
            f"independent exact Gaussian noise of deviation {self.tau:g} on {self.n_samples} "
            f"pixels, which the centres are made of, and of deviation {self.sigma:g} on all"
        )

    def shift(self, x: Float64Array, eps: float) -> Float64Array:
        """Distance of Gaussian laws with the KL of Proposition 1, the same for all images."""
        (c, h, w), tau, sigma = x[0].shape, self.tau, self.sigma
        kl = proposition1_kl(
            eps, pixels=h * w, n_samples=self.n_samples, tau=tau, sigma=sigma, channels=c
        )
        return np.full(len(x), math.sqrt(2 * kl))


@dataclass(frozen=True, slots=True)
class PooledModel(Shown):
    """A map that moves no value by more than eps, then another model.

    Attributes:
        pool: Takes and returns images (n, c, h, w) in [0, 1].
        inner: Of the images after it.
    """

    pool: Callable[[Float64Array], Float64Array]
    inner: DivergenceModel

    @property
    def assumes(self) -> str:
        """What the bounds hold for."""
        return f"{self.inner.assumes}; after a resizing that moves no value by more than eps"

    def divergence(
        self, x: Float64Array, eps: float, order: float, *, reverse: bool = False
    ) -> Float64Array:
        """Of the pooled images; see `DivergenceModel`."""
        return self.inner.divergence(self.pool(x), eps, order, reverse=reverse)

    def shift(self, x: Float64Array, eps: float) -> Float64Array:
        """Of the pooled images; see `DivergenceModel`."""
        return self.inner.shift(self.pool(x), eps)


def axis_levels(codewords: ArrayLike) -> tuple[tuple[float, ...], ...] | None:
    """Scalar codewords of each channel, where the l2 cells of codewords (k, c) are boxes.

    That is so for grey images, and for colours that form a grid: every combination of its channels'
    levels once, as the corners {64, 192}^3 of the paper. Then each channel goes to its nearest
    level by itself. None for other colours, whose cells are polyhedra; see `ColourCodesModel`.
    """
    codes = np.asarray(codewords, dtype=np.float64)
    codes = np.unique(codes[:, None] if codes.ndim == 1 else codes, axis=0)
    levels = [np.unique(channel) for channel in codes.T]
    if len(codes) != np.prod([len(channel) for channel in levels]):
        return None
    return tuple(tuple(channel.tolist()) for channel in levels)
