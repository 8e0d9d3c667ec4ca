from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.core.errors import InputError
from art_disc.core.intervals import clopper_pearson_lower, holm, wilson_interval

# normal quantiles of the two-sided confidences
QUANTILES = {0.95: 1.959963984540054, 0.99: 2.5758293035489004}

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.sampled_from(sorted(QUANTILES)))
def test_wilson_is_wilsons_formula(counts, confidence):
    k, n = counts
    z = QUANTILES[confidence]
    share, z2 = k / n, z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    expected = (max(0, centre - half), min(1, centre + half))
    assert wilson_interval(k, n, confidence) == pytest.approx(expected, abs=1e-9)
    if confidence == 0.95:
        assert wilson_interval(k, n) == wilson_interval(k, n, confidence)


def upper_tail(k, n, p):
    """P(X >= k), summed term by term."""
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


@given(COUNTS, st.sampled_from([0.9, 0.99, 0.999]))
def test_clopper_pearson_inverts_the_binomial_tail(counts, confidence):
    k, n = counts
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if upper_tail(k, n, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    assert clopper_pearson_lower(k, n, confidence) == pytest.approx(low if k else 0, abs=1e-7)


def test_adjusted_p_values_stay_probabilities():
    assert holm([0.6, 0.7, 0.02]) == pytest.approx([1, 1, 0.06])


def test_nothing_counted_has_no_lower_limit():
    assert clopper_pearson_lower(0, 50) == 0
    assert wilson_interval(0, 50)[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("limit", [wilson_interval, clopper_pearson_lower])
@pytest.mark.parametrize("bad", [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (1, 5, 0), (1, 5, 1)])
def test_impossible_counts_are_refused(limit, bad):
    with pytest.raises(InputError, match="0 <= successes <= total"):
        limit(*bad)
