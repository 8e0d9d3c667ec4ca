"""The exact step forward, a chosen gradient backward."""

from art_disc.surrogates.levels import LevelCode, check_level_surrogate
from art_disc.surrogates.pixels import Surrogate, channels_255
from art_disc.surrogates.ramp import Ramp
from art_disc.surrogates.smoothed import SmoothedStep
from art_disc.surrogates.step import HardStep, straight_through
from art_disc.surrogates.surrogates import (
    WORDS,
    Custom,
    Identity,
    SoftAssignment,
    SurrogateLike,
    as_surrogate,
)

__all__ = [
    "WORDS",
    "Custom",
    "HardStep",
    "Identity",
    "LevelCode",
    "Ramp",
    "SmoothedStep",
    "SoftAssignment",
    "Surrogate",
    "SurrogateLike",
    "as_surrogate",
    "channels_255",
    "check_level_surrogate",
    "straight_through",
]
