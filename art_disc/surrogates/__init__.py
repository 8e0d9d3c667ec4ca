"""The exact step forward, a chosen gradient backward."""

from art_disc.surrogates.levels import LevelCode, LevelSurrogate
from art_disc.surrogates.pixels import PixelSurrogate, Surrogate, channels_255, from_channels
from art_disc.surrogates.smoothed import Ramp, SmoothedStep
from art_disc.surrogates.step import straight_through
from art_disc.surrogates.surrogates import (
    Custom,
    Identity,
    SoftAssignment,
    SurrogateLike,
    soft_spread,
)
from art_disc.surrogates.vocabulary import CODEWORDS, LEVELS, NO_SURROGATE, Vocabulary

__all__ = [
    "CODEWORDS",
    "LEVELS",
    "NO_SURROGATE",
    "Custom",
    "Identity",
    "LevelCode",
    "LevelSurrogate",
    "PixelSurrogate",
    "Ramp",
    "SmoothedStep",
    "SoftAssignment",
    "Surrogate",
    "SurrogateLike",
    "Vocabulary",
    "channels_255",
    "from_channels",
    "soft_spread",
    "straight_through",
]
