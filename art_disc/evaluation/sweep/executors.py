"""Where cells run: in this process, in processes of this machine, or on a Dask cluster."""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from uuid import uuid4

import joblib

from art_disc.core.checks import check_choice, check_count
from art_disc.core.errors import InputError, MissingExtraError, WorkerLostError
from art_disc.core.processes import in_processes
from art_disc.core.showing import Shown
from art_disc.evaluation.sweep.work import CellJob, CellResult, run_job

BACKENDS = ("loky", "dask")
_CONNECT_SECONDS = 20
# without a cell that ends, after which workers are looked for
_QUIET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Execution(Shown):
    """Where the cells of a sweep run.

    Attributes:
        jobs: Processes of this machine; None: one a core (divided by the plan's threads), or one a
            GPU. 1: this process. A Dask cluster has as many as it has.
        backend: `loky` (processes of this machine) or `dask`.
        scheduler: Address of the Dask scheduler, `tcp://host:8786`.

    Raises:
        InputError: A value does not fit.
    """

    jobs: int | None = None
    backend: str = "loky"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        check_choice(self.backend, "backend", BACKENDS)
        if (self.backend == "dask") != (self.scheduler is not None):
            msg = (
                "backend='dask' and scheduler='tcp://host:8786' belong together, got "
                f"backend={self.backend!r} and scheduler={self.scheduler!r}"
            )
            raise InputError(msg)
        if self.jobs is not None:
            check_count(self.jobs, "jobs")

    def processes(self, *, threads: int, gpus: int) -> int:
        """Return how many processes to use here, each with `threads` or one of `gpus`."""
        if gpus and self.jobs is not None and self.jobs > gpus:
            msg = f"one process takes one GPU, and there are {gpus}; got jobs={self.jobs}"
            raise InputError(msg)
        return self.jobs or gpus or max(1, joblib.cpu_count() // threads)


def serial(jobs: Iterable[CellJob]) -> Generator[CellResult]:
    """Run the jobs in this process, one after the other."""
    for job in jobs:
        yield run_job(job)


def processes(
    jobs: Iterable[CellJob], count: int, threads: int, *, until: float = float("inf")
) -> Generator[CellResult]:
    """Run the jobs in `count` >= 2 worker processes; results come as they are done.

    Jobs are taken a little before there is room for them; a worker with so many CPU `threads`
    starts none any more after `until`, a time of `time.time()`.

    Raises:
        WorkerLostError: As `in_processes`.
    """
    work = partial(_run_before, until=until)
    with closing(in_processes(work, jobs, count, threads=threads, cure="fewer --jobs")) as results:
        yield from filter(None, results)


def _run_before(job: CellJob, until: float) -> CellResult | None:
    """Run the job unless it is too late: joblib takes jobs ahead of their turn."""
    return run_job(job) if time.time() < until else None


@contextmanager
def dask_client(scheduler: str) -> Iterator[Any]:
    """Yield a client of a running Dask cluster that has workers."""
    try:
        from distributed import Client
    except ImportError as error:
        msg = "backend='dask' needs the extra dask: pip install 'art-disc[dask]'"
        raise MissingExtraError(msg) from error
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        msg = f"no Dask scheduler answers at {scheduler} ({type(error).__name__}); start one with "
        msg += "`dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`"
        raise InputError(msg) from error
    with client:
        if not client.ncores():
            msg = f"the cluster at {scheduler} has no worker; start some: dask worker {scheduler}"
            raise InputError(msg)
        yield client


def on_dask(jobs: Iterable[CellJob], client: Any) -> Generator[CellResult]:
    """Run the jobs on the workers of a Dask cluster; results come as they are done.

    Not through joblib's Dask backend: that runs everything in this process where the cluster has
    one thread, and takes cells from the iterable before a worker is free for them.
    """
    from distributed import wait

    waiting, running, alone = iter(jobs), set[Any](), False
    try:
        while True:
            # one cell a process at a time; workers may join while the sweep runs, and are waited
            # for where all are gone
            room = max(1, len(client.nthreads())) - len(running)
            for job in islice(waiting, max(0, room)):
                name = f"{job.cell.key}-{uuid4()}"
                running.add(client.submit(run_job, job, key=name, pure=False))
            if not running:
                return
            try:
                with client.as_current():
                    found = wait(running, timeout=_QUIET_SECONDS, return_when="FIRST_COMPLETED")
            except TimeoutError:
                alone = _still_alone(client, before=alone)
                continue
            running, alone = set(found.not_done), False
            yield from _results(found.done, running)
    except WorkerLostError:
        raise
    # a job tells its own errors; what is raised here is the cluster's: a worker that died again and
    # again, a scheduler that is gone, a machine without this package
    except Exception as error:
        msg = (
            f"the Dask cluster lost a cell ({type(error).__name__}: {error}); what was finished is "
            "kept: run the same command again"
        )
        raise WorkerLostError(msg) from error


def _results(done: Iterable[Any], running: set[Any]) -> Iterator[CellResult]:
    """Yield what was found, before what raises; a cell lost with its worker is `running` again."""
    for future in sorted(done, key=lambda one: one.status == "error"):
        try:
            result = future.result(timeout=_QUIET_SECONDS)
        except TimeoutError:
            running.add(future)
            continue
        yield result


def _still_alone(client: Any, *, before: bool) -> bool:
    """Return whether a cluster has no worker; refuse one that had none `before` either."""
    alone = not client.nthreads()
    if alone and before:
        msg = (
            f"the Dask cluster has had no worker for {_QUIET_SECONDS:g} s; what was finished is "
            "kept: start workers (dask worker ADDRESS) and run the same command again"
        )
        raise WorkerLostError(msg)
    return alone
