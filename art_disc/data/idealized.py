"""The idealised model of images, in which discretisation provably helps.

Source: Chen, Wu, Liang, Jha 2018, section 4.2; Chen et al. 2019, section IV-C.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from art_disc.core.checks import Float32Array, check_count, number_of
from art_disc.core.errors import InputError
from art_disc.core.seeds import as_generator
from art_disc.core.showing import Shown
from art_disc.data.lemma1 import Lemma1Conditions

_Ints = NDArray[np.int64]
_Reals = NDArray[np.float64]


class IdealizedImages(Shown, Lemma1Conditions):
    """Images whose pixels are well separated codewords plus noise of bounded norm.

    A skeleton u gives each pixel a codeword c_i*; every codeword has the marginal probability 1/k,
    and nothing else is asked of u. The image is u + zeta with Pr[||zeta|| = t] =
    alpha exp(-t^2 / sigma^2) for the whole levels t <= Gamma/8. The law is one of the norm, so each
    norm has its probability whatever the number of vectors that have it. The paper leaves the norm
    open: here it is l_inf, the one of the attack and of the codebooks. It leaves the direction
    open too: here every vector of that norm that stays in the range is equally likely.

    Args:
        codewords: c_1*..c_k*, shape (k, c) or (k,) for grey, values in [0, 1] on the grid of
            `levels`; k >= 2, no two equal.
        noise: sigma > 0 on the [0, 1] scale; write 3/255 for three levels.
        shape: Height and width.
        levels: K, levels of a channel; K - 1 has to divide 255, so that every pixel is on the
            8-bit grid where codebooks count.
        prior: Probability of each codeword, shape (k,); None: the paper's 1/k. With another one,
            1/k becomes the smallest in every condition (Chen et al. 2019, remark on the skeleton).
        random_state: Seed: the same images at every call; a `numpy.random.Generator` goes on; None:
            unlike ones.

    Attributes:
        codewords: float32, shape (k, c).
        prior: float64, shape (k,).
        separation: Gamma, the smallest l_inf distance of two codewords, in (0, 1].
        normaliser: alpha in (0, 1], the probability of a pixel without noise.

    Raises:
        InputError: An argument does not fit.

    >>> model = IdealizedImages([0.2, 0.8], noise=2 / 255, shape=(4, 4), random_state=0)
    >>> images, codes = model.sample(3)
    >>> images.shape, codes.shape
    ((3, 1, 4, 4), (3, 4, 4))
    """

    def __init__(
        self,
        codewords: ArrayLike,
        noise: float,
        *,
        shape: tuple[int, int] = (32, 32),
        levels: int = 256,
        prior: ArrayLike | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        if check_count(levels, "levels", least=2) > 256 or 255 % (levels - 1):
            msg = f"levels - 1 must divide 255 (levels 2, 4, 16, 52, 256, ...), got {levels}"
            raise InputError(msg)
        if not 0 < number_of(noise) <= 1:
            msg = f"noise must lie in (0, 1], got {noise}; write 3/255 for three levels"
            raise InputError(msg)
        self.levels, self.noise = levels, float(noise)
        self.shape = (check_count(shape[0], "height"), check_count(shape[1], "width"))
        self.random_state = random_state
        self._codes = _whole_levels(codewords, levels - 1)
        self.codewords: Float32Array = (self._codes / (levels - 1)).astype(np.float32)
        self.prior = _as_prior(prior, len(self._codes))
        gaps = np.abs(self._codes[:, None] - self._codes).max(axis=-1)
        closest = int(gaps[~np.eye(len(gaps), dtype=bool)].min())
        self.separation = closest / (levels - 1)
        # whole levels t <= Gamma / 8
        self._norms: _Ints = np.arange(closest // 8 + 1)
        self._weights: _Reals = np.exp(-((self._norms / (self.noise * (levels - 1))) ** 2))
        self.normaliser = float(1 / self._weights.sum())

    @property
    def n_codes(self) -> int:
        """Number k of codewords."""
        return len(self._codes)

    @property
    def noise_law(self) -> _Reals:
        """Pr[||zeta|| = t] for the norms t = 0, 1, .. levels, shape (floor(Gamma/8) + 1,)."""
        law: _Reals = self._weights / self._weights.sum()
        return law

    @property
    def largest_noise(self) -> float:
        """The largest norm of the noise, Gamma/8 rounded down to a whole level, [0, 1] scale."""
        return float(self._norms[-1]) / (self.levels - 1)

    def sample(
        self, n: int, *, random_state: int | np.random.Generator | None = None
    ) -> tuple[Float32Array, _Ints]:
        """Draw images over skeletons whose pixels are independent.

        Args:
            n: Number of images, >= 1.
            random_state: In place of the model's own.

        Returns:
            Images, float32 (n, c, h, w) in [0, 1], and the index of each codeword, (n, h, w).

        Raises:
            InputError: `n` or the seed does not fit.
        """
        rng = as_generator(self.random_state if random_state is None else random_state)
        size = (check_count(n, "n"), *self.shape)
        skeletons = rng.choice(self.n_codes, size=size, p=self.prior)
        return self.add_noise(skeletons, random_state=rng), skeletons

    def add_noise(
        self, skeletons: Any, *, random_state: int | np.random.Generator | None = None
    ) -> Float32Array:
        """Draw one image over each skeleton; any dependence between pixels is the caller's.

        Args:
            skeletons: Indices of codewords, integers in 0..k-1, shape (n, h, w), h and w free.
            random_state: In place of the model's own.

        Returns:
            float32 (n, c, h, w) in [0, 1], on the grid of `levels`.

        Raises:
            InputError: Not such indices, or the seed does not fit.
        """
        which = np.asarray(skeletons)
        whole = which.ndim == 3 and which.size > 0 and np.issubdtype(which.dtype, np.integer)
        if not whole or which.min() < 0 or which.max() >= self.n_codes:
            msg = (
                f"skeletons must be integers in 0..{self.n_codes - 1} of shape (n, h, w), got "
                f"{which.dtype} of shape {which.shape}"
            )
            raise InputError(msg)
        rng = as_generator(self.random_state if random_state is None else random_state)
        base = self._codes[which.reshape(-1)]
        norms = rng.choice(self._norms, size=len(base), p=self.noise_law)
        pixels = base + _on_shells(rng, norms, -base, self.levels - 1 - base)
        images = pixels.reshape(*which.shape, -1) / (self.levels - 1)
        return np.ascontiguousarray(np.moveaxis(images, -1, 1), dtype=np.float32)


def _on_shells(rng: np.random.Generator, norms: _Ints, least: _Ints, most: _Ints) -> _Ints:
    """Draw, for each row, a vector of l_inf norm `norms` between `least` and `most`, all alike."""
    low = np.maximum(least, -norms[:, None])
    high = np.minimum(most, norms[:, None])
    vectors = np.zeros_like(low)
    left = np.arange(len(low))
    while len(left):
        # uniform in the box, kept where it is on the surface: uniform on the surface
        vectors[left] = rng.integers(low[left], high[left], endpoint=True)
        left = left[np.abs(vectors[left]).max(axis=1) < norms[left]]
    return vectors


def _whole_levels(codewords: ArrayLike, top: int) -> _Ints:
    values = np.asarray(codewords, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) < 2 or not 1 <= values.shape[1] <= 7:
        msg = (
            f"codewords must be two or more, shape (k, c), c in 1..7, got {values.shape}; with one "
            "codeword there is nothing to separate"
        )
        raise InputError(msg)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        msg = "codewords must lie in [0, 1]; divide 8-bit colours by 255"
        raise InputError(msg)
    levels = np.rint(top * values).astype(np.int64)
    if np.abs(levels - top * values).max() > 1e-3:
        msg = f"codewords must be whole multiples of 1/{top} for {top + 1} levels; round them first"
        raise InputError(msg)
    if len(np.unique(levels, axis=0)) < len(levels):
        msg = f"codewords must differ from one another, got {levels.tolist()} in levels"
        raise InputError(msg)
    return levels


def _as_prior(prior: ArrayLike | None, k: int) -> _Reals:
    if prior is None:
        return np.full(k, 1 / k)
    values = np.array(prior, dtype=np.float64)
    if values.shape != (k,) or not (values > 0).all() or abs(values.sum() - 1) > 1e-9:
        msg = f"prior must be {k} probabilities above 0 with sum 1, got {values.tolist()}"
        raise InputError(msg)
    return values
