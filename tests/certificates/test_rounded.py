"""What a divergence proves of a probability, against 60 digits: never more, and hardly less."""

import itertools

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from scipy.special import ndtri

from art_disc.certificates.divergence.cells import (
    categorical_divergence,
    codeword_divergence,
    shift_divergence,
)
from art_disc.certificates.divergence.gaussian import smoothing_highest, smoothing_lowest
from art_disc.certificates.divergence.invert import divergence_needed, lowest_probability

ORDERS = (1.0, 2.0, 8.0, np.inf)


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(60):
        yield


def quantile(p):
    """Phi^-1, by Newton's steps from float64 on."""
    z = mpf(float(ndtri(p)))
    for _ in range(5):
        z -= mpmath.log(mpmath.ncdf(z) / p) * mpmath.ncdf(z) / mpmath.npdf(z)
    return z


@pytest.mark.parametrize("shift", [1e-9, 0.1, 1.7])
def test_smoothing_is_rounded_outward(shift):
    for p in (1e-17, 0.013, 0.3, 0.5, 0.77, 0.999, 1 - 1e-9):
        z = quantile(p)
        least, most = mpmath.ncdf(z - shift), mpmath.ncdf(z + shift)
        lowest = float(smoothing_lowest(p, shift))
        assert lowest <= least
        assert lowest == pytest.approx(float(least), abs=2e-12)
        assert float(smoothing_highest(p, shift)) >= most


def renyi(p, q, order):
    """Divergence of one law from another."""
    if order == 1:
        return sum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))
    if np.isinf(order):
        return max(mpmath.log(a / b) for a, b in zip(p, q, strict=True))
    terms = (a * (a / b) ** (mpf(order) - 1) for a, b in zip(p, q, strict=True))
    return mpmath.log(sum(terms)) / (mpf(order) - 1)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_nothing_below_the_lowest_probability_is_within_the_divergence(order, reverse):
    shares = [1e-12, 0.013, 0.3, 0.5, 0.77, 0.999]
    # near 0 a rounding of the divergence is one of the probability's first eight digits
    for limit in (1e-17, 1e-15, 1e-13, 1e-9, 1e-3, 0.5):
        found = lowest_probability(shares, limit, order, reverse=reverse)
        for p, q in zip(map(mpf, shares), map(mpf, found.tolist()), strict=True):
            coins = ((q, 1 - q), (p, 1 - p)) if reverse else ((p, 1 - p), (q, 1 - q))
            assert q == 0 or renyi(*coins, order) >= limit


def level(top, other, order, reverse):
    """The nearest law in which both classes are level, by the head of `divergence.invert`."""
    power = 1 - order if reverse else order
    if np.isinf(power):
        mean = top if power > 0 else other
    elif power == 0:
        mean = mpmath.sqrt(top * other)
    else:
        mean = ((top**power + other**power) / 2) ** (1 / mpf(power))
    whole = 2 * mean + 1 - top - other
    return mean / whole, mean / whole, (1 - top - other) / whole


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_no_more_is_needed_than_the_nearest_law_needs(order, reverse):
    tops, ratios = (0.2, 0.45, 0.77, 0.9, 1 - 1e-6), (1e-20, 1e-6, 0.3, 1 - 1e-7, 1 - 1e-15)
    for top, ratio in itertools.product(tops, ratios):
        other = ratio * min(top, (1 - top) / 2)
        p = mpf(top), mpf(other), 1 - mpf(top) - mpf(other)
        q = level(*p[:2], order, reverse)
        exact = renyi(q, p, order) if reverse else renyi(p, q, order)
        got = float(divergence_needed(top, other, order, reverse=reverse))
        assert 0 <= got <= exact
        assert got == pytest.approx(float(exact), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("moved", [1e-6, 0.02])
def test_midpoints_that_are_rounded_lie_within_the_error(moved, reverse, order):
    # a midpoint may be off by 2^-54, which is much of so little noise
    sigma = 1e-6
    for a, b in ((0.1, 0.7), (0.2, 0.7), (0.3, 0.6), (0.4, 0.7)):
        end = (mpf(a) + mpf(b)) / 2
        x = np.array([float(end) - 3e-7])
        low, high = x, x + moved
        z = [(end - mpf(float(v[0]))) / sigma for v in (x, high)]
        p, q = ((mpmath.ncdf(v), mpmath.ncdf(-v)) for v in z)
        got = shift_divergence(
            x, [a, b], sigma=sigma, low=low, high=high, order=order, reverse=reverse
        )[0]
        exact = renyi(q, p, order) if reverse else renyi(p, q, order)
        assert got >= exact
        assert got == pytest.approx(float(exact), rel=0.01)


@pytest.mark.parametrize("order", ORDERS)
def test_a_divergence_of_given_laws_is_rounded_outward(order):
    rng = np.random.default_rng(3)
    for size in rng.integers(2, 9, 40).tolist():
        logs = np.log(rng.dirichlet(np.ones(size), 2))
        # near each other in every second case
        logs[1] = logs[1] if size % 2 else logs[0] + 1e-3 * rng.normal(size=size)
        p, q = ([mpmath.exp(mpf(v)) for v in law] for law in logs.tolist())
        got = float(categorical_divergence(*logs, order))
        assert got >= renyi(p, q, order)
        assert got == pytest.approx(max(0.0, float(renyi(p, q, order))), rel=1e-9, abs=1e-12)


def test_large_errors_of_small_probabilities_are_not_averaged_away():
    logs, error = np.log([[1 - 1e-3, 1e-3], [1 - 1e-3, 1e-3]]), np.array([0.0, 1.0])
    worst = np.log(((1 - 1e-3) ** 2 / (1 - 1e-3)) + (1e-3 * np.e) ** 2 / (1e-3 / np.e))
    assert categorical_divergence(*logs, 2.0, error) >= worst
    # a probability of which nothing is known is not left out
    logs, error = np.array([[0.0, -np.inf], [0.0, -1.0]]), np.array([0.0, np.inf])
    for order in ORDERS:
        assert categorical_divergence(*logs, order, error) == np.inf


def test_sums_over_pixels_are_rounded_outward_and_parts_change_nothing(monkeypatch):
    x = np.random.default_rng(5).random((8, 700))
    single = shift_divergence(x, [0.1, 0.8], sigma=0.2, low=0 * x, high=0 * x + 1)
    exact = [sum(map(mpf, row)) for row in single.tolist()]
    whole = codeword_divergence(x, [0.1, 0.8], sigma=0.2, eps=1.0)
    assert all(got >= least for got, least in zip(whole.tolist(), exact, strict=True))
    assert whole == pytest.approx(np.array(exact, dtype=np.float64), rel=1e-9)
    monkeypatch.setattr("art_disc.certificates.divergence.cells._VALUES_AT_ONCE", 30)
    assert np.array_equal(codeword_divergence(x, [0.1, 0.8], sigma=0.2, eps=1.0), whole)


@pytest.mark.parametrize("order", ORDERS)
def test_a_cell_whose_ends_float64_does_not_tell_apart_is_unknown(order):
    # next to 1 the cell of 2e-20 has no width, and its probability is none
    codes, x = [1e-20, 2e-20, 3e-20, 1.0], np.array([1.0])
    got = shift_divergence(x, codes, sigma=0.1, low=x - 0.1, high=x, order=order)
    assert got == np.inf
