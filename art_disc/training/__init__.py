"""Training loops: natural and adversarial, seeded, with a progress bar, cached by content."""

from art_disc.training.adversary import Adversary
from art_disc.training.cache import cache_dir, trained, usual_epochs
from art_disc.training.loop import TrainingResult, train

__all__ = ["Adversary", "TrainingResult", "cache_dir", "train", "trained", "usual_epochs"]
