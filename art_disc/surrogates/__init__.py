"""The exact step forward, a chosen gradient backward."""

from art_disc.surrogates.step import HardStep, straight_through
from art_disc.surrogates.surrogates import (
    Custom,
    Identity,
    SoftAssignment,
    Surrogate,
    SurrogateLike,
    as_surrogate,
    channels_255,
)

__all__ = [
    "Custom",
    "HardStep",
    "Identity",
    "SoftAssignment",
    "Surrogate",
    "SurrogateLike",
    "as_surrogate",
    "channels_255",
    "straight_through",
]
