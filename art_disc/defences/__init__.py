"""ART preprocessors: discretisation with a surrogate gradient, and those that draw."""

from art_disc.defences.codebook_map import CodebookMap
from art_disc.defences.discretization import (
    ColorDepthReduction,
    InputBitDepth,
    PixelDiscretization,
)
from art_disc.defences.draws import Draws, RandomMap
from art_disc.defences.noise import GaussianNoise, RandomPreprocessor
from art_disc.defences.pooling import BilinearResize, MaxPoolDownsample
from art_disc.defences.preprocessor import (
    CodebookPreprocessor,
    MapPreprocessor,
    SurrogatePreprocessor,
)
from art_disc.defences.randdisc import RandDisc
from art_disc.defences.randdisc_base import PRESETS, ClusterPreprocessor
from art_disc.defences.randdisc_map import Mixture
from art_disc.defences.randmix import RandMix
from art_disc.defences.straight_through import StraightThrough
from art_disc.defences.table import DEFENCES, parse_defence
from art_disc.defences.thermometer import Thermometer

__all__ = [
    "DEFENCES",
    "PRESETS",
    "BilinearResize",
    "ClusterPreprocessor",
    "CodebookMap",
    "CodebookPreprocessor",
    "ColorDepthReduction",
    "Draws",
    "GaussianNoise",
    "InputBitDepth",
    "MapPreprocessor",
    "MaxPoolDownsample",
    "Mixture",
    "PixelDiscretization",
    "RandDisc",
    "RandMix",
    "RandomMap",
    "RandomPreprocessor",
    "StraightThrough",
    "SurrogatePreprocessor",
    "Thermometer",
    "parse_defence",
]
