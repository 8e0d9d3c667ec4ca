"""RandMix: noise, then every pixel to a weighted mean of a few centres of its own image."""

from typing import Any

from art_disc.core.checks import check_rate
from art_disc.defences.randdisc_base import ClusterPreprocessor


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

    def _alphas(self) -> tuple[float, float]:
        return self.alpha, self.alpha

    @classmethod
    def _with_alpha(cls, alpha: float) -> dict[str, Any]:
        return {"alpha": alpha}
