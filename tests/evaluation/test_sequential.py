"""A sequential evaluation: the per-example worst, by attacks on what others have left."""

from dataclasses import replace

import numpy as np
import pytest

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.core.records.outcomes import WHITE_BOX
from art_disc.evaluation.planned import PlannedTrial
from art_disc.evaluation.standing import NONE_STAND, standing
from art_disc.report.curves import _step_rows
from tests.report.conftest import N, outcome

# no random start: what an attack finds of an image hangs on that image alone
OPTIONS = {
    "eps": [0.05, 0.2, 0.6], "attacks": ["fgsm", "pgd", "square", "mim"], "n_ex": 30,
    "checks": None, "verbose": False,
    "settings": {
        "pgd.max_iter": 5, "pgd.num_random_init": 0, "square.max_iter": 20, "mim.max_iter": 5,
    },
}  # fmt: skip

HIT = replace(outcome("pgd", ()), correct=(False,) * N, grid_correct=(False,) * N)


@pytest.fixture(scope="module")
def both(digits, defended):
    whole = ad.evaluate(defended, digits, **OPTIONS).record
    return whole, ad.evaluate(defended, digits, **OPTIONS, sequential=True).record


def test_no_share_of_the_worst_changes(both):
    whole, record = both
    for eps in OPTIONS["eps"]:
        for model in ("defended", "base"):
            for knowledge in (("none", "base", *WHITE_BOX), WHITE_BOX, ("base",), ("none",)):
                for grid in (False, True):
                    asked = {"model": model, "knowledge": knowledge, "grid": grid}
                    assert record.worst(eps, **asked) == whole.worst(eps, **asked)
    assert record.sequential
    assert not whole.sequential


def test_an_attack_gets_what_stands_and_no_more(both):
    whole, record = both
    assert sum(o.gradients for o in record.outcomes) < sum(o.gradients for o in whole.outcomes)
    firsts = set()
    for row in record.select(scored_on="defended", norm="inf"):
        kind = row.knowledge, row.eps
        assert bool(row.positions) == (kind in firsts)
        firsts.add(kind)
    pgd = record.select(attack="pgd", knowledge="bpda", eps=0.05)[0]
    before = record.select(attack="fgsm", knowledge="bpda", eps=0.05)
    left = np.ones(30, dtype=bool)
    for one in before:
        left[np.intersect1d(one.broken_positions(0.05), one.broken_positions(0.05, grid=True))] = 0
    assert pgd.positions == tuple(np.flatnonzero(left & record.defended_correct))


def test_what_nobody_has_to_attack_is_skipped_with_the_reason(both):
    _, record = both
    skipped = [o for o in record.outcomes if o.status == "skipped"]
    assert skipped
    assert {o.reason for o in skipped} == {NONE_STAND}
    for one in skipped:
        assert not any(record.survives(one.eps, model=one.scored_on, knowledge=(one.knowledge,)))


def test_an_interrupted_one_equals_an_uninterrupted_one(both, tmp_path, digits, defended):
    def stop(record):
        if len(record.outcomes) > 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ad.evaluate(defended, digits, **OPTIONS, sequential=True, out=tmp_path, callback=stop)
    with pytest.raises(InputError, match="another settings"):
        ad.evaluate(defended, digits, **OPTIONS, out=tmp_path, resume=True)
    options = {**OPTIONS, "sequential": True, "out": tmp_path, "resume": True}
    again = ad.evaluate(defended, digits, **options).record
    assert [replace(o, seconds=0) for o in again.outcomes] == [
        replace(o, seconds=0) for o in both[1].outcomes
    ]


def test_checks_are_refused(digits, defended):
    with pytest.raises(InputError, match="checks=None"):
        ad.evaluate(defended, digits, eps=0.1, sequential=True)


def test_the_report_says_what_parts_are(both, tmp_path, digits, defended):
    page = ad.evaluate(defended, digits, **OPTIONS, sequential=True).report(tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "no attack before it had broken (part)" in text
    assert "later attacks had only what stood before them" in text
    # curves over steps are of attacks on all examples alone
    assert {len(row.correct) for row in _step_rows(both[1])} == {30}


@pytest.mark.parametrize(
    "change",
    [
        {"knowledge": "base"},
        {"scored_on": "base"},
        {"norm": "2"},
        {
            "status": "failed",
            "reason": "why",
            "correct": (),
            "perturbation": (),
            "grid_correct": (),
        },
        # broken, but not once rounded to the grid
        {"grid_correct": (True,) * N},
        # farther than the budget
        {"perturbation": (HIT.eps * 2,) * N},
    ],
)
def test_only_the_same_kind_of_attacker_spares_an_example(change):
    names = ("attack", "knowledge", "surrogate", "norm", "eps", "targeted", "settings")
    same = {name: getattr(HIT, name) for name in names}
    planned = PlannedTrial(source=None, models=("defended",), **same)
    clean = {"defended": np.ones(N, dtype=bool)}
    assert not standing([HIT], planned, clean).any()
    assert standing([replace(HIT, **change)], planned, clean).all()
    # the first attack at another budget has all, whatever is broken
    assert standing([HIT], replace(planned, eps=2 * HIT.eps), clean).all()
    assert standing([HIT], replace(planned, own=object()), clean).all()
