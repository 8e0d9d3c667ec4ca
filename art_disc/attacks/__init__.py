"""Attacks that ART lacks, and the table of those that it has."""

from art_disc.attacks.sign_adam import MarginLoss, SignAdamBPDA
from art_disc.attacks.spec import TIERS, AttackSpec, Request
from art_disc.attacks.table import ATTACKS, SUITES, attack_table, parse_settings

__all__ = [
    "ATTACKS",
    "SUITES",
    "TIERS",
    "AttackSpec",
    "MarginLoss",
    "Request",
    "SignAdamBPDA",
    "attack_table",
    "parse_settings",
]
