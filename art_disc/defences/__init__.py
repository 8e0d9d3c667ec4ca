"""ART preprocessors: discretisation with a surrogate gradient, and noise with its own stream."""

from art_disc.defences.codebook_map import CodebookMap
from art_disc.defences.discretization import (
    ColorDepthReduction,
    InputBitDepth,
    PixelDiscretization,
)
from art_disc.defences.draws import Draws, RandomMap
from art_disc.defences.noise import GaussianNoise, RandomPreprocessor
from art_disc.defences.preprocessor import (
    CodebookPreprocessor,
    MapPreprocessor,
    SurrogatePreprocessor,
)
from art_disc.defences.straight_through import StraightThrough
from art_disc.defences.table import DEFENCES, parse_defence
from art_disc.defences.thermometer import Thermometer

__all__ = [
    "DEFENCES",
    "CodebookMap",
    "CodebookPreprocessor",
    "ColorDepthReduction",
    "Draws",
    "GaussianNoise",
    "InputBitDepth",
    "MapPreprocessor",
    "PixelDiscretization",
    "RandomMap",
    "RandomPreprocessor",
    "StraightThrough",
    "SurrogatePreprocessor",
    "Thermometer",
    "parse_defence",
]
