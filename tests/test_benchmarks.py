"""The benchmarks run: sizes are tiny, and no time is judged."""

import re
import sys

import pytest
import torch

import art_disc as ad
from art_disc.core.records.study import StudyRecord
from benchmarks import calls, counting, growth, profiles, speed


def ours_and_peer(size):
    return (lambda: sum(range(size))), (lambda: sum(range(10 * size)))


def test_growth_is_measured_and_drawn(monkeypatch, tmp_path):
    axes = {name: axis._replace(made=ours_and_peer) for name, axis in growth.AXES.items()}
    monkeypatch.setattr(growth, "AXES", axes)
    words = ["growth", "--seconds", "0", "--most", "300", "--threads", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    growth.main()
    found = StudyRecord.load(tmp_path / "growth.json").results
    assert found.keys() == axes.keys()
    for name, measured in found.items():
        assert measured["sizes"] == [size for size in axes[name].sizes if size <= 300]
        assert [len(values) for values in measured.values()] == 4 * [len(measured["sizes"])]
        assert min(measured["ours"] + measured["peer"]) > 0
    picture = (tmp_path / "growth.svg").read_bytes()
    (tmp_path / "growth.svg").unlink()
    monkeypatch.setattr(growth, "measured", None)
    monkeypatch.setattr(sys, "argv", [*words, "--draw"])
    growth.main()
    assert (tmp_path / "growth.svg").read_bytes() == picture


@pytest.mark.parametrize("channels", [1, 3])
def test_counting_says_how_many_and_in_what_memory(channels, capsys):
    row = dict(zip(counting.HEADS, counting.row(2e5, channels, runs=1, dask=False), strict=True))
    # whole images of 256 x 256
    assert row["#pixels"] == "196,608"
    assert re.fullmatch(r"\d+ MB", row["#memory at most"])
    assert "100%" in capsys.readouterr().err


def test_calls_without_a_peer_have_times_of_their_own(monkeypatch):
    made = {("a", "b"): lambda: (lambda: 2.0, lambda: 4.0), ("c", ""): lambda: (lambda: 3.0, None)}
    monkeypatch.setattr(calls, "CALLS", made)
    rows = [["a", "b", "2", "4", "0.50", "2"], ["c", "", "3", "", "", "2"]]
    assert list(calls.call_rows(2)) == rows


def test_profiles_say_what_of_an_attack_is_ours(monkeypatch):
    images = torch.rand((4, 1, 8, 8), requires_grad=True)
    step = ad.PixelDiscretization(ad.Codebook([0.0, 1.0]))._map
    _, stats = profiles.profiled(lambda: torch.autograd.grad(step(images).sum(), images))
    # seconds without and with what was called: 1 and 4 of the step, 2 elsewhere in the package
    spent = {}
    for place in stats:
        own = (2.0, 2.0) if place[2] == "stand_in" else (0.0, 0.0)
        passes = {"straight_through": (1.0, 4.0), "backward": (1.0, 3.0)}
        in_step = place[0].endswith("surrogates/step.py")
        spent[place] = (1, 1, *(passes.get(place[2], own) if in_step else own), {})
    monkeypatch.setattr(profiles, "profiled", lambda _: (10.0, spent))
    name, *shares = profiles.row("n", lambda: None)
    where = "`defences/discretization.py`, `stand_in`"
    assert [name, *shares] == ["n", "40.0%", "30.0%", where, "20.0%"]


def test_medians_are_of_runs_in_turn():
    ticks, order = iter(range(100)), []
    ours, peer, runs = speed.compared(
        lambda: order.append("ours"), lambda: order.append("peer"), lambda: next(ticks), 0.0
    )
    assert (ours, peer, runs) == (1, 1, 1)
    assert order == ["ours", "peer"] * 2
