"""Certificates: which codewords a budget reaches, and how hard a data set is to defend by them."""

from art_disc.metrics.certificate import Certificate
from art_disc.metrics.certifying import certified_accuracy, certify, check_certifiable
from art_disc.metrics.equivalence import EquivalenceClasses, equivalence_classes
from art_disc.metrics.generalisation import (
    GeneralisationGap,
    RobustnessHistory,
    generalisation_gap,
)
from art_disc.metrics.limits import printed_proposition2_limit
from art_disc.metrics.neighbourhoods import NeighbourhoodSizes, neighbourhood_sizes
from art_disc.metrics.reachability import free_pixels, log2_images, reachable_codes
from art_disc.metrics.separability import Separability, separability
from art_disc.metrics.target import codebook_of
from art_disc.metrics.theory import code_distance, simulate_lemma1, simulate_proposition1

__all__ = [
    "Certificate",
    "EquivalenceClasses",
    "GeneralisationGap",
    "NeighbourhoodSizes",
    "RobustnessHistory",
    "Separability",
    "certified_accuracy",
    "certify",
    "check_certifiable",
    "code_distance",
    "codebook_of",
    "equivalence_classes",
    "free_pixels",
    "generalisation_gap",
    "log2_images",
    "neighbourhood_sizes",
    "printed_proposition2_limit",
    "reachable_codes",
    "separability",
    "simulate_lemma1",
    "simulate_proposition1",
]
