"""Worker processes leave Ctrl-C to their parent, and end with it."""

import os
import signal
import threading

from art_disc.core.processes import in_processes


def seen(_):
    """What a worker does on Ctrl-C, its process, and its threads: one more waits for the parent."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN, os.getpid(), threading.active_count()


def test_a_worker_is_its_parents():
    found = list(in_processes(seen, range(4), 2, threads=1, cure="less"))
    assert all(ignored and process != os.getpid() for ignored, process, _ in found)
    # that of its first job alone
    counts = {}
    for _, process, count in found:
        counts.setdefault(process, set()).add(count)
    assert all(len(each) == 1 for each in counts.values())
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
