"""Thermometer and one-hot codes of grey levels, which the network takes in place of the pixels."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_disc.core.checks import Float32Array, check_choice, check_count
from art_disc.defences.images import StepMap
from art_disc.defences.preprocessor import SurrogatePreprocessor
from art_disc.surrogates import (
    LEVELS,
    LevelCode,
    LevelSurrogate,
    Ramp,
    Surrogate,
    SurrogateLike,
    soft_spread,
)

ENCODINGS = ("thermometer", "one_hot")


class LevelMap(StepMap):
    """Exact codes forward, bit for bit; the surrogate's gradient backward.

    What lies outside the range has the code of the nearest level, and the bits of a NaN are NaN.
    """

    def __init__(self, code: LevelCode, surrogate: LevelSurrogate, **options: Any) -> None:
        super().__init__(4 * (code.n_levels + 4), scaled=False, **options)
        self.code = code
        self.surrogate = surrogate

    def exact(self, images: Tensor) -> Tensor:
        """Return codes (n, c * L, h, w) of 0 and 1."""
        return self.code.hard(images)

    def stand_in(self, images: Tensor) -> Tensor:
        """Return the surrogate's own code."""
        return self.surrogate.of_levels(images, self.code).flatten(1, 2)


class Thermometer(SurrogatePreprocessor):
    """Replace every channel by the bits of its level; the network takes `encoded_shape`.

    Level p of L holds the values in (p / L, (p + 1) / L], level 0 also 0: a value on a border
    belongs to the level below. The bits of a channel stand side by side. A thermometer has bits 0
    to p on, so bit 0 always; a one-hot code has bit p alone.

    Values equal those of ART's `ThermometerEncoding` for float32 images: thresholds and
    comparisons are those of float32 (ART compares float64 images in 64 bits). The paper's own
    thermometer has the bits from p to L - 1 on, the same code mirrored. Athalye et al. write
    x > k / L for bit k, which leaves bit 0 off at a value of exactly 0; ART has it on there too.

    Args:
        n_levels: L, 2 to 256.
        encoding: `thermometer` or `one_hot`.
        surrogate: Backward pass: `soft` (softmax over the distances to the levels' middles; a
            thermometer sums it up from above), `smooth` (with squared distances), `ramp` (the
            published one), `identity` (slope 1 for every bit that a higher value switches on, -1
            for one that a lower value does; those of a one-hot code less their mean, as its bits
            sum to 1: no value is without a gradient), or a callable from images in [0, 1] to codes.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: A parameter does not fit.

    Source: Buckman, Roy, Raffel, Goodfellow 2018, section 3 (discretisation and both codes).
    """

    params = ("n_levels", "encoding", *SurrogatePreprocessor.params)
    vocabulary = LEVELS

    def __init__(
        self,
        n_levels: int = 16,
        encoding: str = "thermometer",
        surrogate: SurrogateLike = "soft",
        **options: Any,
    ) -> None:
        self.n_levels = n_levels
        self.encoding = encoding
        super().__init__(surrogate, **options)

    def _check_params(self) -> None:
        check_count(self.n_levels, "n_levels", least=2, most=256)
        check_choice(self.encoding, "encoding", ENCODINGS)
        super()._check_params()

    def level_code(self) -> LevelCode:
        """Return the code that its map makes."""
        return LevelCode(int(self.n_levels), self.encoding == "one_hot")

    def _make_map(self) -> LevelMap:
        return LevelMap(self.level_code(), self.surrogate, **self._layout())

    def encoded_shape(self, input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return (c * L, h, w), or (h, w, c * L) where not `channels_first`."""
        a, b, c = (int(size) for size in input_shape)
        levels = int(self.n_levels)
        return (a * levels, b, c) if self.channels_first else (a, b, c * levels)

    def spread(self) -> tuple[Surrogate, ...]:
        """Return those of codebooks, and the published ramp."""
        return (*soft_spread(self.surrogate), Ramp())

    def decode(self, made: NDArray[Any]) -> Float32Array:
        """Return images whose channels are the middles of their levels; see `Traits.decode`."""
        codes = torch.as_tensor(np.asarray(made, dtype=np.float32))
        axis = 1 if self.channels_first else -1
        images = self.level_code().decode(codes.movedim(axis, 1)) * self.clip_values[1]
        return np.ascontiguousarray(images.movedim(1, axis).numpy())

    def impossible(self, made: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for each image whether it holds a code of no level."""
        again = np.asarray(self(self.decode(made))[0])
        return np.asarray((again != made).reshape(len(made), -1).any(axis=1))
