"""Somebody else's preprocessor, differentiated as if it were not there."""

from typing import Any

from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from art_disc.core.errors import InputError
from art_disc.defences.traits import Foreign
from art_disc.surrogates import straight_through


class StraightThrough(Foreign, PreprocessorPyTorch):
    """The exact value of another torch preprocessor's `forward`; the identity's gradient.

    So a hard preprocessor of any origin can be attacked by BPDA with the identity.

    Args:
        preprocessor: An ART torch preprocessor that keeps the images' shape.

    Raises:
        InputError: `preprocessor` is none of ART's torch kind.

    Source: Athalye, Carlini, Wagner 2018, section 4.1 (BPDA).
    """

    def __init__(self, preprocessor: PreprocessorPyTorch) -> None:
        if not isinstance(preprocessor, PreprocessorPyTorch):
            msg = f"expected an ART PreprocessorPyTorch, got {type(preprocessor).__name__}"
            raise InputError(msg)
        PreprocessorPyTorch.__init__(
            self,
            device_type=preprocessor.device.type if preprocessor.device.type == "cpu" else "gpu",
            is_fitted=preprocessor.is_fitted,
            apply_fit=preprocessor.apply_fit,
            apply_predict=preprocessor.apply_predict,
        )
        self.preprocessor = preprocessor

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Return what the preprocessor returns, bit for bit; refuse one that changes the shape."""
        kept: dict[str, Any] = {}

        def hard(images: Tensor) -> Tensor:
            value: Tensor
            value, kept["y"] = self.preprocessor.forward(images, y)
            kept["dtype"] = value.dtype
            if value.shape != images.shape:
                name = type(self.preprocessor).__name__
                msg = (
                    f"{name} makes {tuple(value.shape)} of {tuple(images.shape)}; the identity "
                    "gradient needs a preprocessor that keeps the shape"
                )
                raise InputError(msg)
            return value

        def identity(images: Tensor) -> Tensor:
            return images.clone().to(kept["dtype"])

        return straight_through(x, hard, identity, max(1, len(x))), kept["y"]

    def estimate_forward(self, x: Tensor, y: Any = None) -> Tensor:  # noqa: ARG002 - ART's signature
        """Return a copy of `x`: the identity, which ART's NumPy path differentiates."""
        return x.clone()

    def describe(self) -> str:
        """Return one readable line."""
        return f"StraightThrough({type(self.preprocessor).__name__})"
