from fractions import Fraction
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.core.errors import InputError
from art_disc.core.intervals import mcnemar, paired_difference, wilson_interval

COUNTS = st.tuples(*[st.integers(0, 60)] * 4).filter(any)


@pytest.mark.parametrize(
    ("counts", "limits"),
    [
        # Newcombe 1998 (Statistics in Medicine 17: 2635-2650), table III, method 10
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.0562, 0.3292)),
        # Fagerland, Lydersen and Laake 2017, chapter 8: Cavo et al. 2012, Bentur et al. 2009
        ((59, 6, 16, 80), (-0.1186, -0.0046)),
        ((1, 1, 7, 12), (-0.5069, -0.0256)),
    ],
)
def test_published_intervals(counts, limits):
    assert paired_difference(*counts) == pytest.approx(limits, abs=6e-5)


def test_published_p_values():
    # Fagerland, Lydersen and Laake 2017, chapter 8: exact conditional test
    assert mcnemar(6, 16) == pytest.approx(0.052479, abs=1e-6)
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_both_tails_of_a_fair_coin(b, c):
    n, few = b + c, min(b, c)
    tail = Fraction(sum(comb(n, i) for i in range(few + 1)), 2**n)
    assert mcnemar(b, c) == pytest.approx(float(min(1, 2 * tail)), rel=1e-9)
    assert mcnemar(b, c) == mcnemar(c, b)


@given(COUNTS)
def test_the_interval_holds_the_difference_and_turns_with_it(counts):
    both, a, b, neither = counts
    low, high = paired_difference(*counts)
    difference = (a - b) / sum(counts)
    assert -1 <= low <= difference + 1e-12
    assert difference - 1e-12 <= high <= 1
    assert paired_difference(both, b, a, neither) == pytest.approx((-high, -low), abs=1e-12)
    # right and wrong exchanged: the same pairs differ, the other way round
    assert paired_difference(neither, b, a, both) == pytest.approx((-high, -low), abs=1e-9)


@given(COUNTS)
def test_more_confidence_is_wider(counts):
    low, high = paired_difference(*counts, confidence=0.8)
    wide_low, wide_high = paired_difference(*counts, confidence=0.99)
    assert wide_low <= low + 1e-12
    assert wide_high >= high - 1e-12


def test_without_correlation_it_is_newcombe_s_interval_of_independent_shares():
    # both * neither = only_a * only_b: phi is 0
    counts, n = (12, 8, 6, 4), 30
    p, q = 20 / n, 18 / n
    (low_p, high_p), (low_q, high_q) = wilson_interval(20, n), wilson_interval(18, n)
    low = p - q - sqrt((p - low_p) ** 2 + (high_q - q) ** 2)
    high = p - q + sqrt((high_p - p) ** 2 + (q - low_q) ** 2)
    assert paired_difference(*counts) == pytest.approx((low, high), abs=1e-12)


def test_it_covers_about_as_often_as_it_says():
    """Exact coverage over all tables of 20 pairs, at one point of the parameter space."""
    n, probabilities = 20, (0.4, 0.25, 0.1, 0.25)
    covered = 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            for c in range(n + 1 - a - b):
                counts = (a, b, c, n - a - b - c)
                ways = comb(n, a) * comb(n - a, b) * comb(n - a - b, c)
                chance = float(ways)
                for count, p in zip(counts, probabilities, strict=True):
                    chance *= p**count
                if chance > 1e-6:
                    low, high = paired_difference(*counts)
                    covered += chance * (low <= 0.15 <= high)
    assert 0.93 < covered < 0.99


@pytest.mark.parametrize("bad", [(-1, 1, 1, 1), (0, 0, 0, 0)])
def test_impossible_counts_are_refused(bad):
    with pytest.raises(InputError, match="four counts >= 0"):
        paired_difference(*bad)
    with pytest.raises(InputError, match="0 < confidence < 1"):
        paired_difference(1, 1, 1, 1, confidence=1)
    with pytest.raises(InputError, match=r"counts >= 0 .* got -1, 2"):
        mcnemar(-1, 2)
