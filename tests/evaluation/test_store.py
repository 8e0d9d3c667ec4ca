"""What of an earlier run is taken up: the same work on the same examples, of the same facts."""

from dataclasses import fields, replace
from types import SimpleNamespace

import pytest

from art_disc.core.errors import InputError
from art_disc.evaluation.planned import PlannedTrial
from art_disc.evaluation.store import FinishedTrials
from tests.report.conftest import N, make_record, outcome

DONE = outcome("pgd", (1, 2))
PLANNED = PlannedTrial(
    attack="pgd",
    source=None,
    models=("defended",),
    knowledge=DONE.knowledge,
    surrogate=DONE.surrogate,
    norm=DONE.norm,
    eps=DONE.eps,
    targeted=DONE.targeted,
    settings=dict(DONE.settings),
)


def test_what_is_finished_is_taken_and_says_who_asks_now():
    finished = FinishedTrials((outcome("fgsm"), DONE))
    assert finished.take(PLANNED, ()) == [DONE]
    assert finished.take(replace(PLANNED, asked_by="C9"), ()) == [replace(DONE, asked_by="C9")]


@pytest.mark.parametrize(
    "change",
    [
        {"attack": "fgsm"},
        {"knowledge": "base"},
        {"surrogate": None},
        {"norm": "2"},
        {"eps": 0.2},
        {"targeted": True},
        {"settings": {**DONE.settings, "max_iter": 41}},
        {"models": ("base",)},
        {"models": ("defended", "base")},
        # an object may differ in what its parameters do not tell
        {"own": object()},
    ],
)
def test_other_work_runs(change):
    assert FinishedTrials((DONE,)).take(replace(PLANNED, **change), ()) == []


def test_a_part_is_no_whole_and_what_failed_is_not_finished():
    part = outcome("pgd", (1, 2), n=10, positions=tuple(range(10)))
    assert FinishedTrials((part,)).take(PLANNED, tuple(range(10))) == [part]
    for others in ((), tuple(range(9)), tuple(range(11)), tuple(range(1, 11))):
        assert FinishedTrials((part,)).take(PLANNED, others) == []
    failed = replace(DONE, status="failed", reason="why", correct=(), perturbation=())
    assert FinishedTrials((failed,)).take(PLANNED, ()) == []


def facts_of(record):
    return SimpleNamespace(**{field.name: getattr(record, field.name) for field in fields(record)})


@pytest.mark.parametrize(
    "name",
    [
        "dataset", "example_ids", "network", "defences", "codebook", "norm", "clip_values", "seed",
        "settings", "reference", "base_correct", "defended_correct", "reference_correct",
    ],
)  # fmt: skip
def test_a_run_of_other_facts_is_refused(tmp_path, name):
    record = make_record(reference={"name": "net"}, reference_correct=(True,) * N)
    record.save(tmp_path / "record.json")
    facts = facts_of(record)
    assert FinishedTrials.of(tmp_path, facts).left_over([]) == list(record.outcomes)
    setattr(facts, name, None)
    with pytest.raises(InputError, match=f"a run with another {name};"):
        FinishedTrials.of(tmp_path, facts)


def test_a_run_of_other_libraries_is_refused(tmp_path):
    record = make_record()
    record.save(tmp_path / "record.json")
    facts = facts_of(record)
    facts.environment = replace(record.environment, packages={"numpy": "2.0.1", "torch": "2.4.0"})
    with pytest.raises(InputError, match="made with other versions of the libraries"):
        FinishedTrials.of(tmp_path, facts)
