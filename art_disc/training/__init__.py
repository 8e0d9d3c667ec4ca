"""Training loops: natural and adversarial, bare or behind defences, seeded, resumable, cached."""

from art_disc.core.records.published import SETTINGS
from art_disc.training.adversary import Adversary, AnyAdversary
from art_disc.training.cache import cache_dir, trained
from art_disc.training.certified import Certified, ibp_accuracy
from art_disc.training.code_adversary import CodeAdversary
from art_disc.training.distilled import Distilled
from art_disc.training.loop import TrainingResult, train
from art_disc.training.lqvae import LQVAE
from art_disc.training.lqvae_fit import LQVAEReport
from art_disc.training.lqvae_settings import LQVAESettings
from art_disc.training.objectives import Adversarial, CrossEntropy, Objective
from art_disc.training.presets import Preset, certified_preset, watched
from art_disc.training.random_step import RandomStepFGSM
from art_disc.training.settings import SixSettings, Trained
from art_disc.training.words import usual_epochs

__all__ = [
    "LQVAE",
    "SETTINGS",
    "Adversarial",
    "Adversary",
    "AnyAdversary",
    "Certified",
    "CodeAdversary",
    "CrossEntropy",
    "Distilled",
    "LQVAEReport",
    "LQVAESettings",
    "Objective",
    "Preset",
    "RandomStepFGSM",
    "SixSettings",
    "Trained",
    "TrainingResult",
    "cache_dir",
    "certified_preset",
    "ibp_accuracy",
    "train",
    "trained",
    "usual_epochs",
    "watched",
]
