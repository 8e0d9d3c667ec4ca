"""From a classifier and a data set to a record of what attacks did, and how far to trust it."""

from art_disc.core.records.draws import persistent_curve
from art_disc.evaluation.checks import Checks, Thresholds
from art_disc.evaluation.one_image import image_panels
from art_disc.evaluation.randomness import eot_convergence, score_draws
from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.run import evaluate
from art_disc.evaluation.supplied.scoring import score_images
from art_disc.evaluation.transfer import transfer, transfer_sources

__all__ = [
    "Checks",
    "Evaluation",
    "EvaluationInterrupted",
    "Thresholds",
    "eot_convergence",
    "evaluate",
    "image_panels",
    "persistent_curve",
    "score_draws",
    "score_images",
    "transfer",
    "transfer_sources",
]
