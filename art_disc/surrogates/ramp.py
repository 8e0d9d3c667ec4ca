"""The published stand-in for a thermometer code."""

import math
from dataclasses import dataclass

from torch import Tensor

from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Ramp:
    """The published stand-in for a thermometer code: each bit rises along a straight line.

    Bit l, which is on above the border l / L, rises over the `width` below that border, so a pixel
    differentiates the next bit above it alone, and one in the highest level none at all: attack
    through another surrogate too.

    Args:
        width: Length > 0 of the rise on the [0, 1] scale; None: one level, 1 / L, as published.

    Raises:
        InputError: `width` is not a positive number.

    Source: Athalye, Carlini, Wagner 2018, section 5.1 (thermometer encoding); the place and width
    are those of their published code.
    """

    width: float | None = None

    def __post_init__(self) -> None:
        if self.width is not None and not (math.isfinite(self.width) and self.width > 0):
            msg = f"width must be a positive number (range of [0, 1]), got {self.width}"
            raise InputError(msg)

    @property
    def name(self) -> str:
        """`ramp`, with its width if one was given."""
        return "ramp" if self.width is None else f"ramp(width={self.width:g})"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:  # noqa: ARG002 - protocol
        """Refuse: a codeword has no bits.

        Raises:
            InputError: Always.
        """
        msg = (
            f"ramp is for the bits of level codes (Thermometer), got {type(codebook).__name__}"
            "; for a codebook take smooth, soft or identity"
        )
        raise InputError(msg)
