"""Work in several processes of this machine."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

import joblib
import numpy as np
from tqdm import tqdm

from art_disc.core.errors import InputError, WorkerLostError

T = TypeVar("T")
R = TypeVar("R")

_WATCHED: set[int] = set()


def job_count(n_jobs: Any) -> int:
    """Return how many processes `n_jobs` asks for, in joblib's meaning: -1 is one a core.

    Raises:
        InputError: It is 0, or no whole number.
    """
    if not isinstance(n_jobs, int | np.integer) or isinstance(n_jobs, bool) or not n_jobs:
        msg = f"n_jobs must be a whole number other than 0, -1 for all cores, got {n_jobs!r}"
        raise InputError(msg)
    return int(joblib.effective_n_jobs(n_jobs))


def in_processes(
    work: Callable[[T], R], jobs: Iterable[T], count: int, *, threads: int, cure: str
) -> Generator[R]:
    """Call `work` with each of the jobs in `count` >= 2 processes; results come as they are done.

    Jobs are taken a little before there is room for them. Closing the generator ends the work, and
    so does the end of this process, in whatever way; Ctrl-C reaches this process alone.

    Args:
        work: A function that can be sent to another process, as its jobs and results.
        jobs: What it is called with.
        count: Processes.
        threads: CPU threads of each.
        cure: What to do where memory was short, for the message of an error.

    Raises:
        WorkerLostError: A process died, most often for want of memory.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        run = joblib.Parallel(
            n_jobs=count, return_as="generator_unordered", batch_size=1, pre_dispatch=count
        )
        results = run(joblib.delayed(_in_worker)(work, os.getpid(), job) for job in jobs)
        try:
            # `yield from` would close them itself, and its warning would be seen
            for result in results:  # noqa: UP028
                yield result
        except BrokenProcessPool as error:
            msg = (
                f"a worker process died ({str(error).splitlines()[0]}); what was finished is kept: "
                f"run the same command again, with {cure} if memory was short"
            )
            raise WorkerLostError(msg) from error
        finally:
            with warnings.catch_warnings():
                # joblib warns that jobs which were cancelled are cancelled
                warnings.filterwarnings("ignore", message="(?s).*You could benefit from adjusting")
                results.close()


def _in_worker(work: Callable[[T], R], parent: int, job: T) -> R:
    _end_with(parent)
    return work(job)


def _end_with(parent: int) -> None:
    """End this process soon after `parent` has: after a kill -9 nobody waits for its results."""
    if parent in _WATCHED or os.getppid() != parent:
        return
    _WATCHED.add(parent)
    # a terminal's Ctrl-C reaches the whole group; the parent alone decides what becomes of it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # a bar's own lock is a semaphore of the system, which a killed worker would leave behind
    tqdm.set_lock(threading.RLock())

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
