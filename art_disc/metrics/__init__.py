"""The public list of measures: what budgets reach, certificates, and how hard data are to defend.

Most are functions of a classifier or a codebook and images; their rooms are `codebox`,
`certificates` and `hardness`.
"""

from art_disc.certificates.certificate import Certificate
from art_disc.certificates.complete.exact import rounded_classifier
from art_disc.certificates.curve import CertificateCurve, CurveInterrupted, certificate_curve
from art_disc.certificates.divergence.cells import codeword_divergence
from art_disc.certificates.divergence.colour_images import colour_divergence
from art_disc.certificates.divergence.curve import certified_accuracy_curve
from art_disc.certificates.divergence.finding import divergence_model
from art_disc.certificates.divergence.front import kl_certify
from art_disc.certificates.divergence.gaussian import (
    centre_term,
    gaussian_kl,
    proposition1_kl,
    smoothing_radius,
    vacuous_from,
)
from art_disc.certificates.divergence.invert import (
    binary_divergence,
    divergence_needed,
    highest_probability,
    lowest_probability,
    pinsker_needed,
)
from art_disc.certificates.divergence.models import (
    AdaptiveModel,
    ColourCodesModel,
    DivergenceModel,
    FixedCodesModel,
    GaussianModel,
    PooledModel,
)
from art_disc.certificates.divergence.votes import votes_for_gap, votes_needed
from art_disc.certificates.front import certified_accuracy, certify, check_certifiable
from art_disc.certificates.latent import LatentCertificate, certify_codes
from art_disc.certificates.latent_bits import reachable_bits
from art_disc.certificates.printed import printed_proposition2_limit, printed_rule, reference_rule
from art_disc.certificates.solver.twin import integer_classifier
from art_disc.certificates.spend import Spend
from art_disc.certificates.target import codebook_of
from art_disc.codebox import free_pixels, log2_images, reachable_codes
from art_disc.core.records.certificate import CertifiedCurve, DivergenceRecord
from art_disc.hardness.equivalence import EquivalenceClasses, equivalence_classes
from art_disc.hardness.generalisation import (
    GeneralisationGap,
    RobustnessHistory,
    generalisation_gap,
)
from art_disc.hardness.neighbourhoods import NeighbourhoodSizes, neighbourhood_sizes
from art_disc.hardness.separability import Separability, separability
from art_disc.hardness.theory import code_distance, simulate_lemma1, simulate_proposition1
from art_disc.metrics.bit_flips import BitFlips, LatentPoints, bit_flips, latent_points
from art_disc.metrics.flip_theory import FlipChance, flip_chances
from art_disc.metrics.gradient_agreement import gradient_agreement

__all__ = [
    "AdaptiveModel",
    "BitFlips",
    "Certificate",
    "CertificateCurve",
    "CertifiedCurve",
    "ColourCodesModel",
    "CurveInterrupted",
    "DivergenceModel",
    "DivergenceRecord",
    "EquivalenceClasses",
    "FixedCodesModel",
    "FlipChance",
    "GaussianModel",
    "GeneralisationGap",
    "LatentCertificate",
    "LatentPoints",
    "NeighbourhoodSizes",
    "PooledModel",
    "RobustnessHistory",
    "Separability",
    "Spend",
    "binary_divergence",
    "bit_flips",
    "centre_term",
    "certificate_curve",
    "certified_accuracy",
    "certified_accuracy_curve",
    "certify",
    "certify_codes",
    "check_certifiable",
    "code_distance",
    "codebook_of",
    "codeword_divergence",
    "colour_divergence",
    "divergence_model",
    "divergence_needed",
    "equivalence_classes",
    "flip_chances",
    "free_pixels",
    "gaussian_kl",
    "generalisation_gap",
    "gradient_agreement",
    "highest_probability",
    "integer_classifier",
    "kl_certify",
    "latent_points",
    "log2_images",
    "lowest_probability",
    "neighbourhood_sizes",
    "pinsker_needed",
    "printed_proposition2_limit",
    "printed_rule",
    "proposition1_kl",
    "reachable_bits",
    "reachable_codes",
    "reference_rule",
    "rounded_classifier",
    "separability",
    "simulate_lemma1",
    "simulate_proposition1",
    "smoothing_radius",
    "vacuous_from",
    "votes_for_gap",
    "votes_needed",
]
