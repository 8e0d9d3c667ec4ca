"""From a classifier and a data set to a record of what attacks did, and how far to trust it."""

from art_disc.evaluation.checks import Checks, Thresholds
from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.run import evaluate

__all__ = ["Checks", "Evaluation", "EvaluationInterrupted", "Thresholds", "evaluate"]
