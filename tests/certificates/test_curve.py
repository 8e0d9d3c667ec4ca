"""Certificates over budgets: what is carried over is what would have been found, and saves work."""

import dataclasses
import inspect

import numpy as np
import pytest

from art_disc.certificates import run
from art_disc.certificates.complete import method
from art_disc.certificates.methods import METHODS
from art_disc.certificates.problem import Finding
from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.core.records import load_record
from art_disc.metrics import CurveInterrupted, Spend, certificate_curve, certify
from tests.certificates.conftest import graded

EPS = (0.01, 0.03, 0.1)
OPTIONS = {"method": "complete", "spend": Spend(nodes=30, seconds=1e6), "verbose": False}


@pytest.fixture(scope="module")
def task():
    return graded()


@pytest.fixture
def searched(monkeypatch):
    """Budgets and images that are searched."""
    seen, search = [], method.Search

    def watched(scene, index, spend, bound):
        threat, images = scene.problem.threat, scene.problem.images
        seen.append((round(threat.eps, 6), images[index].tobytes()))
        return search(scene, index, spend, bound)

    monkeypatch.setattr(method, "Search", watched)
    return seen


def test_an_option_that_there_is_not_is_of_the_curve(task):
    with pytest.raises(TypeError, match=r"certificate_curve\(\) got an unexpected .*'methd'"):
        certificate_curve(*task, eps=0.1, methd="bounds")


def test_the_options_are_those_of_certify(task):
    mine, others = (inspect.signature(f).parameters for f in (certificate_curve, certify))
    assert list(mine) == list(others)
    for name in set(mine) - {"eps"}:
        assert mine[name].default == others[name].default
    assert {mine[name].kind for name in mine} == {others[name].kind for name in others}


@pytest.mark.parametrize("certified", [certify, certificate_curve])
def test_a_folder_that_is_a_file_is_refused_before_any_work(task, tmp_path, certified):
    _, x, y = task
    path = tmp_path / "file"
    path.write_text("kept")
    with pytest.raises(InputError, match="expected a folder"):
        certified(None, x, y, eps=0.1, out=path)
    assert path.read_text() == "kept"


def test_carried_verdicts_are_those_of_each_budget_alone(task, searched, assert_witnesses):
    alone = [certify(*task, eps=eps, **OPTIONS) for eps in EPS]
    work = len(searched)
    searched.clear()
    curve = certificate_curve(*task, eps=(0.1, *EPS), **OPTIONS)
    assert curve.record.complete
    assert [one.record.eps for one in curve.certificates] == list(EPS)
    assert 0 < len(searched) <= work
    carried = set()
    for one, own in zip(curve.certificates, alone, strict=True):
        assert_witnesses(one, *task, one.record.eps)
        for mine, verdict in zip(one.verdicts, own.verdicts, strict=True):
            assert verdict in (mine, "undecided")
        record = one.record
        for i, at in enumerate(record.decided_at):
            if at is None:
                continue
            carried.add(record.verdicts[i])
            (source,) = (c.record for c in curve.certificates if c.record.eps == at)
            assert source.verdicts[i] == record.verdicts[i]
            assert not source.decided_at or source.decided_at[i] is None
            assert record.verdicts[i] == "falsified" or at > record.eps
            # what is carried is not searched
            assert (round(record.eps, 6), task[1][i].tobytes()) not in searched
    assert "certified" in carried
    assert {v for one in alone for v in one.verdicts} == {"certified", "falsified", "undecided"}


def steered(findings):
    """Make a method that answers by budget and image, and notes what it is asked."""
    asked = []

    def answer(problem, options):
        eps = round(problem.threat.eps, 6)
        asked.append((eps, problem.to_decide))
        return {i: findings(eps, i, problem) for i in problem.to_decide}

    return answer, asked


def one_pixel(thresholded):
    """A pixel at .45, which reaches the wrong codeword from eps .05 on, and witnesses of it."""
    x = np.full((2, 1, 1, 1), 0.45, np.float32)
    return thresholded(Codebook([0.0, 1.0]), (1, 1, 1), 0.5), x, np.zeros(2, int)


@pytest.mark.parametrize("at", [0.06, 0.2])
def test_a_witness_holds_where_it_lies_and_at_every_larger_budget(thresholded, monkeypatch, at):
    task = one_pixel(thresholded)
    witness = np.full((1, 1, 1), 0.505 if at == 0.06 else 0.6, np.float32)

    def findings(eps, i, problem):
        if eps == at and i == 0:
            return Finding("falsified", witness=witness)
        return Finding("undecided", "too hard")

    answer, asked = steered(findings)
    monkeypatch.setitem(METHODS, "steered", answer)
    curve = certificate_curve(
        *task, eps=[0.06, 0.1, 0.2], method="steered", arithmetic="float", verbose=False
    )
    verdicts = [one.verdicts[0] for one in curve.certificates]
    inside = [abs(float(witness.squeeze()) - 0.45) <= eps for eps in (0.06, 0.1, 0.2)]
    assert verdicts == ["falsified" if legal else "undecided" for legal in inside]
    assert all(one.verdicts[1] == "undecided" for one in curve.certificates)
    for one in curve.certificates:
        falsified = one.verdicts[0] == "falsified"
        assert list(one.witnesses) == [0] * falsified
        assert one.record.reasons[0] == ("" if falsified else "too hard")
        other = falsified and one.record.eps != at
        assert (one.record.decided_at[:1] == (at,)) == other
    assert asked[0] == (0.2, (0, 1))
    assert len(asked) == 3


def test_certified_is_carried_down_alone_and_by_no_less_sure_a_measure(thresholded, monkeypatch):
    task = one_pixel(thresholded)

    def findings(eps, i, problem):
        return Finding("certified") if eps == 0.04 else Finding("undecided", "too hard")

    answer, asked = steered(findings)
    monkeypatch.setitem(METHODS, "steered", answer)
    options = {"eps": [0.02, 0.04, 0.1], "method": "steered", "verbose": False}
    curve = certificate_curve(*task, **options)
    assert [one.verdicts for one in curve.certificates] == [
        ("certified",) * 2, ("certified",) * 2, ("undecided",) * 2
    ]  # fmt: skip
    assert [one.record.decided_at for one in curve.certificates] == [(0.04, 0.04), (), ()]
    assert asked[-1] == (0.02, ())
    decide = run.Task.certificate

    def steadier(self, eps, *rest):
        noise = {0.02: 2e-6, 0.04: 1e-6, 0.1: 1e-6}[eps]
        target = dataclasses.replace(self.target, noise=noise)
        return decide(dataclasses.replace(self, target=target), eps, *rest)

    monkeypatch.setattr(run.Task, "certificate", steadier)
    assert certificate_curve(*task, **options).certificates[0].verdicts == ("undecided",) * 2


def test_a_curve_that_is_stopped_goes_on(task, searched, monkeypatch, tmp_path):
    whole = certificate_curve(*task, eps=EPS, **OPTIONS)
    work = sorted(searched)
    searched.clear()
    watched = method.Search

    def stopped(scene, *rest):
        if round(scene.problem.threat.eps, 6) == EPS[1]:
            raise KeyboardInterrupt
        return watched(scene, *rest)

    monkeypatch.setattr(method, "Search", stopped)
    with pytest.raises(CurveInterrupted) as stop:
        certificate_curve(*task, eps=EPS, out=tmp_path, **OPTIONS)
    partial = stop.value.partial
    assert [one.record.eps for one in partial.certificates] == [EPS[2]]
    assert not partial.record.complete
    monkeypatch.setattr(method, "Search", watched)
    curve = certificate_curve(*task, eps=EPS, out=tmp_path, **OPTIONS)
    assert sorted(searched) == work
    for one, other in zip(curve.certificates, whole.certificates, strict=True):
        assert one.verdicts == other.verdicts
        assert one.record.decided_at == other.record.decided_at
    page = curve.report(tmp_path).read_text()
    assert "Certificates over budgets" in page
    assert load_record(tmp_path / "record.json") == curve.record
    for one in curve.certificates:
        there = load_record(tmp_path / f"eps-{one.record.eps:g}" / "record.json")
        assert there == one.record


def test_records_that_contradict_each_other_are_no_curve(task):
    curve = certificate_curve(*task, eps=EPS[:2], **OPTIONS).record
    small, large = curve.certificates
    place = small.verdicts.index("certified")
    broken = list(small.verdicts)
    broken[place] = "falsified"
    lower = dataclasses.replace(small, verdicts=tuple(broken))
    upper = dataclasses.replace(large, verdicts=("certified",) * 10)
    with pytest.raises(InputError, match=rf"example {place} is falsified at 0.01 and certified"):
        dataclasses.replace(curve, certificates=(lower, upper))
    with pytest.raises(InputError, match="must rise"):
        dataclasses.replace(curve, certificates=(large, small))
