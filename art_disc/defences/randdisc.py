"""RandDisc and RandMix: noise, then every pixel to one of a few centres of its image, or a mean."""

from typing import Any

from art_disc.core.checks import check_rate
from art_disc.defences.randdisc_base import ClusterPreprocessor
from art_disc.defences.randdisc_map import Mixture


class RandDisc(ClusterPreprocessor):
    """Replace every noisy pixel by the nearest of k centres, afresh in each call.

    The value is a true argmin in l2, where the reference takes RandMix with a large alpha. Noise
    is not clipped, so centres and values may lie outside the input range.

    Its own gradient is that of RandMix on the same draws, in pixels and in centres: centres are
    noisy pixels of the image, and the reference differentiates them too. How the choice of the
    centres depends on the image has no part in it; the mean over draws is not the gradient of the
    expected loss.

    Args:
        n_clusters: Centres k; None with fixed centres: as many as there are.
        n_samples: Pixels s of an image that centres are chosen from.
        sigma: Standard deviation >= 0 of the noise on the pixels that are assigned, on [0, 1].
        tau: That of the noise on the pixels that centres are chosen from, independent of it.
        gamma: How much farther vectors are preferred as centres, in 1 / squared range of [0, 1].
        centres: `adaptive`, the paper's sampler; `kmeans++`, scikit-learn's start and iterations
            on the same s vectors, image by image and without a gradient through the centres; or
            fixed ones: codewords (k, c) in [0, 1], k numbers for grey images, or a fitted
            `Codebook`, of which the codewords alone count (pixels are assigned in l2).
        shared_positions: Choose centres among the same pixels for every image of a batch, as the
            reference does; an image's draws are then not independent of its neighbours'.
        surrogate: Backward pass: `mix[:ALPHA]` (a `Mixture`; 40 where none is given) or
            `identity`, straight through noise and assignment to the pixel itself.
        seed: Of the defence's own stream.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: A setting does not fit.
        NotFittedError: A codebook without codewords.

    >>> RandDisc.preset("mnist", seed=3).describe()
    "RandDisc(n_clusters=2, n_samples=100, sigma=0.15, tau=0.15, gamma=40.0, \
centres='adaptive', shared_positions=False, seed=3)"

    Source: Zhang, Liang 2019, section 3 (eq. 2) and section 5 (selection of the centres).
    """

    @classmethod
    def _with_alpha(cls, alpha: float) -> dict[str, Any]:
        return {"surrogate": Mixture(alpha)}

    def relaxed(self) -> "RandMix":
        """Return RandMix with the alpha through which this is differentiated.

        Source: Zhang, Liang 2019, section 5: examples are made on RandMix and scored on both.
        """
        own = ("n_clusters", "surrogate", "freeze", "place")
        settings = {name: getattr(self, name) for name in self.params if name not in own}
        made = RandMix(self.slope, self.n_clusters, **settings)
        return made if self.freeze is None else made.frozen(self.freeze)


class RandMix(ClusterPreprocessor):
    """Replace every noisy pixel by a mean of k centres, nearer ones weighing more, in each call.

    The weight of centre c for the noisy pixel v is proportional to exp(-alpha |v - c|_2^2), so
    RandMix tends to `RandDisc` as alpha grows. It is differentiable in pixels and centres, as
    RandDisc through `mix`; the reference clips the exponents at -200, which float32 does not need.

    Args:
        alpha: Inverse temperature > 0, in 1 / squared range of [0, 1].
        n_clusters: As for `RandDisc`.
        surrogate: Backward pass: `mix`, its own gradient; `mix:ALPHA`, that of another RandMix on
            the same draws; or `identity`.
        **settings: Other arguments of `RandDisc`.

    Raises:
        InputError: A setting does not fit.
        NotFittedError: A codebook without codewords.

    Source: Zhang, Liang 2019, section 3 (eq. 3).
    """

    params = ("alpha", *ClusterPreprocessor.params)

    def __init__(self, alpha: float = 40.0, n_clusters: int | None = None, **settings: Any) -> None:
        self.alpha = alpha
        super().__init__(n_clusters, **settings)

    def _check_params(self) -> None:
        self.alpha = check_rate(self.alpha, "alpha")
        super()._check_params()

    @classmethod
    def _with_alpha(cls, alpha: float) -> dict[str, Any]:
        return {"alpha": alpha}
