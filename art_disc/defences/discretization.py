"""Pixel discretisation by a codebook, colour-depth reduction and input bit depth."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import Tensor

from art_disc.codebooks import BitDepthCodebook, Codebook, UniformCodebook
from art_disc.core.checks import Float32Array, check_images
from art_disc.core.errors import InputError
from art_disc.core.layouts import check_channels
from art_disc.defences.images import StepMap
from art_disc.defences.preprocessor import SurrogatePreprocessor
from art_disc.surrogates import (
    CODEWORDS,
    PixelSurrogate,
    Surrogate,
    SurrogateLike,
    channels_255,
    from_channels,
    soft_spread,
)

# codewords go through float32 on [0, 1] and back
_ROUNDING = 1e-6


class CodebookMap(StepMap):
    """Nearest codeword forward, bit for bit; the surrogate's gradient backward.

    A pixel with NaN stays NaN, and what lies outside the range gets the nearest codeword too. The
    codebook is a sealed one.
    """

    def __init__(self, codebook: Codebook, surrogate: PixelSurrogate, **options: Any) -> None:
        # the search holds little beside the pixels, their indices and their codewords
        super().__init__(4 * (codebook.n_codes_ + 4), exact_copies=8, **options)
        self.codebook = codebook
        self.surrogate = surrogate

    def enter(self, x: Tensor) -> Tensor:
        """As `StepMap.enter`; refuse another channel count than the codebook's too."""
        if x.ndim == 4:
            shape = tuple(x.shape[1:])
            check_channels(self.codebook.check_channels, shape, channels_first=self.channels_first)
        return super().enter(x)

    def exact(self, images: Tensor) -> Tensor:
        """Return images of codewords."""
        book = self.codebook
        few: Tensor | None = book.search.replaced(images, torch) if book.n_channels_ == 1 else None
        if few is not None:
            return few
        pixel = channels_255(images, book)
        index = book.search.find(pixel, torch)
        flat, columns = index.flatten(), torch.tensor(book.codewords_.T, device=images.device)
        chosen = [column.index_select(0, flat).view_as(index) for column in columns]
        codes = from_channels(chosen, book)
        if not images.sum().isfinite():
            # some may be NaN
            lost = images.isnan()
            lost = lost if book.per_channel else lost.any(dim=1, keepdim=True)
            codes = codes.masked_fill(lost, torch.nan)
        return codes

    def stand_in(self, images: Tensor) -> Tensor:
        """Return the surrogate's own value."""
        return self.surrogate(images, self.codebook)


class CodebookPreprocessor(SurrogatePreprocessor):
    """A codebook defence: the exact map in `forward`, its surrogate's gradient through autograd.

    Args:
        codebook: Fitted, or learned by `fit`; once it has codewords a sealed copy is kept.
        surrogate: See `PixelDiscretization`.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: No codebook, or no surrogate of codewords.
    """

    params = ("codebook", *SurrogatePreprocessor.params)
    vocabulary = CODEWORDS
    codebook: Codebook

    def __init__(
        self, codebook: Codebook, surrogate: SurrogateLike = "soft", **options: Any
    ) -> None:
        self.codebook = codebook
        super().__init__(surrogate, **options)

    def _check_params(self) -> None:
        if not isinstance(self.codebook, Codebook):
            msg = f"codebook must be a Codebook, got {type(self.codebook).__name__}"
            raise InputError(msg)
        if self.codebook.is_fitted:
            self.codebook = self.codebook.sealed()
        super()._check_params()

    def _make_map(self) -> CodebookMap | None:
        if not self.codebook.is_fitted:
            return None
        return CodebookMap(self.codebook, self.surrogate, **self._layout())

    @property
    def is_fitted(self) -> bool:
        """Whether the codebook has codewords."""
        return bool(self.codebook.is_fitted)

    def learn(self, x: Float32Array) -> None:
        """Learn the codebook from training images (n, c, h, w) in [0, 1].

        Raises:
            SealedError: It is that of a classifier.
        """
        self.check_unsealed("fitted again")
        book = self.codebook
        self.set_params(codebook=(clone(book) if book.is_sealed else book).fit(x))

    def check_channels(self, channels: int) -> None:
        """Refuse pixels of another number of channels than the codewords'."""
        self.codebook.check_channels(channels)

    def fit(self, x: Any, y: Any = None, **_: Any) -> Self:  # noqa: ARG002 - ART's signature
        """Learn the codebook from training images in the layout and range of this defence.

        Raises:
            InputError: `x` is no such batch.
        """
        images = check_images(x, upper=self.clip_values[1]) / self.clip_values[1]
        self.learn(images if self.channels_first else np.moveaxis(images, -1, 1))
        return self

    def spread(self) -> tuple[Surrogate, ...]:
        """Return those of `soft_spread`."""
        return soft_spread(self.surrogate)

    def impossible(self, made: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for each image whether it holds a pixel that is no codeword."""
        unit = made / np.float32(self.clip_values[1])
        pixels = np.moveaxis(unit, 1, -1) if self.channels_first else unit
        away = np.full(1, np.inf)
        for code in self.codebook.codewords_:
            far = np.abs(pixels - code)
            away = np.minimum(away, far if self.codebook.per_channel else far.max(axis=-1))
        return np.asarray((away > _ROUNDING).reshape(len(made), -1).any(axis=1))

    def identity(self) -> Any:
        """Return the codewords: however they were found, the map is theirs."""
        return self.codebook.codewords_.tolist()

    def facts(self) -> list[Any]:
        """Return what decides a training behind it, the codewords among that."""
        codes = [[float(level) for level in code] for code in self.codebook.levels]
        return [f"{type(self).__name__}({self._how()})", self.surrogate.name, codes]

    def _how(self) -> str:
        """Return the codebook's class with every hyperparameter."""
        # of a generator there is nothing to say but where it is in memory
        words = ", ".join(
            # NumPy's numbers say of what type they are, which decides nothing
            f"{name}={(value.item() if isinstance(value, np.generic) else value)!r}"
            for name, value in self.codebook.get_params().items()
            if not (name == "codewords" or value is None or isinstance(value, np.random.Generator))
        )
        return f"{type(self.codebook).__name__}({words})"

    def describe(self) -> str:
        """Return one readable line: the defence, and its codebook with every hyperparameter.

        Of codewords that are there their number k and fingerprint, and the file that they are from.
        """
        book, words = self.codebook, [self._how()]
        if book.is_fitted:
            words += [f"k={book.n_codes_}", f"codewords={book.fingerprint!r}"]
        if book.file_:
            words.append(f"file={book.file_!r}")
        return f"{type(self).__name__}({', '.join(words)})"


class PixelDiscretization(CodebookPreprocessor):
    """Replace every pixel by its nearest codeword.

    Args:
        codebook: Fitted, or learned by `fit` from training images.
        surrogate: Backward pass: a surrogate, a name (`soft`, `soft:25.5`, `identity`) or a
            callable on images in [0, 1].
        **options: Keyword options of `MapPreprocessor`.

    Source: Chen et al. 2018, section 4.1, T; Chen et al. 2019.
    """


class ColorDepthReduction(CodebookPreprocessor):
    """Round each channel to the nearest of k equally spaced values i/(k-1).

    Args:
        n_codes: Bins k, 2 to 256.
        surrogate: Backward pass, as for `PixelDiscretization`.
        **options: Keyword options of `PixelDiscretization`.

    Source: Chen et al. 2019, section on uniform discretisation.
    """

    shorthands = ("n_codes",)
    set_later = ("codebook",)

    def __init__(self, n_codes: int = 8, surrogate: SurrogateLike = "soft", **options: Any) -> None:
        super().__init__(UniformCodebook(n_codes), surrogate, **options)

    @property
    def n_codes(self) -> int:
        """Bins k; setting it sets the codebook of so many."""
        return self.codebook.n_codes_

    @n_codes.setter
    def n_codes(self, n_codes: int) -> None:
        self.codebook = UniformCodebook(n_codes)


class InputBitDepth(CodebookPreprocessor):
    """Keep the first bits of each channel, at the centre of their cell.

    Args:
        bits: 1 to 8; 8 is not the identity, it adds half a grey level.
        centred: Keep the mean of the cell's grey levels in its place: see `BitDepthCodebook`.
        surrogate: Backward pass, as for `PixelDiscretization`.
        **options: Keyword options of `PixelDiscretization`.

    Source: Panda et al. 2019, eq. (2).
    """

    shorthands = ("bits", "centred")
    set_later = ("codebook",)

    def __init__(
        self,
        bits: int = 2,
        surrogate: SurrogateLike = "identity",
        centred: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(BitDepthCodebook(bits, centred), surrogate, **options)

    @property
    def bits(self) -> int:
        """Bits kept; setting it sets the codebook of so many."""
        return self.codebook.n_codes_.bit_length() - 1

    @bits.setter
    def bits(self, bits: int) -> None:
        self.codebook = BitDepthCodebook(bits, self.centred)

    @property
    def centred(self) -> bool:
        """Whether codewords are the mean of the cell's grey levels; setting it moves them there."""
        return bool(getattr(self.codebook, "centred", False))

    @centred.setter
    def centred(self, centred: bool) -> None:
        self.codebook = BitDepthCodebook(self.bits, centred)
