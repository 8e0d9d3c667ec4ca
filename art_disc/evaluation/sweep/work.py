"""What a worker process does: load the classifier of a cell, attack it, and send back one line."""

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from art_disc.core.errors import InputError
from art_disc.core.records import EvaluationRecord
from art_disc.core.records.sweep import SweepCell
from art_disc.core.seeds import derive_seed
from art_disc.data import Dataset
from art_disc.estimators import DefendedClassifier
from art_disc.evaluation.run import evaluate
from art_disc.evaluation.sweep.cells import PlannedCell
from art_disc.evaluation.sweep.journal import encode
from art_disc.evaluation.sweep.plan import SweepPlan
from art_disc.training import words

# ART draws from NumPy's global stream: two cells in threads of one process would share it
_ALONE = threading.Lock()
# held until the process ends; a lock that is collected gives its GPU away
_HELD: dict[Path, tuple[int, FileLock]] = {}


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where all cells of a sweep run, and by which plan.

    Attributes:
        folder: The run folder, with the weights in it.
        plan: With a data folder that every worker finds.
        device: `cpu` or `cuda`.
        gpus: GPUs to be shared out among the workers of this machine, one each; 0: each worker
            takes torch's current one.
    """

    folder: Path
    plan: SweepPlan
    device: str = "cpu"
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network in the run folder: what makes it, file there, how it was trained, weights' hash."""

    made: words.NetworkWords
    file: Path
    line: str
    weights: str


@dataclass(frozen=True, slots=True)
class CellJob:
    """One cell as it travels to a worker.

    Attributes:
        cell: What to run.
        content: Hash of what decides its numbers.
        network: What is attacked.
        fingerprint: Of the data that the plan was made with.
        place: What all cells share.
    """

    cell: PlannedCell
    content: str
    network: TrainedNetwork
    fingerprint: str
    place: Workplace


@dataclass(frozen=True, slots=True)
class CellResult:
    """What comes back of a job: the cell's status and its line for the journal."""

    content: str
    status: str
    line: str


# all cells of a data set share its arrays
load_part = lru_cache(maxsize=1)(words.load_part)


@lru_cache(maxsize=1)
def _built(
    data: Dataset, made: words.NetworkWords, weights: Path, defence: str, device: str
) -> DefendedClassifier:
    network = replace(made, weights=weights, device=device)
    return words.make_classifier(network, data, words.fitted_defences(defence, data))[0]


def classifier_of(job: CellJob, device: str) -> tuple[DefendedClassifier, Dataset]:
    """Return a fresh copy of the cell's classifier, and its data.

    A copy, because a defence that draws goes on drawing where the last cell stopped: a cell's
    numbers must not depend on which cells ran before it. Its draws start where the defence's seed
    and the cell's tell.
    """
    place, plan, cell = job.place, job.place.plan, job.cell
    data = load_part(cell.dataset, plan.data_dir, plan.n_ex, stratified=plan.stratified)
    if data.fingerprint != job.fingerprint:
        msg = (
            f"{cell.dataset} is not the data that this sweep was started with (fingerprint "
            f"{data.fingerprint}, expected {job.fingerprint}); put the same file on every machine"
        )
        raise InputError(msg)
    weights = place.folder / job.network.file
    classifier = copy.deepcopy(_built(data, job.network.made, weights, cell.defence, device))
    if classifier.is_random:
        classifier = classifier.with_seed(derive_seed(cell.seed, "draws", *classifier.seeds))
    return classifier, data


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Give torch so many CPU threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_job(job: CellJob) -> CellResult:
    """Run one cell; whatever goes wrong in it stands in its line."""
    with _ALONE, threads(job.place.plan.threads):
        start = time.perf_counter()
        try:
            return _result(job, _evaluated(job), start)
        except Exception as error:  # noqa: BLE001 - a line of the journal, not the end
            reason = f"{type(error).__name__}: {error}"
            cell = SweepCell(**job.cell.coordinates, status="failed", reason=reason)
            return _result(job, cell, start)


def _result(job: CellJob, cell: SweepCell, start: float) -> CellResult:
    timed = replace(cell, seconds=round(time.perf_counter() - start, 3))
    return CellResult(job.content, cell.status, encode(job.content, job.cell.key, timed))


def _evaluated(job: CellJob) -> SweepCell:
    cell, plan = job.cell, job.place.plan
    classifier, data = classifier_of(job, _device(job.place))
    blind = cell.surrogate == "none"
    record = evaluate(
        classifier,
        data,
        eps=cell.eps,
        attacks=[cell.attack.spec.name],
        settings=cell.attack.changes,
        surrogates=[] if cell.surrogate in ("own", "base", "none") else [cell.surrogate],
        through=None if blind else cell.surrogate,
        norm=plan.norm,
        batch_size=plan.batch_size,
        seed=cell.seed,
        checks=None,
        training=job.network.line,
        verbose=False,
    ).record
    status, reason = _verdict(record)
    # every model that the examples are scored on tells the cost of the same one attack
    spent = record.outcomes[0]
    return SweepCell(
        **cell.coordinates,
        status=status,
        reason=reason,
        record=record,
        gradients=spent.gradients,
        queries=spent.queries,
    )


def _verdict(record: EvaluationRecord) -> tuple[str, str]:
    """Return status and reason of a cell from its rows."""
    statuses = [outcome.status for outcome in record.outcomes]
    for status in ("done", "failed"):
        if status in statuses:
            return status, record.outcomes[statuses.index(status)].reason
    return "skipped", record.outcomes[0].reason


def _device(place: Workplace) -> str:
    if place.device == "cpu":
        return "cpu"
    if place.gpus:
        # ART takes torch's current device
        torch.cuda.set_device(claim(place.folder, place.gpus))
    return f"cuda:{torch.cuda.current_device()}"


def claim(folder: Path, count: int) -> int:
    """Return the number of a GPU, 0..count-1, that no other worker whose locks are here uses.

    A second call in the same process returns the same one; the GPU of a process that died is free.
    """
    if folder in _HELD:
        return _HELD[folder][0]
    for number in range(count):
        lock = FileLock(folder / f".gpu-{number}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _HELD[folder] = number, lock
        return number
    msg = f"all {count} GPUs are taken: one process each; give --jobs {count}"
    raise InputError(msg)
