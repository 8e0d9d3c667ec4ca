"""Certificates: which codewords a budget reaches, and how hard a data set is to defend by them."""

from art_disc.core.divergence_record import CertifiedCurve, DivergenceRecord
from art_disc.metrics.certificate import Certificate
from art_disc.metrics.certifying import certified_accuracy, certify, check_certifiable
from art_disc.metrics.equivalence import EquivalenceClasses, equivalence_classes
from art_disc.metrics.generalisation import (
    GeneralisationGap,
    RobustnessHistory,
    generalisation_gap,
)
from art_disc.metrics.gradient_agreement import gradient_agreement
from art_disc.metrics.kl_cells import codeword_divergence
from art_disc.metrics.kl_centres import centre_term, proposition1_kl, vacuous_from
from art_disc.metrics.kl_certifying import kl_certify
from art_disc.metrics.kl_colour_cells import colour_divergence
from art_disc.metrics.kl_colour_model import ColourCodesModel
from art_disc.metrics.kl_curve import certified_accuracy_curve
from art_disc.metrics.kl_finding import divergence_model
from art_disc.metrics.kl_gaussian import gaussian_kl, smoothing_radius
from art_disc.metrics.kl_invert import (
    binary_divergence,
    divergence_needed,
    highest_probability,
    lowest_probability,
    pinsker_needed,
)
from art_disc.metrics.kl_models import (
    AdaptiveModel,
    DivergenceModel,
    FixedCodesModel,
    GaussianModel,
    PooledModel,
)
from art_disc.metrics.kl_printed import printed_rule, reference_rule
from art_disc.metrics.kl_votes import votes_for_gap, votes_needed
from art_disc.metrics.limits import printed_proposition2_limit
from art_disc.metrics.neighbourhoods import NeighbourhoodSizes, neighbourhood_sizes
from art_disc.metrics.reachability import free_pixels, log2_images, reachable_codes
from art_disc.metrics.separability import Separability, separability
from art_disc.metrics.target import codebook_of
from art_disc.metrics.theory import code_distance, simulate_lemma1, simulate_proposition1

__all__ = [
    "AdaptiveModel",
    "Certificate",
    "CertifiedCurve",
    "ColourCodesModel",
    "DivergenceModel",
    "DivergenceRecord",
    "EquivalenceClasses",
    "FixedCodesModel",
    "GaussianModel",
    "GeneralisationGap",
    "NeighbourhoodSizes",
    "PooledModel",
    "RobustnessHistory",
    "Separability",
    "binary_divergence",
    "centre_term",
    "certified_accuracy",
    "certified_accuracy_curve",
    "certify",
    "check_certifiable",
    "code_distance",
    "codebook_of",
    "codeword_divergence",
    "colour_divergence",
    "divergence_model",
    "divergence_needed",
    "equivalence_classes",
    "free_pixels",
    "gaussian_kl",
    "generalisation_gap",
    "gradient_agreement",
    "highest_probability",
    "kl_certify",
    "log2_images",
    "lowest_probability",
    "neighbourhood_sizes",
    "pinsker_needed",
    "printed_proposition2_limit",
    "printed_rule",
    "proposition1_kl",
    "reachable_codes",
    "reference_rule",
    "separability",
    "simulate_lemma1",
    "simulate_proposition1",
    "smoothing_radius",
    "vacuous_from",
    "votes_for_gap",
    "votes_needed",
]
