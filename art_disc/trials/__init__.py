"""A trial: one attack run on one classifier, once, and what its images are worth.

`run_trial(Trial(make, source, x, y, budget, seeds))` is the one place that calls an attack. Batch
by batch, in this order:

- `streams`: the classifier's own random streams and the global ones begin anew, from the batch's
  own seed, so that no trial depends on what ran before it;
- `score.pick_targets`: the likeliest wrong classes, where the attack is to aim;
- `follower`: the iterates are noted, so that the best of them counts and not the last;
- `ledger`: gradients and queries are counted at the network itself;
- `time_limit`: an attack that takes too long is stopped;
- `trial.sanitise`: what ART returns is brought into the range, or refused.

The result is images and what they cost, never whether they fool anything: that a `Scorer` tells
(`score`), by fresh predictions on draws that no attack saw, of the images themselves or of what an
8-bit file holds of them (`grid`).
"""

from art_disc.trials.score import Score, Scorer
from art_disc.trials.time_limit import TrialTimeoutError
from art_disc.trials.trial import AttackOutputError, Trial, TrialResult, run_trial

__all__ = [
    "AttackOutputError",
    "Score",
    "Scorer",
    "Trial",
    "TrialResult",
    "TrialTimeoutError",
    "run_trial",
]
