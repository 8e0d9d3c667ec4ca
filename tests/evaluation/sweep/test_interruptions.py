"""Real processes: killed at random cells and resumed, or on a cluster, the counts are the same."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from art_disc.core.errors import WorkerLostError
from art_disc.core.records.sweep import SweepRecord
from art_disc.evaluation.sweep import Execution, SweepPlan, executors, run_sweep

PLAN = """
name = "seventy"
datasets = ["digits"]
n_ex = 10
stratified = true
trainings = ["natural:epochs=3"]
defences = ["none", "density:n_codes=2,radius=0.6", "density:n_codes=3,radius=0.3"]
eps = [0.1, 0.2, 0.3]
attacks = ["fgsm", "pgd:max_iter=8", "sign_adam:max_iter=10", "square:max_iter=20"]
surrogates = ["base", "own", "identity"]
"""
CELLS = 3 * (4 + 2 * (3 * 3 + 1))


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("plan") / "plan.toml"
    file.write_text(PLAN)
    return file


@pytest.fixture(scope="module")
def uninterrupted(plan_file, tmp_path_factory, timeless):
    """The sweep in one go, in this process."""
    out = tmp_path_factory.mktemp("uninterrupted")
    record = here(plan_file, out)
    assert len(record.cells) == CELLS >= 60
    assert record.count("done") == CELLS
    return timeless(record)


def here(plan_file, out, **options):
    plan = SweepPlan.from_toml(plan_file)
    return run_sweep(plan, out, execution=Execution(jobs=1), verbose=False, **options)


def start(plan_file, out, *words):
    # a process started in the background ignores SIGINT, and so would its child
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "art_disc", "sweep", str(plan_file), "--out", str(out), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, inherited)
    return process


def lines(out):
    journal = Path(out) / "cells.jsonl"
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def stop_at(process, out, count, how):
    """Send a signal as soon as the journal has so many lines; return the workers it had then."""
    # a busy machine takes its time to import torch and to train; the test does not ask how long
    deadline = time.monotonic() + 300
    while lines(out) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()
    assert lines(out) >= count, "too slow a machine"
    workers = children(process.pid)
    how(process.pid)
    return workers


def children(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


def runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def test_killed_three_times_and_resumed_equals_an_uninterrupted_run(
    plan_file, uninterrupted, timeless, tmp_path
):
    stops = sorted(random.sample(range(3, CELLS - 10), 3))
    seen = 0
    for count, jobs in zip(stops, ("2", "1", "1"), strict=True):
        # each stop comes after at least one new cell
        process = start(plan_file, tmp_path, "--jobs", jobs, "--quiet")
        workers = stop_at(process, tmp_path, max(count, seen + 1), kill)
        _, told = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, (stops, told)
        assert not (tmp_path / "record.json").exists()
        # at most the cells under way were lost: whatever was written is still there
        assert lines(tmp_path) >= max(count, seen + 1), stops
        seen = lines(tmp_path)
        deadline = time.monotonic() + 20
        while any(runs(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.1)
        # nobody waits for the results of a worker whose parent is gone
        assert not [pid for pid in workers if runs(pid)]
    told = []
    record = here(plan_file, tmp_path, announce=told.append)
    assert f"{CELLS} cells: {seen} done" in told[-1], (stops, told)
    assert record.complete
    assert timeless(record) == uninterrupted, stops
    assert lines(tmp_path) == CELLS
    assert SweepRecord.load(tmp_path / "record.json") == record


def test_ctrl_c_keeps_what_was_finished_and_exits_with_130(plan_file, uninterrupted, tmp_path):
    process = start(plan_file, tmp_path, "--jobs", "2")
    # as a terminal does it: the whole group gets the signal
    stop_at(process, tmp_path, 7, lambda pid: os.killpg(pid, signal.SIGINT))
    out, told = process.communicate(timeout=300)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "Warning" not in told
    left = CELLS - lines(tmp_path)
    assert 0 < left <= CELLS - 7
    assert f"interrupted: {left} cells left" in out
    saved = SweepRecord.load(tmp_path / "record.json")
    assert (saved.complete, len(saved.cells)) == (False, CELLS - left)
    assert (tmp_path / "report.html").is_file()


def test_a_dask_cluster_of_two_worker_processes_counts_the_same(
    plan_file, uninterrupted, timeless, tmp_path
):
    distributed = pytest.importorskip("distributed", reason="the package distributed is missing")
    options = {"processes": True, "n_workers": 2, "threads_per_worker": 1}
    with distributed.LocalCluster(**options, dashboard_address=":0") as cluster:
        plan = SweepPlan.from_toml(plan_file)
        execution = Execution(backend="dask", scheduler=cluster.scheduler_address)
        told = []
        record = run_sweep(plan, tmp_path, execution=execution, announce=told.append, verbose=False)
        assert "2 processes" in told[-1]
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            # both workers did some of it, and nothing ran here
            assert len(client.run(executed)) == 2
            assert sum(client.run(executed).values()) == CELLS
            assert min(client.run(executed).values()) > 0
    assert timeless(record) == uninterrupted


def told(job):
    return job.cell.key


@pytest.fixture
def empty_cluster(monkeypatch):
    """A Dask cluster of this process without a worker yet, and a client of it."""
    distributed = pytest.importorskip("distributed", reason="the package distributed is missing")
    monkeypatch.setattr(executors, "run_job", told)
    options = {"processes": False, "n_workers": 0, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**options, threads_per_worker=1) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield cluster, client


JOBS = [SimpleNamespace(cell=SimpleNamespace(key=f"cell-{i}")) for i in range(5)]


def test_workers_that_come_late_run_every_cell(empty_cluster):
    cluster, client = empty_cluster
    coming = threading.Timer(0.3, cluster.scale, [1])
    coming.start()
    assert sorted(executors.on_dask(JOBS, client)) == [job.cell.key for job in JOBS]
    coming.join()


def test_a_cluster_whose_workers_are_gone_is_not_waited_for_for_ever(empty_cluster, monkeypatch):
    monkeypatch.setattr(executors, "_QUIET_SECONDS", 0.2)
    with pytest.raises(WorkerLostError, match=r"no worker for 0\.2 s; what was finished"):
        list(executors.on_dask(JOBS, empty_cluster[1]))


def test_a_result_that_went_with_its_worker_is_not_waited_for_for_ever(empty_cluster, monkeypatch):
    monkeypatch.setattr(executors, "_QUIET_SECONDS", 0.3)
    cluster, client = empty_cluster
    cluster.scale(3)
    client.wait_for_workers(3)
    found = executors.on_dask(JOBS[:3], client)
    told = [next(found)]
    time.sleep(0.5)
    told.append(next(found))
    cluster.scale(0)
    cluster.sync(cluster._correct_state)
    with pytest.raises(WorkerLostError, match="no worker for"):
        told += list(found)
    assert len(set(told)) == len(told) == 2


def test_what_was_found_comes_before_what_raises(empty_cluster):
    cluster, client = empty_cluster
    cluster.scale(1)
    good, bad = client.submit(int, 3), client.submit(int, "x")
    for order in ([good, bad], [bad, good]):
        client.cluster.sync(asyncio.sleep, 0.3)
        found = executors._results(order, set())
        assert next(found) == 3
        with pytest.raises(ValueError, match="invalid literal"):
            next(found)


def executed(dask_worker):
    return sum(1 for event in dask_worker.state.log if event[1:3] == ("executing", "memory"))


def test_nobody_at_the_scheduler_is_told_with_the_cure(plan_file, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="the package distributed is missing")
    from art_disc.core.errors import InputError

    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 1)
    plan = SweepPlan.from_toml(plan_file)
    with pytest.raises(InputError, match="dask worker"):
        run_sweep(
            plan,
            tmp_path,
            execution=Execution(backend="dask", scheduler="tcp://127.0.0.1:9"),
            verbose=False,
        )


def test_journal_lines_are_json_of_their_own(plan_file, uninterrupted, tmp_path):
    # a busy machine may start no cell within a short limit
    for limit in (0.3, 1, 3, 10):
        here(plan_file, tmp_path, time_limit=limit)
        done = (tmp_path / "cells.jsonl").read_text().splitlines()
        if done:
            break
    assert 0 < len(done) < CELLS
    assert all({"hash", "key", "cell"} == set(json.loads(line)) for line in done)
