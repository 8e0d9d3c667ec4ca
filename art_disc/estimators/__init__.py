"""ART classifiers with a defence inside."""

from art_disc.estimators.build import as_classifier, build_classifier, defend
from art_disc.estimators.classifier import DefendedClassifier
from art_disc.estimators.loading import load_classifier
from art_disc.estimators.module import DefendedModule
from art_disc.estimators.randomized import RandomizedClassifier, RandomizedModule
from art_disc.estimators.shapes import encoded_shape
from art_disc.estimators.voting import Voting

__all__ = [
    "DefendedClassifier",
    "DefendedModule",
    "RandomizedClassifier",
    "RandomizedModule",
    "Voting",
    "as_classifier",
    "build_classifier",
    "defend",
    "encoded_shape",
    "load_classifier",
]
