"""Thermometer and one-hot codes of grey levels, which the network takes in place of the pixels."""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError
from art_disc.defences.images import as_float_images
from art_disc.defences.preprocessor import SurrogatePreprocessor
from art_disc.defences.reshaping import ReshapingPreprocessor
from art_disc.surrogates import (
    WORDS,
    LevelCode,
    Surrogate,
    SurrogateLike,
    check_level_surrogate,
    straight_through,
)

ENCODINGS = ("thermometer", "one_hot")
_MEMORY_BYTES = 1 << 28


class LevelMap(nn.Module):
    """The code of every channel's level forward, bit for bit; the surrogate's gradient backward.

    Total on the reals, as `CodebookMap`: what lies outside the range has the code of the nearest
    level, and the bits of a NaN are NaN.

    Args:
        code: Which code.
        surrogate: Stand-in that is differentiated.
        channels_first: Images are (n, c, h, w); otherwise (n, h, w, c).
        upper: Top of the input range, 1 or 255; codes are 0 and 1 in either.
    """

    def __init__(
        self,
        code: LevelCode,
        surrogate: Surrogate,
        *,
        channels_first: bool = True,
        upper: float = 1.0,
    ) -> None:
        super().__init__()
        self.code = code
        self.surrogate = surrogate
        self.channels_first = channels_first
        self.upper = upper

    def forward(self, x: Tensor) -> Tensor:
        """Return codes.

        Args:
            x: Images, floats of any precision in [0, upper], or uint8.

        Returns:
            float32 (n, c * L, h, w), or (n, h, w, c * L).

        Raises:
            InputError: Not four axes, or another integer type.
        """
        images = self._enter(x)
        return self._leave(straight_through(images, self._hard, self._soft, self._chunk(images)))

    def soft(self, x: Tensor) -> Tensor:
        """Return the surrogate's own code, differentiable, in the layout of `x`."""
        return self._leave(self._soft(self._enter(x)))

    def decode(self, codes: Tensor) -> Tensor:
        """Return the middles of the codes' levels as images, in the layout and range of the input.

        Args:
            codes: What `forward` returns.
        """
        inside = codes if self.channels_first else codes.movedim(-1, 1)
        return self._leave(self.code.decode(inside) * self.upper)

    def _enter(self, x: Tensor) -> Tensor:
        images = as_float_images(x, 1.0 if x.dtype == torch.uint8 else self.upper)
        if self.upper != 1 and x.dtype != torch.uint8:
            images = images / self.upper
        return images if self.channels_first else images.movedim(-1, 1)

    def _leave(self, images: Tensor) -> Tensor:
        return images if self.channels_first else images.movedim(1, -1)

    def _chunk(self, images: Tensor) -> int:
        """Images at once such that four copies of their codes fit the budget."""
        numbers = max(1, images[0].numel()) * (self.code.n_levels + 4) if len(images) else 1
        return max(1, _MEMORY_BYTES // (4 * 4 * numbers))

    def _hard(self, images: Tensor) -> Tensor:
        parts = [self.code.hard(part) for part in images.split(self._chunk(images))]
        # even of one part torch makes a copy
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _soft(self, images: Tensor) -> Tensor:
        return self.code.soft(images, self.surrogate)


class Thermometer(ReshapingPreprocessor, SurrogatePreprocessor):
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
    known = f"{WORDS}, ramp[:WIDTH] or a callable"

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
        levels = self.n_levels
        whole = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
        if not whole or not 2 <= levels <= 256:
            msg = f"n_levels must be a whole number from 2 to 256, got {levels!r}"
            raise InputError(msg)
        if self.encoding not in ENCODINGS:
            msg = f"encoding must be one of {', '.join(ENCODINGS)}, got {self.encoding!r}"
            raise InputError(msg)
        super()._check_params()

    @classmethod
    def as_own(cls, surrogate: Any) -> Surrogate:
        """Return a surrogate of level codes from an object, a callable or a word.

        Raises:
            InputError: None of level codes'.
        """
        found = super().as_own(surrogate)
        check_level_surrogate(found)
        return found

    def _make_map(self) -> LevelMap:
        return LevelMap(
            LevelCode(int(self.n_levels), self.encoding == "one_hot"),
            self.surrogate,
            channels_first=self.channels_first,
            upper=self.clip_values[1],
        )

    @property
    def map(self) -> LevelMap:
        """The torch module that does the work."""
        return cast("LevelMap", super().map)

    def encoded_shape(self, input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return (c * L, h, w), or (h, w, c * L) where not `channels_first`."""
        a, b, c = (int(size) for size in input_shape)
        levels = int(self.n_levels)
        return (a * levels, b, c) if self.channels_first else (a, b, c * levels)

    def decode(self, codes: NDArray[Any]) -> Float32Array:
        """Return images whose channels are the middles of their levels.

        Args:
            codes: What this defence makes of images.

        Returns:
            float32 images in the layout and range of this defence.
        """
        images = self.map.decode(torch.as_tensor(np.asarray(codes, dtype=np.float32)))
        return np.ascontiguousarray(images.numpy())

    def estimate_forward(self, x: Tensor, y: Any = None) -> Tensor:  # noqa: ARG002 - ART's signature
        """Return the surrogate's code, which ART's NumPy path differentiates."""
        return self.map.soft(x)

    def describe(self) -> str:
        """Return one readable line: how a surrogate differentiates it is no part of a defence."""
        return f"Thermometer(n_levels={self.n_levels}, encoding={self.encoding!r})"
