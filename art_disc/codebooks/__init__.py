"""Codebooks: codewords in pixel space and the exact nearest-codeword rule."""

from art_disc.codebooks.codebook import Codebook
from art_disc.codebooks.counting import count_files
from art_disc.codebooks.counts import PixelCounts, channel_histograms
from art_disc.codebooks.density import DensityCodebook
from art_disc.codebooks.given import check_codebook
from art_disc.codebooks.kmeans import KMeansCodebook
from art_disc.codebooks.margin import MarginCodebook
from art_disc.codebooks.medoids import KMedoidsCodebook
from art_disc.codebooks.nearest import METRICS, distance, nearest
from art_disc.codebooks.uniform import BitDepthCodebook, UniformCodebook

__all__ = [
    "METRICS",
    "BitDepthCodebook",
    "Codebook",
    "DensityCodebook",
    "KMeansCodebook",
    "KMedoidsCodebook",
    "MarginCodebook",
    "PixelCounts",
    "UniformCodebook",
    "channel_histograms",
    "check_codebook",
    "count_files",
    "distance",
    "nearest",
]
