"""What is done once, before the cells: data read, networks trained, cells given their hashes."""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from art_disc import __version__
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_json, write_json
from art_disc.core.records.base import SCHEMA_VERSION, Environment
from art_disc.data import Dataset
from art_disc.defences import codebook_files
from art_disc.evaluation.sweep.cells import PlannedCell
from art_disc.evaluation.sweep.plan import SweepPlan
from art_disc.evaluation.sweep.words import parse_training
from art_disc.evaluation.sweep.work import CellJob, Workplace, classifier_of, load_part
from art_disc.networks import save_weights, weights_hash
from art_disc.training.words import NetworkWords, make_network

PLAN = "plan.json"
_KIND = "sweep plan"
_TIMED_IMAGES = 32


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network in the run folder.

    Attributes:
        file: Relative to the run folder.
        line: How it was trained, in one line.
        weights: Hash of the weights.
    """

    file: str
    line: str
    weights: str


def make_jobs(
    cells: Sequence[PlannedCell], place: Workplace, *, verbose: bool
) -> tuple[CellJob, ...]:
    """Train what is not trained yet, and return the cells with all that a worker needs.

    Raises:
        ArtDiscError: A data set, network or codebook file cannot be read.
    """
    plan = place.plan
    networks: dict[tuple[str, str], Network] = {}
    fingerprints: dict[str, str] = {}
    for dataset in plan.datasets:
        # the whole data set trains the network: its cached weights serve every n_ex
        whole = load_part(dataset, plan.data_dir)
        for training in plan.trainings:
            networks[dataset, training] = _network(training, whole, place, verbose=verbose)
        part = load_part(dataset, plan.data_dir, plan.n_ex, stratified=plan.stratified)
        fingerprints[dataset] = part.fingerprint
    jobs = []
    for cell in cells:
        network = networks[cell.dataset, cell.training]
        facts = {
            "data": fingerprints[cell.dataset],
            "weights": network.weights,
            "codebook": _file_hash(cell.defence),
            "norm": plan.norm,
            "batch_size": plan.batch_size,
            "threads": plan.threads,
            "device": place.device,
            "packages": Environment.here().packages,
        }
        jobs.append(
            CellJob(
                cell=cell,
                content=cell.content_hash(facts),
                weights=network.file,
                training=network.line,
                fingerprint=fingerprints[cell.dataset],
                place=place,
            )
        )
    return tuple(jobs)


def _network(training: str, data: Dataset, place: Workplace, *, verbose: bool) -> Network:
    """Return the run folder's own network: a cache that is emptied must not change a sweep."""
    name = re.sub(r"[^A-Za-z0-9.=_-]+", "-", f"{data.name}-{training}")[:60]
    mark = hashlib.sha256(f"{data.fingerprint} {training}".encode()).hexdigest()[:8]
    file = Path("networks") / f"{name}-{mark}.npz"
    path = place.folder / file
    if path.is_file():
        network, line = make_network(NetworkWords(weights=path), data)
    else:
        words = replace(parse_training(training), device=here(place.device), verbose=verbose)
        network, line = make_network(words, data)
        save_weights(network, path, header={"line": line})
    return Network(str(file), line, weights_hash(network))


def _file_hash(defence: str) -> str:
    """Return the hash of the codebook files, which their names alone do not tell."""
    digests = [hashlib.sha256(Path(file).read_bytes()).digest() for file in codebook_files(defence)]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16] if digests else ""


def pick_device(wanted: str, *, cluster: bool) -> str:
    """Return `cpu` or `cuda`.

    Args:
        wanted: `auto`, `cpu` or `cuda`.
        cluster: The cells run on other machines, whose GPUs this one need not have.

    Raises:
        InputError: `cuda` on a machine without a GPU.
    """
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

    Raises:
        ArtDiscError: A classifier cannot be built: known here, not in its first cell.
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
    """Refuse a run folder of another plan, before anything is trained.

    Args:
        folder: The run folder.
        plan: What is to be run.
        keys: Its cells.
        extend: Cells may be added to those that the folder knows.

    Raises:
        InputError: The folder's sweep has cells that the plan lacks, or fewer without `extend`.
    """
    known = _known_cells(folder)
    if not known:
        return
    gone = [key for key in known if key not in set(keys)]
    new = [key for key in keys if key not in known]
    if gone:
        msg = (
            f"{folder} holds a sweep of another plan: {_changed(folder, plan)}; {len(gone)} of its "
            f"cells are not in this one ({gone[0]}); give another --out, or the old plan"
        )
        raise InputError(msg)
    if new and not extend:
        msg = (
            f"the plan has {len(new)} cells more than the sweep in {folder} "
            f"({_changed(folder, plan)}); --extend runs them too, another --out starts afresh"
        )
        raise InputError(msg)


def keep_plan(folder: Path, plan: SweepPlan, jobs: Sequence[CellJob]) -> None:
    """Write `plan.json`, or refuse a folder whose cells meant something else under the same names.

    Raises:
        InputError: Settings, data, weights, device or the package's version are not the same.
    """
    cells = {job.cell.key: job.content for job in jobs}
    known = _known_cells(folder)
    if odd := [key for key, content in known.items() if cells[key] != content]:
        msg = (
            f"{folder} holds {len(odd)} cells of the same names but another content ({odd[0]}): "
            f"{_changed(folder, plan)}; give another --out"
        )
        raise InputError(msg)
    body = {
        "kind": _KIND,
        "schema_version": SCHEMA_VERSION,
        "art_disc": __version__,
        "plan": plan.to_dict(),
        "cells": cells,
    }
    write_json(folder / PLAN, body)


def _stored(folder: Path) -> dict[str, object]:
    body = read_json(folder / PLAN)
    if not isinstance(body, dict) or body.get("kind") != _KIND:
        msg = f"{folder / PLAN} is no plan of a sweep; give another --out"
        raise FileFormatError(msg)
    return body


def _known_cells(folder: Path) -> dict[str, str]:
    if not (folder / PLAN).is_file():
        return {}
    cells = _stored(folder).get("cells")
    return dict(cells) if isinstance(cells, dict) else {}


def _changed(folder: Path, plan: SweepPlan) -> str:
    old = _stored(folder)
    before = old.get("plan")
    before = before if isinstance(before, dict) else {}
    now = plan.to_dict()
    if keys := [key for key in now if before.get(key) != now[key]]:
        return f"changed: {', '.join(keys)}"
    if (version := old.get("art_disc")) != __version__:
        return f"it was made by art_disc {version}, this is {__version__}"
    return "data, weights, codebook file, device or the version of a library have changed"
