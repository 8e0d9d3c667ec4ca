"""Training loops: seeded, with a progress bar, cached by content."""

from art_disc.training.cache import cache_dir
from art_disc.training.natural import TrainingResult, train, trained

__all__ = ["TrainingResult", "cache_dir", "train", "trained"]
