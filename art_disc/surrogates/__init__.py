"""The exact step forward, a chosen gradient backward."""

from art_disc.surrogates.pixels import Surrogate, channels_255
from art_disc.surrogates.smoothed import SmoothedStep
from art_disc.surrogates.step import HardStep, straight_through
from art_disc.surrogates.surrogates import (
    Custom,
    Identity,
    SoftAssignment,
    SurrogateLike,
    as_surrogate,
)

__all__ = [
    "Custom",
    "HardStep",
    "Identity",
    "SmoothedStep",
    "SoftAssignment",
    "Surrogate",
    "SurrogateLike",
    "as_surrogate",
    "channels_255",
    "straight_through",
]
