"""What RandDisc and RandMix have in common: their settings, and the papers' presets."""

import itertools
from abc import abstractmethod
from typing import Any, Self

from art_disc.codebooks import Codebook
from art_disc.core.checks import Float32Array, check_choice, check_count, check_rate
from art_disc.core.errors import InputError
from art_disc.defences.centres import (
    AdaptiveCentres,
    CentreRule,
    FixedCentres,
    IteratedCentres,
    NoisySample,
)
from art_disc.defences.draws import RandomPreprocessor
from art_disc.defences.preprocessor import SurrogatePreprocessor
from art_disc.defences.randdisc_map import MIXTURES, PAPERS_ALPHA, ClusterMap, Mixture
from art_disc.defences.traits import PixelNoise
from art_disc.surrogates import Identity, Surrogate, SurrogateLike

SAMPLERS = ("adaptive", "kmeans++")


def _settings(n_clusters: int, noise: float, rate: float = 40.0) -> dict[str, Any]:
    """Return a preset whose two noises are as strong, and whose gamma and alpha are equal."""
    both = {"sigma": noise, "tau": noise, "gamma": rate, "alpha": rate}
    return {"n_clusters": n_clusters, **both}


# On [0, 1]. A range t times as long has sigma and tau t times as large, gamma and alpha t^2 times
# as small: 0.25 and 10 on the reference's [-1, 1] are 0.125 (about 32 / 255) and 40 here.
PRESETS: dict[str, dict[str, Any]] = {
    "mnist": _settings(2, 0.15),
    "mnist-reference": _settings(2, 0.15, 20.0) | {"shared_positions": True},
    "imagenet": _settings(5, 32 / 255),
    "imagenet-fixed": {
        "n_clusters": 8,
        "sigma": 32 / 255,
        "alpha": 40.0,
        "centres": tuple(itertools.product((64 / 255, 192 / 255), repeat=3)),
    },
    "competition": _settings(10, 16 / 255),
}


class ClusterPreprocessor(SurrogatePreprocessor, RandomPreprocessor):
    """Noise, then every pixel replaced by what k centres of its own image make of it.

    See `RandDisc` for the arguments.

    Attributes:
        alpha: Inverse temperature of the mean of the centres; None: the nearest one is taken.
    """

    alpha: float | None = None

    params = (
        "n_clusters",
        "n_samples",
        "sigma",
        "tau",
        "gamma",
        "centres",
        "shared_positions",
        "surrogate",
        *RandomPreprocessor.params,
    )
    vocabulary = MIXTURES

    def __init__(  # noqa: PLR0913 - one argument a setting of the paper
        self,
        n_clusters: int | None = None,
        *,
        n_samples: int = 100,
        sigma: float = 0.15,
        tau: float = 0.15,
        gamma: float = 40.0,
        centres: Any = "adaptive",
        shared_positions: bool = False,
        surrogate: SurrogateLike = "mix",
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_samples = n_samples
        self.sigma = sigma
        self.tau = tau
        self.gamma = gamma
        self.centres = centres
        self.shared_positions = shared_positions
        super().__init__(surrogate, seed=seed, **options)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return the defence of a published experiment, with some settings changed.

        Args:
            name: `mnist`, `imagenet`, `imagenet-fixed` and `competition`, as printed;
                `mnist-reference`, the published code's gamma and alpha of 20 and its shared
                positions. Scales are converted to [0, 1].
            **changes: Arguments of the constructor.

        Raises:
            InputError: Unknown name, or a change that does not fit.
        """
        settings = dict(PRESETS[check_choice(name, "preset", PRESETS)])
        return cls(**cls._with_alpha(settings.pop("alpha")) | settings | changes)

    @classmethod
    @abstractmethod
    def _with_alpha(cls, alpha: float) -> dict[str, Any]:
        """Return the arguments that stand for a published alpha."""

    def _check_params(self) -> None:
        self.sigma = check_rate(self.sigma, "sigma", zero=True, most=1)
        self.tau = check_rate(self.tau, "tau", zero=True, most=1)
        self.gamma = check_rate(self.gamma, "gamma", zero=True)
        check_count(self.n_samples, "n_samples")
        if self.n_clusters is not None:
            check_count(self.n_clusters, "n_clusters")
        self._check_centres()
        super()._check_params()

    def _check_centres(self) -> None:
        if isinstance(self.centres, str):
            if self.centres not in SAMPLERS:
                known = f"one of {', '.join(SAMPLERS)}, codewords (k, c) in [0, 1] or a Codebook"
                msg = f"centres must be {known}, got {self.centres!r}"
                raise InputError(msg)
            if self.n_clusters is None:
                msg = f"n_clusters is needed with centres={self.centres!r}; the paper takes 2 or 5"
                raise InputError(msg)
            if self.centres == "kmeans++" and self.n_samples < self.n_clusters:
                msg = (
                    f"kmeans++ finds {self.n_clusters} centres among as many vectors or more, got "
                    f"n_samples={self.n_samples}"
                )
                raise InputError(msg)
            return
        book = self.centres
        if not isinstance(book, Codebook):
            book = Codebook(book, metric="l2")
        self.centres = book.sealed()
        if self.centres.per_channel:
            msg = "centres are whole pixels; give codewords of shape (k, c), not per_channel ones"
            raise InputError(msg)
        if self.n_clusters not in (None, self.centres.n_codes_):
            msg = (
                f"n_clusters must be the number of fixed centres, {self.centres.n_codes_}, or "
                f"None, got {self.n_clusters}"
            )
            raise InputError(msg)

    @property
    def codewords(self) -> Float32Array | None:
        """The fixed centres, shape (k, c) on the [0, 1] scale; None where they are drawn."""
        if isinstance(self.centres, str):
            return None
        codewords: Float32Array = self.centres.codewords_
        return codewords

    def _rule(self) -> CentreRule:
        codewords = self.codewords
        if codewords is not None:
            return FixedCentres(codewords)
        sample = NoisySample(int(self.n_samples), self.tau, bool(self.shared_positions))
        clusters = int(self.n_clusters or 1)
        if self.centres == "kmeans++":
            return IteratedCentres(clusters, sample)
        return AdaptiveCentres(clusters, sample, self.gamma)

    @property
    def slope(self) -> float:
        """Alpha of the mixture that `mix` differentiates."""
        own = self.surrogate.alpha if isinstance(self.surrogate, Mixture) else None
        return own or self.alpha or PAPERS_ALPHA

    def _random_map(self, **options: Any) -> ClusterMap:
        slope = None if isinstance(self.surrogate, Identity) else self.slope
        return ClusterMap(self._rule(), self.sigma, self.alpha, slope, **options)

    def check_channels(self, channels: int) -> None:
        """Refuse pixels of another number of channels than fixed centres have."""
        if not isinstance(self.centres, str):
            self.centres.check_channels(channels)

    def spread(self) -> tuple[Surrogate, ...]:
        """Return a blunter mixture on the same draws."""
        return (Mixture(self.slope / 4),)

    def noise(self) -> PixelNoise:
        """Return the noise on pixels, and that on those from which centres are chosen.

        Of fixed centres it names those where the nearest one is taken: they are all that is used.
        """
        if isinstance(self.centres, str):
            return PixelNoise(self.sigma, n_samples=self.n_samples, tau=self.tau)
        return PixelNoise(self.sigma, self.codewords if self.alpha is None else None)

    def described(self) -> dict[str, Any]:
        """Return the parameters that have an effect on these centres."""
        silent: set[str] = set()
        if not isinstance(self.centres, str):
            silent = {"n_clusters", "n_samples", "tau", "gamma", "shared_positions"}
        elif self.centres == "kmeans++":
            silent.add("gamma")
        words = {k: v for k, v in super().described().items() if k not in silent}
        codewords = self.codewords
        return words if codewords is None else words | {"centres": codewords.tolist()}
