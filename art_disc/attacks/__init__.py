"""Attacks that ART lacks, and the table of those that it has."""

from art_disc.attacks.code_space import CodeSpaceAttack
from art_disc.attacks.latent_code import LatentCodeAttack
from art_disc.attacks.logit_space import LogitSpacePGA
from art_disc.attacks.sign_adam import MarginLoss, SignAdamBPDA
from art_disc.attacks.spec import TIERS, AttackFactory, AttackRequest, AttackSpec
from art_disc.attacks.table import ATTACKS, SUITES, attack_table, parse_settings, suite_surrogates

__all__ = [
    "ATTACKS",
    "SUITES",
    "TIERS",
    "AttackFactory",
    "AttackRequest",
    "AttackSpec",
    "CodeSpaceAttack",
    "LatentCodeAttack",
    "LogitSpacePGA",
    "MarginLoss",
    "SignAdamBPDA",
    "attack_table",
    "parse_settings",
    "suite_surrogates",
]
