"""What every defence that is a torch map has in common as an ART preprocessor."""

import copy
from abc import abstractmethod
from typing import Any, ClassVar, Self, cast

from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor, nn

from art_disc.codebooks import Codebook
from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError, NotFittedError
from art_disc.defences.codebook_map import CodebookMap
from art_disc.surrogates import WORDS, Ramp, Surrogate, SurrogateLike, as_surrogate

ClipValues = tuple[float, float]


def check_clip_values(clip_values: Any) -> ClipValues:
    """Return (0, 1) or (0, 255) as floats.

    Raises:
        InputError: Any other range.
    """
    try:
        low, high = (float(value) for value in clip_values)
    except (TypeError, ValueError):
        low, high = -1.0, -1.0
    if (low, high) not in ((0.0, 1.0), (0.0, 255.0)):
        msg = (
            f"clip_values must be (0, 1) or (0, 255), got {clip_values!r}; put another "
            "normalisation between defence and network with preprocessing=(mean, std)"
        )
        raise InputError(msg)
    return low, high


class MapPreprocessor(PreprocessorPyTorch):
    """A defence that is one torch module, its gradient the one that autograd finds there.

    ART differentiates `forward` of torch preprocessors and calls `estimate_forward` in its NumPy
    path only, so both must lead to the same gradient. A subclass sets its own attributes first,
    then calls this constructor, which checks them and makes the map.

    Args:
        channels_first: Images are (n, c, h, w); otherwise (n, h, w, c).
        clip_values: Input range, (0, 1) or (0, 255).
        apply_fit: Applied in ART's `fit` too.
        apply_predict: Applied in ART's `predict` and gradients.
        device_type: Where ART's NumPy path runs, `cpu` or `gpu`.
    """

    params: ClassVar[tuple[str, ...]] = (
        "channels_first",
        "clip_values",
        "apply_fit",
        "apply_predict",
    )
    # the surrogates that it takes, in words
    known: ClassVar[str] = "none"

    def __init__(
        self,
        *,
        channels_first: bool = True,
        clip_values: ClipValues = (0.0, 1.0),
        apply_fit: bool = False,
        apply_predict: bool = True,
        device_type: str = "cpu",
    ) -> None:
        super().__init__(
            device_type=device_type,
            is_fitted=True,
            apply_fit=apply_fit,
            apply_predict=apply_predict,
        )
        self.channels_first = channels_first
        self.clip_values = clip_values
        self._map: nn.Module | None = None
        self._check_params()

    def _check_params(self) -> None:
        """Check the attributes and make the map anew; ART calls this after `set_params`."""
        self.clip_values = check_clip_values(self.clip_values)
        self._map = self._make_map()

    @abstractmethod
    def _make_map(self) -> nn.Module | None:
        """Return the torch module of the present attributes, or None before `fit`."""

    @property
    def map(self) -> nn.Module:
        """The torch module that does the work.

        Raises:
            NotFittedError: The defence has not learned yet what it has to learn.
        """
        if self._map is None:
            # what it rests on may have been fitted by itself meanwhile
            self._map = self._make_map()
        if self._map is None:
            msg = f"{type(self).__name__} is not fitted; call fit(x_train) first"
            raise NotFittedError(msg)
        return self._map

    @property
    def is_random(self) -> bool:
        """Whether two calls on the same images may give different ones."""
        return False

    def learn(self, x: Float32Array) -> None:
        """Learn from training images (n, c, h, w) in [0, 1] what there is to learn."""

    def check_channels(self, channels: int) -> None:
        """Refuse images of another number of channels, where that matters.

        Raises:
            InputError: The defence is made for another number.
        """

    def encoded_shape(self, input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape that images of `input_shape`, without the batch axis, leave with."""
        return input_shape

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Return the defended images, float32, and `y` as it came.

        Args:
            x: Images (n, c, h, w), or (n, h, w, c), in the clip range or outside it; float or
                uint8.
            y: Labels.

        Raises:
            InputError: No such batch of images.
            NotFittedError: There is something to learn first.
        """
        return self.map(x), y

    @classmethod
    def as_own(cls, surrogate: Any) -> Surrogate:
        """Return a surrogate of this defence from an object or a word.

        Raises:
            InputError: None of this defence's.
        """
        msg = f"{cls.__name__} has no surrogate, got {surrogate!r}"
        raise InputError(msg)

    @classmethod
    def meant(cls, surrogate: Any) -> Surrogate | None:
        """Return what an object or a word means to this defence; None where it says nothing."""
        try:
            return cls.as_own(surrogate)
        except InputError:
            return None

    def with_surrogate(self, surrogate: SurrogateLike) -> Self:  # noqa: ARG002 - for subclasses
        """Return the same defence with another backward pass; itself if it has no surrogate."""
        return self

    def with_layout(self, *, channels_first: bool, clip_values: ClipValues) -> Self:
        """Return the same defence for another layout and input range."""
        return self._changed(channels_first=channels_first, clip_values=clip_values)

    def _changed(self, **params: Any) -> Self:
        twin = copy.copy(self)
        twin.set_params(**params)
        return twin

    def describe(self) -> str:
        """Return one readable line: the defence with every hyperparameter."""
        left_out = MapPreprocessor.params
        words = ", ".join(f"{k}={getattr(self, k)!r}" for k in self.params if k not in left_out)
        return f"{type(self).__name__}({words})"


class SurrogatePreprocessor(MapPreprocessor):
    """A defence whose map is exact in `forward` and differentiated by an exchangeable surrogate.

    Args:
        surrogate: See `PixelDiscretization`.
        **options: Keyword options of `MapPreprocessor`.
    """

    params = ("surrogate", *MapPreprocessor.params)
    known = f"{WORDS} or a callable"

    def __init__(self, surrogate: SurrogateLike, **options: Any) -> None:
        self.surrogate: Surrogate = self.as_own(surrogate)
        super().__init__(**options)

    def _check_params(self) -> None:
        self.surrogate = self.as_own(self.surrogate)
        super()._check_params()

    @classmethod
    def as_own(cls, surrogate: Any) -> Surrogate:
        """Return a surrogate of this defence from an object, a callable or a word.

        Raises:
            InputError: None of this defence's.
        """
        return as_surrogate(surrogate)

    def with_surrogate(self, surrogate: SurrogateLike) -> Self:
        """Return the same defence with another backward pass."""
        return self._changed(surrogate=surrogate)


class CodebookPreprocessor(SurrogatePreprocessor):
    """A codebook defence: the exact map in `forward`, its surrogate's gradient through autograd.

    Args:
        codebook: Fitted, or learned by `fit`.
        surrogate: See `PixelDiscretization`.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: No codebook, or a surrogate of level codes.
    """

    params = ("codebook", *SurrogatePreprocessor.params)

    def __init__(self, codebook: Codebook, surrogate: SurrogateLike, **options: Any) -> None:
        self.codebook = codebook
        super().__init__(surrogate, **options)

    def _check_params(self) -> None:
        if not isinstance(self.codebook, Codebook):
            msg = f"codebook must be a Codebook, got {type(self.codebook).__name__}"
            raise InputError(msg)
        super()._check_params()

    @classmethod
    def as_own(cls, surrogate: Any) -> Surrogate:
        """Return a surrogate of a codebook from an object, a callable or a word.

        Raises:
            InputError: None of a codebook's.
        """
        found = super().as_own(surrogate)
        if isinstance(found, Ramp):
            msg = (
                "ramp is for the bits of level codes; for a codebook take smooth, soft or identity"
            )
            raise InputError(msg)
        return found

    def _make_map(self) -> CodebookMap | None:
        if not self.codebook.is_fitted:
            return None
        return CodebookMap(
            self.codebook,
            self.surrogate,
            channels_first=self.channels_first,
            upper=self.clip_values[1],
        )

    @property
    def map(self) -> CodebookMap:
        """The torch module that does the work.

        Raises:
            NotFittedError: The codebook has no codewords yet.
        """
        return cast("CodebookMap", super().map)

    @property
    def is_fitted(self) -> bool:
        """Whether the codebook has codewords."""
        return bool(self.codebook.is_fitted)

    def learn(self, x: Float32Array) -> None:
        """Learn the codebook from training images (n, c, h, w) in [0, 1]."""
        self.codebook.fit(x)
        self._check_params()

    def check_channels(self, channels: int) -> None:
        """Refuse pixels of another number of channels than the codewords'.

        Raises:
            InputError: The codebook is for another number.
        """
        self.codebook.check_channels(channels)

    def fit(self, x: Any, y: Any = None, **_: Any) -> Self:  # noqa: ARG002 - ART's signature
        """Learn the codebook.

        Args:
            x: Training images in the layout and range of this defence.
            y: Ignored.

        Raises:
            InputError: `x` is no such batch.
        """
        from art_disc.codebooks import PixelCounts
        from art_disc.core.checks import check_images

        images = check_images(x, upper=self.clip_values[1]) / self.clip_values[1]
        self.codebook.fit(PixelCounts.of(images, channels_first=self.channels_first))
        self._check_params()
        return self

    def estimate_forward(self, x: Tensor, y: Any = None) -> Tensor:  # noqa: ARG002 - ART's signature
        """Return the surrogate's value, which ART's NumPy path differentiates."""
        return self.map.soft(x)

    def describe(self) -> str:
        """Return one readable line: the defence and its codebook with every hyperparameter."""
        book = self.codebook
        words = ", ".join(
            f"{name}={value!r}"
            for name, value in book.get_params().items()
            if name != "codewords" and value is not None
        )
        return f"{type(self).__name__}({type(book).__name__}({words}))"
