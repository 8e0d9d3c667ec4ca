"""ART preprocessors: discretisation with a surrogate gradient, those that draw, and baselines."""

from art_disc.defences.discretization import (
    CodebookMap,
    CodebookPreprocessor,
    ColorDepthReduction,
    InputBitDepth,
    PixelDiscretization,
)
from art_disc.defences.draws import Draws, RandomMap, RandomPreprocessor
from art_disc.defences.given import as_defences
from art_disc.defences.jpeg import JpegCompression
from art_disc.defences.jpeg_model import DctModel
from art_disc.defences.lqvae import LQVAEFilter
from art_disc.defences.lqvae_map import LatentIdentity, SoftCode, Tent
from art_disc.defences.noise import GaussianNoise
from art_disc.defences.pooling import BilinearResize, MaxPoolDownsample
from art_disc.defences.preprocessor import MapPreprocessor, SurrogatePreprocessor, is_ours
from art_disc.defences.randdisc import RandDisc, RandMix
from art_disc.defences.randdisc_base import ClusterPreprocessor
from art_disc.defences.randdisc_map import Mixture
from art_disc.defences.resize_pad import ResizePad
from art_disc.defences.straight_through import StraightThrough
from art_disc.defences.table import DEFENCES, codebook_files, parse_defence, parse_defences
from art_disc.defences.thermometer import Thermometer
from art_disc.defences.total_variation import TotalVariation, Unrolled
from art_disc.defences.traits import PixelNoise, Traits, traits

__all__ = [
    "DEFENCES",
    "BilinearResize",
    "ClusterPreprocessor",
    "CodebookMap",
    "CodebookPreprocessor",
    "ColorDepthReduction",
    "DctModel",
    "Draws",
    "GaussianNoise",
    "InputBitDepth",
    "JpegCompression",
    "LQVAEFilter",
    "LatentIdentity",
    "MapPreprocessor",
    "MaxPoolDownsample",
    "Mixture",
    "PixelDiscretization",
    "PixelNoise",
    "RandDisc",
    "RandMix",
    "RandomMap",
    "RandomPreprocessor",
    "ResizePad",
    "SoftCode",
    "StraightThrough",
    "SurrogatePreprocessor",
    "Tent",
    "Thermometer",
    "TotalVariation",
    "Traits",
    "Unrolled",
    "as_defences",
    "codebook_files",
    "is_ours",
    "parse_defence",
    "parse_defences",
    "traits",
]
