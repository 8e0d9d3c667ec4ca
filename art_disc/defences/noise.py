"""Gaussian noise."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from art_disc.core.checks import check_rate
from art_disc.defences.draws import Draws, RandomMap, RandomPreprocessor
from art_disc.defences.traits import PixelNoise
from art_disc.surrogates import straight_through


class NoiseMap(RandomMap):
    """x + sigma * upper * N(0, 1), clipped to [0, upper] if asked for.

    The gradient is the identity, through the clipping too: the sign is right everywhere, and a
    pixel that the noise put outside the range is not lost to the attack.
    """

    def __init__(self, sigma: float, *, clip: bool, **options: Any) -> None:
        super().__init__(**options)
        self.sigma = sigma
        self.clip = clip

    def transform(self, images: Tensor, draws: Draws) -> Tensor:
        """Return noisy images; see `RandomMap`."""
        noisy = images + self.sigma * self.upper * draws.normal(tuple(images.shape), images.device)
        if not self.clip:
            return noisy
        clip = partial(torch.clamp, min=0, max=self.upper)
        return straight_through(noisy, clip, torch.clone, max(1, len(images)))


class GaussianNoise(RandomPreprocessor):
    """Add independent Gaussian noise to every value of every image, afresh in each call.

    Args:
        sigma: Standard deviation > 0 on the [0, 1] scale, whatever the input range.
        clip: Clip to the input range after the noise; the papers do not.
        seed: Of the defence's own stream.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: `sigma` is no positive number.

    Source: Zhang, Liang 2019, section 3 (Gaussian randomisation).
    """

    params = ("sigma", "clip", *RandomPreprocessor.params)

    def __init__(
        self, sigma: float = 0.1, *, clip: bool = False, seed: int = 0, **options: Any
    ) -> None:
        self.sigma = sigma
        self.clip = clip
        super().__init__(seed=seed, **options)

    def _check_params(self) -> None:
        check_rate(self.sigma, "sigma", most=1)
        super()._check_params()

    def _random_map(self, **options: Any) -> NoiseMap:
        return NoiseMap(self.sigma, clip=self.clip, **options)

    def noise(self) -> PixelNoise:
        """Return its own noise."""
        return PixelNoise(self.sigma)
