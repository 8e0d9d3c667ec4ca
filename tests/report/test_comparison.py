"""Two runs side by side: counted pair by pair by hand, refused where they cannot be matched."""

import dataclasses
import json

import numpy as np
import pytest

from art_disc.cli import main
from art_disc.core.errors import InputError
from art_disc.core.intervals import mcnemar, paired_difference
from art_disc.report import compare, shortfalls, write_comparison, write_report

pytestmark = pytest.mark.usefixtures("unpainted")


@pytest.fixture
def two(make):
    a = make.record(outcomes=(make.outcome("pgd", range(1, 9)), make.outcome("fgsm", (30,))))
    b = make.record(outcomes=(make.outcome("pgd", range(5, 25)), make.outcome("fgsm", (31,))))
    return a, b


def shuffled(record, seed=0):
    """The same evaluation with its examples in another order."""
    order = np.random.default_rng(seed).permutation(len(record.labels))

    def mix(values):
        return tuple(values[i] for i in order) if values else ()

    lists = ("example_ids", "labels", "base_correct", "defended_correct")
    rows = tuple(
        dataclasses.replace(o, correct=mix(o.correct), perturbation=mix(o.perturbation))
        for o in record.outcomes
    )
    changes = {name: mix(getattr(record, name)) for name in lists}
    return dataclasses.replace(record, outcomes=rows, **changes)


def test_pairs_are_counted_example_by_example(two, make):
    a, b = two
    found = compare(a, b, names=("one", "two"))
    clean, large = found.rows
    assert (clean.eps, clean.both, clean.neither, clean.only_a, clean.only_b) == (0, 39, 1, 0, 0)
    # wrong by itself: 0; a loses 1..8 and 30, b loses 5..24 and 31
    assert (large.eps, large.only_a, large.only_b) == (make.large, 16 + 1, 4 + 1)
    assert (large.neither, large.both) == (1 + 4, 40 - 17 - 5 - 5)
    assert large.a == a.worst(make.large)
    assert large.b == b.worst(make.large)
    assert large.difference == pytest.approx(large.a.value - large.b.value)
    assert large.interval == paired_difference(13, 17, 5, 5)
    assert large.p_value == mcnemar(17, 5)
    # the small budget was attacked in neither
    assert found.left_out == (make.small,)


def test_the_order_of_the_examples_does_not_matter(two):
    a, b = two
    assert compare(a, shuffled(b)).rows == compare(a, b).rows
    assert compare(shuffled(a, 3), shuffled(b)).rows == compare(a, b).rows


def test_exchanging_the_runs_exchanges_the_counts(two):
    a, b = two
    one, other = compare(a, b).rows[1], compare(b, a).rows[1]
    assert (one.only_a, one.only_b) == (other.only_b, other.only_a)
    assert one.difference == -other.difference
    assert one.p_value == other.p_value


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dataset": {"name": "mnist", "fingerprint": "cd" * 8}}, "same data fingerprint"),
        ({"dataset": {"name": "mnist"}}, "without a data fingerprint"),
        ({"norm": "2"}, "same norm, got inf and 2"),
        ({"clip_values": (0.0, 255.0)}, "same input range"),
        ({"example_ids": tuple(range(101, 141))}, "40 and 40 of which 39 are shared"),
        ({"example_ids": (100,) * 40}, "of which 1 are shared"),
        ({"labels": (3,) * 40}, "labels of the two runs differ"),
        ({"outcomes": ()}, "no budget was attacked in both"),
    ],
)
def test_what_cannot_be_matched_is_refused(two, changes, told):
    a, b = two
    other = dataclasses.replace(b, **changes)
    with pytest.raises(InputError, match=told):
        compare(a, other)
    with pytest.raises(InputError):
        compare(other, a)


def test_an_example_that_is_there_twice_is_refused(two):
    twice = (100, *range(100, 139))
    a, b = (dataclasses.replace(record, example_ids=twice) for record in two)
    with pytest.raises(InputError, match="of which 39 are shared"):
        compare(a, b)


def test_why_two_numbers_may_not_compare_is_told(two, make):
    a, b = two
    square = make.outcome("square", (1,), knowledge="none")
    a = dataclasses.replace(a, outcomes=(*a.outcomes, square), checks=(make.check(1),))
    told = " ".join(compare(a, dataclasses.replace(b, complete=False)).cautions)
    assert "Only a was attacked by square" in told
    assert "b: Not checked: the run" in told
    assert "b was interrupted" in told
    assert "a: " not in told, "its checks passed"


def with_checks(record, make, tier, *checks):
    made = tuple(make.check(n, status, tier=own) for n, status, own in checks)
    return dataclasses.replace(record, checks=made, checks_tier=tier)


def test_both_runs_are_held_to_the_same_checks(two, make):
    quick = (1, "pass", "quick"), (3, "pass", "quick")
    a = with_checks(two[0], make, "quick", *quick)
    b = with_checks(two[1], make, "standard", *quick, (5, "pass", "standard"))
    found = compare(a, b)
    assert (found.a.verdict, found.b.verdict) == ("No flaw found by 2 quick checks",) * 2
    assert found.cautions == ("Only b was asked for C5: left out of both verdicts.",)

    # what failed is told although the other run was not asked for it
    b = with_checks(two[1], make, "standard", *quick, (5, "fail", "standard"))
    found = compare(a, b)
    assert found.b.verdict == "No flaw found by 2 quick checks"
    assert "b: Flawed: C5 failed (of 3 standard checks). Its numbers may" in found.cautions[0]
    assert compare(b, a, names=("b", "a")).cautions == found.cautions

    alone = compare(a, two[1])
    assert (alone.a.verdict, alone.b.verdict) == ("No check in common",) * 2
    assert compare(*two).a.verdict == "Not checked"


def test_the_page_and_the_json_hold_the_counts(tmp_path, two, parse):
    found = compare(*two, names=("one", "two"))
    page = parse(write_comparison(found, tmp_path).read_text(encoding="utf-8"))
    row = page.row_of("0.3")
    low, high = found.rows[1].interval
    assert row[1].endswith("30 of 40")
    assert row[2].endswith("18 of 40")
    assert row[3:] == ("+30.0", f"[{100 * low:+.1f}, {100 * high:+.1f}]", "17", "5", "0.0169")
    assert "Newcombe" in page.text
    assert "Attacked in one run alone, so not compared: eps 0.0313725." in page.text
    data = json.loads((tmp_path / "compare.json").read_text())
    assert data["rows"][1]["mcnemar_p"] == found.rows[1].p_value
    assert data["rows"][1]["interval_95"] == [low, high]
    assert (data["a"]["name"], data["b"]["name"]) == ("one", "two")


def test_the_command_prints_and_writes(tmp_path, two, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, record in zip(("one", "two"), two, strict=True):
        write_report(record, tmp_path / name)
    assert main(["compare", "one", "two"]) == 0
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if line.split()[0] == "0.3")
    assert line.split() == [
        "0.3",
        "75.00%",
        "45.00%",
        "+30.00",
        *line.split()[4:6],
        "17",
        "5",
        "0.0169",
    ]
    assert (tmp_path / "runs/compare-one-two/compare.html").is_file()
    assert main(["compare", "one", "two", "--out", "here"]) == 0
    assert (tmp_path / "here/compare.json").is_file()


def test_the_command_names_folders_that_are_called_alike(tmp_path, two, capsys):
    for name, record in zip(("x/run", "y/run"), two, strict=True):
        write_report(record, tmp_path / name)
    runs = [str(tmp_path / name) for name in ("x/run", "y/run")]
    assert main(["compare", *runs, "--out", str(tmp_path / "out")]) == 0
    assert "a: x/run (Not checked)" in capsys.readouterr().out


def test_the_command_takes_evaluations_alone(tmp_path, certificate, two, capsys):
    write_report(certificate, tmp_path / "c")
    write_report(two[0], tmp_path / "e")
    assert main(["compare", str(tmp_path / "e"), str(tmp_path / "c")]) == 2
    assert (
        "must hold the record of an evaluation, got one of a certificate" in capsys.readouterr().err
    )
    assert main(["compare", str(tmp_path / "e"), str(tmp_path / "none")]) == 2


def test_a_run_falls_short_by_more_points_than_allowed(two):
    worse, better = reversed(two)
    lost = next(row for row in compare(worse, better).rows if row.eps)
    points = -100 * lost.difference
    assert points > 5
    (line,) = shortfalls(worse, better, points=points - 0.01)
    assert f"{points:.2f} points below" in line
    assert shortfalls(worse, better, points=points) == ()
    assert shortfalls(better, worse, points=0) == ()
    with pytest.raises(InputError, match="points"):
        shortfalls(worse, better, points=-1)


def test_a_run_falls_short_where_it_was_tested_less(two, make):
    a, _ = two
    larger = make.outcome("square", (), eps=0.6)
    wider = dataclasses.replace(a, eps=(*a.eps, 0.6), outcomes=(*a.outcomes, larger))
    told = " / ".join(shortfalls(a, wider, points=100))
    assert "budgets not attacked any more: 0.6" in told
    assert "attacks not run any more: square" in told
    assert shortfalls(wider, a, points=100) == ()
    sound = with_checks(a, make, "quick", (3, "pass", "quick"), (10, "pass", "quick"))
    flawed = with_checks(a, make, "quick", (3, "fail", "quick"))
    assert shortfalls(flawed, sound, points=0) == ("checks not passed any more: C3, C10",)
    assert shortfalls(sound, flawed, points=0) == ()
    stopped = dataclasses.replace(a, complete=False)
    assert shortfalls(stopped, a, points=0) == ("interrupted before its end",)
    assert shortfalls(a, stopped, points=0) == ()


def test_the_command_fails_a_build_whose_run_falls_short(tmp_path, two, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, record in zip(("better", "worse"), two, strict=True):
        record.save(f"{name}/record.json")
    assert main(["compare", "worse", "better"]) == 0
    assert main(["compare", "worse", "better", "--fail-below", "99"]) == 0
    assert "falls short" not in capsys.readouterr().out
    assert main(["compare", "worse", "better", "--fail-below", "2"]) == 1
    assert "worse falls short: accuracy at eps" in capsys.readouterr().out
