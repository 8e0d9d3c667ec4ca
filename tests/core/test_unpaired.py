from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.core.errors import InputError
from art_disc.core.intervals import unpaired_difference

Z_95 = 1.959963984540054
SHARES = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("counts", "limits"),
    [
        # Newcombe 1998 (Statistics in Medicine 17: 873-890), table II, method 10
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
    ],
)
def test_published_intervals(counts, limits):
    assert unpaired_difference(*counts) == pytest.approx(limits, abs=6e-5)


@given(SHARES, SHARES)
def test_the_formula(a, b):
    def wilson(k, n):
        root = Z_95 * sqrt(Z_95**2 + 4 * k * (1 - k / n))
        return [(2 * k + Z_95**2 + sign * root) / (2 * (n + Z_95**2)) for sign in (-1, 1)]

    (l1, u1), (l2, u2) = wilson(*a), wilson(*b)
    p1, p2 = a[0] / a[1], b[0] / b[1]
    low = p1 - p2 - sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
    high = p1 - p2 + sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
    assert unpaired_difference(*a, *b) == pytest.approx((max(low, -1), min(high, 1)), abs=1e-6)
    other = unpaired_difference(*b, *a)
    assert unpaired_difference(*a, *b) == pytest.approx((-other[1], -other[0]), abs=1e-9)


@pytest.mark.parametrize("bad", [(1, 0, 1, 2), (3, 2, 1, 2), (1, 2, -1, 2), (1, 2, 1, 2, 1.0)])
def test_impossible_counts_are_refused(bad):
    with pytest.raises(InputError, match="0 <= successes <= total"):
        unpaired_difference(*bad)
