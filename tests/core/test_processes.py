"""Worker processes leave Ctrl-C to their parent, and end with it."""

import os
import signal
import threading
import time
import warnings

import pytest

from art_disc.core.processes import in_processes


def seen(_):
    """What a worker does on Ctrl-C, its process, and its threads: one more waits for the parent."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN, os.getpid(), threading.active_count()


@pytest.fixture
def interruptible():
    """Ctrl-C raises here, also where the tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_worker_is_its_parents():
    found = list(in_processes(seen, range(4), 2, threads=1, cure="less"))
    assert all(ignored and process != os.getpid() for ignored, process, _ in found)
    # that of its first job alone
    counts = {}
    for _, process, count in found:
        counts.setdefault(process, set()).add(count)
    assert all(len(each) == 1 for each in counts.values())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_work_that_is_given_up_ends_without_a_word():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        results = in_processes(time.sleep, [0.0, *[0.2] * 5], 2, threads=1, cure="less")
        next(results)
        results.close()
    assert not [str(each.message) for each in told]
