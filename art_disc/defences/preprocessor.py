"""What every codebook defence has in common as an ART preprocessor."""

import copy
from typing import Any, Self

from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError, NotFittedError
from art_disc.defences.codebook_map import CodebookMap
from art_disc.surrogates import SurrogateLike, as_surrogate

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


class CodebookPreprocessor(PreprocessorPyTorch):
    """A codebook defence: the exact map in `forward`, its surrogate's gradient through autograd.

    ART differentiates `forward` of torch preprocessors and calls `estimate_forward` in its NumPy
    path only, so both lead to the same gradient.
    """

    params = (
        "codebook",
        "surrogate",
        "channels_first",
        "clip_values",
        "apply_fit",
        "apply_predict",
    )

    def __init__(  # noqa: PLR0913 - ART's own options
        self,
        codebook: Codebook,
        surrogate: SurrogateLike,
        *,
        channels_first: bool = True,
        clip_values: ClipValues = (0.0, 1.0),
        apply_fit: bool = False,
        apply_predict: bool = True,
        device_type: str = "cpu",
    ) -> None:
        super().__init__(
            device_type=device_type,
            is_fitted=getattr(codebook, "is_fitted", False),
            apply_fit=apply_fit,
            apply_predict=apply_predict,
        )
        self.codebook = codebook
        self.surrogate = as_surrogate(surrogate)
        self.channels_first = channels_first
        self.clip_values = clip_values
        self._check_params()

    def _check_params(self) -> None:
        """Check the attributes and make the map anew; ART calls this after `set_params`."""
        if not isinstance(self.codebook, Codebook):
            msg = f"codebook must be a Codebook, got {type(self.codebook).__name__}"
            raise InputError(msg)
        self.clip_values = check_clip_values(self.clip_values)
        self.surrogate = as_surrogate(self.surrogate)
        self._map = self._make_map() if self.codebook.is_fitted else None

    def _make_map(self) -> CodebookMap:
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
        if self._map is None:
            msg = f"{type(self).__name__} needs a fitted codebook; call fit(x_train) first"
            raise NotFittedError(msg)
        return self._map

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
        self._is_fitted = True
        self._check_params()
        return self

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Return images of codewords, float32, and `y` as it came.

        Args:
            x: Images (n, c, h, w), or (n, h, w, c), in the clip range or outside it; float or
                uint8.
            y: Labels.

        Raises:
            InputError: See `CodebookMap.forward`.
            NotFittedError: The codebook has no codewords yet.
        """
        return self.map(x), y

    def estimate_forward(self, x: Tensor, y: Any = None) -> Tensor:  # noqa: ARG002 - ART's signature
        """Return the surrogate's value, which ART's NumPy path differentiates."""
        return self.map.soft(x)

    def with_surrogate(self, surrogate: SurrogateLike) -> Self:
        """Return the same defence with another backward pass."""
        return self._changed(surrogate=surrogate)

    def with_layout(self, *, channels_first: bool, clip_values: ClipValues) -> Self:
        """Return the same defence for another layout and input range."""
        return self._changed(channels_first=channels_first, clip_values=clip_values)

    def _changed(self, **params: Any) -> Self:
        twin = copy.copy(self)
        twin.set_params(**params)
        return twin

    def describe(self) -> str:
        """Return one readable line: the defence and its codebook with every hyperparameter."""
        book = self.codebook
        words = ", ".join(
            f"{name}={value!r}"
            for name, value in book.get_params().items()
            if name != "codewords" and value is not None
        )
        return f"{type(self).__name__}({type(book).__name__}({words}))"
