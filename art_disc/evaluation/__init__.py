"""From a classifier and a data set to a record of what attacks did."""

from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.run import evaluate

__all__ = ["Evaluation", "EvaluationInterrupted", "evaluate"]
