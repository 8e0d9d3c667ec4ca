"""ART classifiers with a defence inside."""

from art_disc.estimators.build import build_classifier, defend
from art_disc.estimators.classifier import DefendedClassifier
from art_disc.estimators.module import DefendedModule

__all__ = ["DefendedClassifier", "DefendedModule", "build_classifier", "defend"]
