"""Attacks that ART lacks, and presets of those that it has."""

from art_disc.attacks.presets import PRESETS, AttackSpec, attack_table, parse_settings
from art_disc.attacks.sign_adam import MarginLoss, SignAdamBPDA

__all__ = [
    "PRESETS",
    "AttackSpec",
    "MarginLoss",
    "SignAdamBPDA",
    "attack_table",
    "parse_settings",
]
