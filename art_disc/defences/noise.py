"""Defences that draw: what they have in common, and Gaussian noise."""

import copy
from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from art_disc.core.checks import check_rate
from art_disc.core.errors import InputError
from art_disc.core.seeds import derive_seed
from art_disc.defences.draws import Draws, RandomMap
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.surrogates import straight_through


class RandomPreprocessor(MapPreprocessor):
    """A defence that draws from a stream of its own: never from a global one.

    A copy goes on from where the original is, by itself. A defence whose settings, layout or place
    among other defences were changed begins its stream anew.

    Args:
        seed: Of the stream.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: `seed` is no whole number.
    """

    params = ("seed", "freeze", "place", *MapPreprocessor.params)

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        self.seed = seed
        self.freeze: int | None = None
        self.place = 0
        super().__init__(**options)

    def _check_params(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer):
            msg = f"seed must be a whole number, got {self.seed!r}"
            raise InputError(msg)
        super()._check_params()

    def _make_map(self) -> RandomMap:
        # two equal defences one after the other must not draw the same numbers
        own = (type(self).__name__, self.place)
        frozen = None if self.freeze is None else derive_seed(self.freeze, *own)
        return self._random_map(derive_seed(self.seed, *own), frozen)

    @abstractmethod
    def _random_map(self, seed: int, frozen: int | None) -> RandomMap:
        """Return the map of the present attributes, with these seeds."""

    @property
    def is_random(self) -> bool:
        """Whether two calls on the same images may differ: unless it is frozen."""
        return self.freeze is None

    def frozen(self, seed: int) -> Self:
        """Return the same defence with one set of numbers for every image and every call.

        Args:
            seed: Of those numbers; the defence's own seed plays no part.
        """
        return self._changed(freeze=int(seed))

    def with_seed(self, seed: int) -> Self:
        """Return the same defence with another stream, from its beginning."""
        return self._changed(seed=seed)

    def with_place(self, place: int) -> Self:
        """Return the same defence as number `place` of a chain, with numbers of its own there."""
        return self._changed(place=place)

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._map = copy.deepcopy(self._map)
        return twin

    def describe(self) -> str:
        """Return one readable line: the defence with every hyperparameter."""
        left_out = (*MapPreprocessor.params, "place", "freeze" if self.is_random else "seed")
        words = ", ".join(f"{k}={getattr(self, k)!r}" for k in self.params if k not in left_out)
        return f"{type(self).__name__}({words})"


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
        return straight_through(noisy, self._clip, torch.clone, max(1, len(images)))

    def _clip(self, noisy: Tensor) -> Tensor:
        return noisy.clamp(0, self.upper)


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
        check_rate(self.sigma, "sigma")
        super()._check_params()

    def _random_map(self, seed: int, frozen: int | None) -> NoiseMap:
        return NoiseMap(
            self.sigma, clip=self.clip, seed=seed, frozen=frozen, upper=self.clip_values[1]
        )
