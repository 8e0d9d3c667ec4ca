"""Stopping an attack that takes too long."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TrialTimeoutError(BaseException):
    """A trial took longer than it may; no `Exception`, which an attack might swallow."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TrialTimeoutError` in the block after so many seconds.

    By an alarm signal, which only the main thread of a Unix process can have: elsewhere, and for 0,
    there is no limit. It comes between two Python instructions, after any call into C is done.
    """
    alarmed = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGALRM")
    if not seconds or not alarmed:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal's own
        msg = f"stopped after {seconds:g} s"
        raise TrialTimeoutError(msg)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
