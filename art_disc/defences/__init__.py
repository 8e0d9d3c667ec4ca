"""ART preprocessors that discretise, exact forward and with a surrogate gradient backward."""

from art_disc.defences.codebook_map import CodebookMap
from art_disc.defences.discretization import (
    ColorDepthReduction,
    InputBitDepth,
    PixelDiscretization,
)
from art_disc.defences.table import DEFENCES, parse_defence

__all__ = [
    "DEFENCES",
    "CodebookMap",
    "ColorDepthReduction",
    "InputBitDepth",
    "PixelDiscretization",
    "parse_defence",
]
