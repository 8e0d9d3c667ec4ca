"""The sweep itself: what is left of the plan is run, cell by cell, and can be stopped anywhere."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

from art_disc.core.journal import only_one
from art_disc.core.records.base import Environment
from art_disc.core.records.sweep import SweepRecord
from art_disc.evaluation.sweep.cells import plan_cells
from art_disc.evaluation.sweep.executors import Execution, dask_client, on_dask, processes, serial
from art_disc.evaluation.sweep.journal import CellJournal
from art_disc.evaluation.sweep.plan import SweepPlan
from art_disc.evaluation.sweep.prepare import (
    check_plan,
    here,
    keep_plan,
    make_jobs,
    pick_device,
    seconds_each,
)
from art_disc.evaluation.sweep.words import parse_duration
from art_disc.evaluation.sweep.work import CellJob, CellResult, Workplace, threads
from art_disc.report import check_extra, write_report

JOURNAL = "cells.jsonl"
_BAR = "{percentage:3.0f}%|{bar}| {desc} [{elapsed}<{remaining}]"


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; `partial` holds what was finished, and so does the run folder."""

    def __init__(self, partial: SweepRecord) -> None:
        super().__init__("sweep interrupted; .partial holds what was finished")
        self.partial = partial


@dataclass(frozen=True, slots=True)
class _Load:
    """What is to be run: the cells that are left, and what each is expected to take."""

    jobs: tuple[CellJob, ...]
    left: tuple[CellJob, ...]
    seconds: dict[str, float]
    workers: int

    def __str__(self) -> str:
        rest = sum(self.seconds[job.content] for job in self.left) / self.workers
        where = "1 process" if self.workers == 1 else f"{self.workers} processes"
        return (
            f"{len(self.jobs)} cells: {len(self.jobs) - len(self.left)} done, {len(self.left)} "
            f"left, about {_duration(rest)} with {where}"
        )


def run_sweep(  # noqa: PLR0913 - each is a choice of its own
    plan: SweepPlan,
    out: str | Path | None = None,
    *,
    execution: Execution | None = None,
    time_limit: str | float | None = None,
    retry_failed: bool = False,
    extend: bool = False,
    announce: Callable[[str], None] | None = None,
    verbose: bool = True,
) -> SweepRecord:
    """Run what is left of a sweep.

    Each finished cell is one line of `cells.jsonl` in the run folder, on the disk before it counts.
    A sweep that was stopped, also by a kill, goes on where it was when it is called again, and ends
    with the counts of one that was not. At the end, `record.json`, `summary.json` and
    `report.html`.

    Args:
        plan: What is crossed.
        out: The run folder; None: `runs/NAME`.
        execution: Where the cells run; None: one process a core, or one a GPU.
        time_limit: `2h`, `90s` or seconds: no cell starts later; over the plan's own.
        retry_failed: Run cells again that failed or were skipped before.
        extend: Accept a plan that adds cells to the sweep in the folder.
        announce: Called with one line on cells, what is done, and the cost.
        verbose: Show one progress bar.

    Returns:
        The record; not `complete` where the time limit stopped it.

    Raises:
        InputError: The plan does not fit the folder's sweep, the machine or its data.
        FolderBusyError: Another process runs a sweep in this folder.
        MissingExtraError: The extra `report` is not installed.
        WorkerLostError: A worker process died; what was finished is kept.
        SweepInterrupted: Ctrl-C; what was finished is kept.
    """
    # a sweep ends with its page
    check_extra()
    start = time.monotonic()
    limit = plan.time_limit if time_limit is None else time_limit
    deadline = start + parse_duration(limit) if limit is not None else float("inf")
    folder = Path(out) if out is not None else Path("runs") / plan.name
    execution = execution or Execution()
    say = announce or (lambda _: None)
    cells = plan_cells(plan)
    with only_one(folder, "sweep"), threads(plan.threads):
        check_plan(folder, plan, [cell.key for cell in cells], extend=extend)
        # a worker may have another working folder
        there = None if plan.data_dir is None else str(Path(plan.data_dir).resolve())
        device = pick_device(plan.device, cluster=execution.backend == "dask")
        place = Workplace(folder.resolve(), replace(plan, data_dir=there), device)
        jobs = make_jobs(cells, place, verbose=verbose)
        keep_plan(folder, plan, jobs)
        journal = CellJournal(folder / JOURNAL)
        if mended := journal.mend():
            say(mended)
        statuses = journal.statuses()
        settled = ("done",) if retry_failed else ("done", "skipped", "failed")
        left = tuple(job for job in jobs if statuses.get(job.content) not in settled)
        try:
            with journal, _workers(execution, place, left) as (count, run):
                load = _Load(jobs, left, seconds_each(left, here(device)), count)
                say(str(load))
                _go(load, run, journal, deadline, verbose=verbose)
        except KeyboardInterrupt:
            raise SweepInterrupted(_finish(plan, jobs, journal, folder)) from None
        return _finish(plan, jobs, journal, folder)


_Runner = Callable[[Iterable[CellJob], float], Generator[CellResult]]


@contextmanager
def _workers(
    execution: Execution, place: Workplace, left: Sequence[CellJob]
) -> Iterator[tuple[int, _Runner]]:
    """Yield how many cells run at once, and what runs them until a time of `time.monotonic()`."""
    if execution.scheduler is not None:
        with dask_client(execution.scheduler) as client:
            count = max(1, len(client.nthreads()))
            yield count, lambda jobs, until: on_dask(_until(jobs, until), client)
        return
    gpus = torch.cuda.device_count() if place.device == "cuda" else 0
    count = execution.processes(threads=place.plan.threads, gpus=gpus)
    count = max(1, min(count, len(left)))
    if count == 1:
        yield 1, lambda jobs, until: serial(_until(jobs, until))
        return
    own = replace(place, gpus=gpus)

    def run(jobs: Iterable[CellJob], until: float) -> Generator[CellResult]:
        shared = (replace(job, place=own) for job in _until(jobs, until))
        wall = time.time() + until - time.monotonic()
        return processes(shared, count, place.plan.threads, until=wall)

    yield count, run


def _until(jobs: Iterable[CellJob], deadline: float) -> Iterator[CellJob]:
    for job in jobs:
        if time.monotonic() >= deadline:
            return
        yield job


def _go(load: _Load, run: _Runner, journal: CellJournal, deadline: float, *, verbose: bool) -> None:
    """Run what is left, writing each cell down before the next is asked for."""
    total = sum(load.seconds.values())
    done, failed = len(load.jobs) - len(load.left), 0
    with (
        tqdm(total=total, bar_format=_BAR, smoothing=0, disable=not verbose) as bar,
        # whatever ends the loop ends the workers now, not when the collector comes by
        closing(run(load.left, deadline)) as results,
    ):
        bar.set_description_str(f"{done}/{len(load.jobs)} cells")
        for finished in results:
            journal.append(finished.line)
            done += 1
            failed += finished.status == "failed"
            broken = f", {failed} failed" if failed else ""
            bar.set_description_str(f"{done}/{len(load.jobs)} cells{broken}", refresh=False)
            # the bar may have been promised a little more or less by rounding
            bar.update(min(load.seconds[finished.content], total - bar.n))


def _finish(
    plan: SweepPlan, jobs: Sequence[CellJob], journal: CellJournal, folder: Path
) -> SweepRecord:
    cells = journal.cells({job.content: order for order, job in enumerate(jobs)})
    record = SweepRecord(
        name=plan.name,
        plan=plan.to_dict(),
        cells=cells,
        planned=len(jobs),
        environment=Environment.here(device=jobs[0].place.device, threads=plan.threads),
        complete=len(cells) == len(jobs),
    )
    write_report(record, folder)
    return record


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
