"""Certificates: which codewords a budget reaches, and what the classifier makes of them."""

from art_disc.metrics.certificate import Certificate
from art_disc.metrics.certifying import certified_accuracy, certify, check_certifiable
from art_disc.metrics.limits import printed_proposition2_limit
from art_disc.metrics.reachability import free_pixels, log2_images, reachable_codes
from art_disc.metrics.target import codebook_of

__all__ = [
    "Certificate",
    "certified_accuracy",
    "certify",
    "check_certifiable",
    "codebook_of",
    "free_pixels",
    "log2_images",
    "printed_proposition2_limit",
    "reachable_codes",
]
