"""Fresh draws counted: rules by hand, the persistent attacker by brute force over subsets."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from art_disc.core.errors import InputError
from art_disc.core.intervals import clopper_pearson_interval
from art_disc.core.records.base import Environment
from art_disc.core.records.draws import DrawsRecord, PersistentCurve, persistent_curve, unbroken

HERE = Environment("2025-01-02", "0.1.0", "3.12.0", "linux", {"numpy": "2.0.0"})


def record(right, draws, **changes):
    values = {
        "draws": draws,
        "right": tuple(right),
        "mean_correct": tuple(2 * r >= draws for r in right),
        "vote_correct": tuple(2 * r > draws for r in right),
        "seed": 1,
        "defences": ("GaussianNoise(sigma=0.1)",),
        "environment": HERE,
    }
    return DrawsRecord(**values | changes)


def by_subsets(right, draws, t):
    """Share of the subsets of t draws in which at least one is wrong."""
    each = [i >= right for i in range(draws)]
    return np.mean([any(some) for some in itertools.combinations(each, t)])


def counts(draws):
    return st.tuples(st.just(draws), st.lists(st.integers(0, draws), min_size=1, max_size=5))


@given(st.integers(1, 7).flatmap(counts))
def test_the_persistent_curve_is_that_of_all_subsets(case):
    draws, right = case
    curve = persistent_curve(record(right, draws))
    assert curve.submissions == tuple(range(1, draws + 1))
    for t in curve.submissions:
        expected = [by_subsets(r, draws, t) for r in right]
        assert curve.at(t) == pytest.approx(np.mean(expected), abs=1e-12)
        if len(right) > 1:
            error = np.std(expected, ddof=1) / math.sqrt(len(right))
            assert curve.errors[t - 1] == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("p", [0.3, 0.9, 0.99])
def test_the_estimate_has_no_bias_where_the_plug_in_has(p):
    draws, counts = 20, np.arange(21)
    weights = stats.binom.pmf(counts, draws, p)
    left = unbroken(tuple(counts), draws, draws)
    powers = p ** np.arange(1, draws + 1)
    assert left @ weights == pytest.approx(powers, abs=1e-12)
    plug_in = ((counts / draws)[None] ** np.arange(1, draws + 1)[:, None]) @ weights
    assert (plug_in[1:] > powers[1:]).all()


def test_rules_and_their_exact_intervals():
    made = record([0, 1, 2, 3, 4, 4], 4, vote_correct=(False, False, False, True, True, True))
    counts = {"mean": 4, "vote": 3, "any": 5, "all": 2}
    assert {rule: made.share(rule).count for rule in counts} == counts
    assert made.draw_accuracy == 14 / 24
    # whoever needs to win once wins within all the draws where one of them is wrong
    assert persistent_curve(made).at(4) == pytest.approx(1 - made.share("all").value)
    assert persistent_curve(made).at(1) == pytest.approx(1 - made.draw_accuracy)
    low, high = made.share("all").interval
    # exactly: either limit is where so few, or so many, have a probability of 2.5 %
    assert stats.binom.sf(1, 6, low) == pytest.approx(0.025)
    assert stats.binom.cdf(2, 6, high) == pytest.approx(0.025)
    with pytest.raises(InputError, match="mean, vote, any, all"):
        made.share("some")


def test_interval_at_the_ends():
    assert clopper_pearson_interval(0, 10)[0] == 0
    assert clopper_pearson_interval(10, 10) == pytest.approx((0.025 ** (1 / 10), 1))


def test_more_submissions_than_draws_are_refused():
    with pytest.raises(InputError, match="make more draws"):
        persistent_curve(record([2, 3], 4), submissions=5)
    with pytest.raises(InputError, match="whole number"):
        persistent_curve(record([2, 3], 4), submissions=0)


def test_json_and_back(tmp_path):
    made = record([0, 2, 4], 4)
    assert DrawsRecord.load(made.save(tmp_path / "draws.json")) == made
    curve = persistent_curve(made)
    assert PersistentCurve.load(curve.save(tmp_path / "curve.json")) == curve
