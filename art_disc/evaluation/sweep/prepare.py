"""What is done once, before the cells: data read, networks trained, cells given their hashes."""

import hashlib
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from art_disc import __version__
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_json, write_json
from art_disc.core.provenance import commit
from art_disc.core.records.base import SCHEMA_VERSION, Environment
from art_disc.core.records.checked import decode
from art_disc.data import Dataset
from art_disc.defences import codebook_files
from art_disc.evaluation.sweep.cells import PlannedCell
from art_disc.evaluation.sweep.plan import SweepPlan
from art_disc.evaluation.sweep.words import parse_training
from art_disc.evaluation.sweep.work import (
    CellJob,
    TrainedNetwork,
    Workplace,
    classifier_of,
    load_part,
)
from art_disc.networks import save_weights, weights_hash
from art_disc.training.words import NetworkWords, make_network

PLAN = "plan.json"
_TIMED_IMAGES = 32


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """What `plan.json` says: the plan, each cell's hash by its name, and who wrote it."""

    plan: dict[str, Any]
    cells: dict[str, str]
    art_disc: str = __version__
    schema_version: int = SCHEMA_VERSION
    kind: Literal["sweep plan"] = "sweep plan"


def make_jobs(
    cells: Sequence[PlannedCell], place: Workplace, *, verbose: bool
) -> tuple[CellJob, ...]:
    """Train what is not trained yet, and return the cells with all that a worker needs."""
    plan = place.plan
    networks: dict[tuple[str, str], TrainedNetwork] = {}
    fingerprints: dict[str, str] = {}
    shared = {
        "norm": plan.norm,
        "batch_size": plan.batch_size,
        "threads": plan.threads,
        "device": place.device,
        "packages": Environment.here().packages,
        "commit": commit(),
    }
    for dataset in plan.datasets:
        # the whole data set trains the network: its cached weights serve every n_ex
        whole = load_part(dataset, plan.data_dir)
        for training in plan.trainings:
            networks[dataset, training] = _network(training, whole, place, verbose=verbose)
        part = load_part(dataset, plan.data_dir, plan.n_ex, stratified=plan.stratified)
        fingerprints[dataset] = part.fingerprint
    jobs = []
    for cell in cells:
        network, mark = networks[cell.dataset, cell.training], fingerprints[cell.dataset]
        book = _digest(codebook_files(cell.defence))
        own = {"data": mark, "weights": network.weights, "codebook": book}
        jobs.append(CellJob(cell, cell.content_hash(own | shared), network, mark, place))
    return tuple(jobs)


def _network(training: str, data: Dataset, place: Workplace, *, verbose: bool) -> TrainedNetwork:
    """Return the run folder's own network: a cache that is emptied must not change a sweep."""
    name = re.sub(r"[^A-Za-z0-9.=_-]+", "-", f"{data.name}-{training}")[:60]
    words = parse_training(training)
    known = f"{data.fingerprint} {training}{_digest([words.weights] if words.weights else [])}"
    mark = hashlib.sha256(known.encode()).hexdigest()[:8]
    file = Path("networks") / f"{name}-{mark}.npz"
    path, made = place.folder / file, NetworkWords(model=words.model, network=words.network)
    if path.is_file():
        network, line = make_network(replace(made, weights=path), data)
    else:
        words = replace(words, device=here(place.device), verbose=verbose)
        network, line = make_network(words, data)
        save_weights(network, path, header={"line": line})
    return TrainedNetwork(made, file, line, weights_hash(network))


def _digest(files: Iterable[str | Path]) -> str:
    """Return the hash of files, which their names alone do not tell; empty: of none."""
    digests = [hashlib.sha256(Path(file).read_bytes()).digest() for file in files]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16] if digests else ""


def pick_device(wanted: str, *, cluster: bool) -> str:
    """Return `cpu` or `cuda`, refused without a GPU here unless a `cluster` may have them."""
    here = torch.cuda.device_count() > 0
    if wanted == "cuda" and not here and not cluster:
        msg = "plan key 'device' is cuda, and torch sees no GPU here; use device = \"cpu\""
        raise InputError(msg)
    return ("cuda" if here else "cpu") if wanted == "auto" else wanted


def here(device: str) -> str:
    """Return the device, or `cpu` where this machine has no such one."""
    return device if device == "cpu" or torch.cuda.is_available() else "cpu"


def seconds_each(jobs: Sequence[CellJob], device: str) -> dict[str, float]:
    """Return for each job's hash roughly how long it takes, from one timed batch a classifier.

    A classifier that cannot be built raises here, not in its first cell.
    """
    paces: dict[tuple[str, str, str], tuple[float, int]] = {}
    for job in jobs:
        if job.cell.group not in paces:
            classifier, data = classifier_of(job, device)
            batch = data.x_test[:_TIMED_IMAGES]
            classifier.predict(batch)
            start = time.perf_counter()
            classifier.predict(batch)
            pace = (time.perf_counter() - start) / len(batch)
            paces[job.cell.group] = pace, len(data.x_test)
    return {
        job.content: paces[job.cell.group][0] * paces[job.cell.group][1] * job.cell.cost
        for job in jobs
    }


def check_plan(folder: Path, plan: SweepPlan, keys: Sequence[str], *, extend: bool) -> None:
    """Refuse a folder whose sweep has cells that are not in `keys`, or fewer without `extend`."""
    if (kept := _kept(folder)) is None:
        return
    new = [key for key in keys if key not in kept.cells]
    if gone := [key for key in kept.cells if key not in set(keys)]:
        msg = (
            f"{folder} holds a sweep of another plan: {_changed(kept, plan)}; {len(gone)} of its "
            f"cells are not in this one ({gone[0]}); give another --out, or the old plan"
        )
        raise InputError(msg)
    if new and not extend:
        msg = (
            f"the plan has {len(new)} cells more than the sweep in {folder} "
            f"({_changed(kept, plan)}); --extend runs them too, another --out starts afresh"
        )
        raise InputError(msg)


def keep_plan(folder: Path, plan: SweepPlan, jobs: Sequence[CellJob]) -> None:
    """Write `plan.json`, or refuse a folder whose cells meant something else by their names."""
    cells = {job.cell.key: job.content for job in jobs}
    kept = _kept(folder)
    if kept and (odd := [key for key, content in kept.cells.items() if cells[key] != content]):
        msg = (
            f"{folder} holds {len(odd)} cells of the same names but another content ({odd[0]}): "
            f"{_changed(kept, plan)}; give another --out"
        )
        raise InputError(msg)
    write_json(folder / PLAN, asdict(KeptPlan(plan.to_dict(), cells)))


def _kept(folder: Path) -> KeptPlan | None:
    file = folder / PLAN
    if not file.is_file():
        return None
    try:
        return decode(KeptPlan, read_json(file), str(file))
    except FileFormatError as error:
        msg = f"{file} is no plan of a sweep ({error}); give another --out"
        raise FileFormatError(msg) from error


def _changed(kept: KeptPlan, plan: SweepPlan) -> str:
    now = plan.to_dict()
    if keys := [key for key in now if kept.plan.get(key) != now[key]]:
        return f"changed: {', '.join(keys)}"
    if kept.art_disc != __version__:
        return f"it was made by art_disc {kept.art_disc}, this is {__version__}"
    return "data, weights, codebook file, device or the version of a library have changed"
