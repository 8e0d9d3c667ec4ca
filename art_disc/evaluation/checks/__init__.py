"""The checks of an honest evaluation."""

from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.checks.options import Checks, Thresholds
from art_disc.evaluation.checks.running import TABLE, cannot_run, check_trials, run_checks

__all__ = ["TABLE", "Checks", "Context", "Thresholds", "cannot_run", "check_trials", "run_checks"]
