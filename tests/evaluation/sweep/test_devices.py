"""How many processes, which GPU each, with GPUs that are not there, and until when."""

import os
import time

import pytest
import torch

from art_disc.core.errors import InputError
from art_disc.evaluation.sweep import (
    Execution,
    SweepPlan,
    WorkerLostError,
    executors,
    run,
    work,
)
from art_disc.evaluation.sweep.prepare import pick_device

PLAN = SweepPlan("some", ("digits",), ("none",), (0.1,), ("fgsm",))


@pytest.fixture
def another_process(monkeypatch):
    """Forget what this process holds, as a fresh worker would; give it back at the end."""
    held = []

    def start():
        held.append({})
        monkeypatch.setattr(work, "_HELD", held[-1])
        return held[-1]

    start()
    yield start
    for claims in held:
        for _, lock in claims.values():
            lock.release()


def test_each_process_takes_its_own_and_keeps_it(tmp_path, another_process):
    assert [work.claim(tmp_path, 2) for _ in range(3)] == [0, 0, 0]
    second = another_process()
    assert work.claim(tmp_path, 2) == 1
    another_process()
    with pytest.raises(InputError, match="all 2 GPUs are taken"):
        work.claim(tmp_path, 2)
    # a process that dies gives its GPU back
    second.popitem()[1][1].release()
    assert work.claim(tmp_path, 2) == 1


def test_a_worker_sets_the_device_that_it_claimed(tmp_path, another_process, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: chosen[-1])
    place = work.Workplace(tmp_path, PLAN, device="cuda", gpus=2)
    assert work._device(place) == "cuda:0"
    another_process()
    assert work._device(place) == "cuda:1"


def test_there_are_as_many_processes_as_gpus(tmp_path, monkeypatch):
    assert Execution().processes(threads=1, gpus=3) == 3
    assert Execution(jobs=2).processes(threads=1, gpus=3) == 2
    with pytest.raises(InputError, match="there are 3"):
        Execution(jobs=4).processes(threads=1, gpus=3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    sent = []
    monkeypatch.setattr(run, "processes", lambda jobs, *_, **__: sent.extend(jobs))
    place = work.Workplace(tmp_path, PLAN, device="cuda")
    jobs = [work.CellJob(i, str(i), "", "", place) for i in range(9)]
    with run._workers(Execution(), place, jobs) as (count, start):
        start(jobs, float("inf"))
    assert count == 3
    assert {job.place.gpus for job in sent} == {3}


def test_a_gpu_that_is_not_there_is_refused_unless_the_cluster_has_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert pick_device("auto", cluster=False) == "cpu"
    assert pick_device("cuda", cluster=True) == "cuda"
    with pytest.raises(InputError, match="no GPU"):
        pick_device("cuda", cluster=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert pick_device("auto", cluster=False) == "cuda"


def test_a_job_that_was_taken_ahead_is_not_started_when_it_is_too_late(monkeypatch):
    monkeypatch.setattr(executors, "run_job", lambda job: job)
    assert executors._run_before("job", time.time() + 60) == "job"
    assert executors._run_before("job", time.time() - 1e-3) is None


def test_a_worker_that_dies_is_told_with_the_cure(monkeypatch):
    monkeypatch.setattr(executors, "_run_before", lambda *_, **__: os._exit(3))
    with pytest.raises(WorkerLostError, match=r"what was finished is kept.*fewer --jobs"):
        list(executors.processes(["a", "b", "c"], 2, 1))


@pytest.mark.parametrize(
    "options",
    [{"backend": "ray"}, {"backend": "dask"}, {"scheduler": "tcp://a:1"}, {"jobs": 0}],
)
def test_executions_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError):
        Execution(**options)
