"""A limit of time stops what takes longer, and nothing after it."""

import signal
import time

import pytest

from art_disc.trials.time_limit import TrialTimeoutError, time_limit


def test_a_limit_leaves_no_alarm_behind():
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(0.05):
        pass
    time.sleep(0.1)
    assert signal.getsignal(signal.SIGALRM) is before
    with pytest.raises(TrialTimeoutError), time_limit(0.05):
        time.sleep(1)
