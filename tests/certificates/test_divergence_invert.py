"""From divergences to probabilities: closed forms, brute force over the simplex, and laws."""

import itertools
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.certificates.divergence.gaussian import (
    gaussian_kl,
    gaussian_renyi,
    gaussian_shift,
    smoothing_highest,
    smoothing_lowest,
    smoothing_radius,
)
from art_disc.certificates.divergence.invert import (
    binary_divergence,
    divergence_needed,
    highest_probability,
    lowest_probability,
    pinsker_needed,
)
from art_disc.core.errors import InputError

ORDERS = (1.0, 1.1, 1.5, 2.0, 8.0, 64.0, np.inf)
# rounding is divided by what they exceed 1 by
NEAR_ONE = (1 + 2**-52, 1 + 1e-13, 1 + 1e-11, 1 + 1e-8, 1 + 1e-4, 1.001, 1.009, 1.02, 1.4999)
orders = st.sampled_from(ORDERS)
shares = st.floats(0, 1, allow_subnormal=False)
nats = st.floats(0, 5)


def renyi(p, q, order):
    """Divergences of rows of laws with positive entries, by the definition."""
    if order == 1:
        return (p * np.log(p / q)).sum(axis=-1)
    if np.isinf(order):
        return np.log((p / q).max(axis=-1))
    return np.log((p**order * q ** (1 - order)).sum(axis=-1)) / (order - 1)


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.sampled_from(ORDERS[:5]))
def test_binary_divergence_is_its_definition(p, q, order):
    laws = np.array([p, 1 - p]), np.array([q, 1 - q])
    expected = renyi(*laws, order)
    assert binary_divergence(p, q, order) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(st.floats(0, 0.999), nats, orders, st.booleans())
def test_the_lowest_probability_is_the_root(p, limit, order, reverse):
    q = float(lowest_probability(p, limit, order, reverse=reverse))
    assert 0 <= q <= p

    def away(q):
        return binary_divergence(q, p, order) if reverse else binary_divergence(p, q, order)

    # nothing within the limit lies below it, and a little above it the limit is kept
    assert q == 0 or away(q) >= limit
    assert away(min(p, q + 1e-6)) <= limit + 1e-9


@given(shares, nats)
def test_closed_forms_of_the_inversion(p, limit):
    # order infinity: no event becomes rarer than by e^D
    factor = np.exp(limit)
    assert lowest_probability(p, limit, np.inf) == pytest.approx(p / factor, abs=1e-9)
    highest = 1 - (1 - p) / factor
    assert highest_probability(p, limit, np.inf) == pytest.approx(highest, abs=1e-9)
    # order 2: chi-square, (p - q)^2 / (q (1 - q)) = e^D - 1
    chi = factor - 1
    middle, half = 2 * p + chi, np.sqrt(chi * (chi + 4 * p * (1 - p)))
    root = (middle - half) / (2 * (1 + chi))
    assert lowest_probability(p, limit, 2.0) == pytest.approx(root, abs=1e-6)
    top = (middle + half) / (2 * (1 + chi))
    assert highest_probability(p, limit, 2.0) == pytest.approx(top, abs=1e-6)


def test_a_sure_vote_keeps_exp_minus_kl_and_all_at_order_infinity():
    for limit in (0.1, 0.5, 2.0):
        for order in ORDERS:
            assert lowest_probability(1.0, limit, order) == pytest.approx(np.exp(-limit), abs=1e-9)
            assert lowest_probability(0.0, limit, order) == 0
            assert highest_probability(0.0, limit, order) == pytest.approx(1 - np.exp(-limit))
    assert lowest_probability(0.9, np.inf) == 0
    assert highest_probability(0.1, np.inf) == 1


@given(shares, shares, nats, nats, orders, st.booleans())
def test_lower_limits_and_smaller_divergences_are_monotone(p, other, limit, more, order, reverse):
    def lowest(p, limit):
        return lowest_probability(p, limit, order, reverse=reverse)

    a, b = sorted((p, other))
    assert lowest(a, limit) <= lowest(b, limit) + 1e-9
    assert lowest(p, limit + more) <= lowest(p, limit) + 1e-9
    assert highest_probability(p, limit, order, reverse=reverse) >= p


@given(shares, nats)
def test_the_inversion_is_never_worse_than_pinsker(p, limit):
    assert lowest_probability(p, limit) >= p - np.sqrt(limit / 2) - 1e-6


@given(shares, shares)
def test_what_divergence_is_needed_is_never_less_than_pinsker_grants(p, share):
    other = share * (1 - p)
    assert divergence_needed(p, other) >= pinsker_needed(p, other) - 2e-12


def test_strictly_more_than_pinsker_where_the_vote_is_sure():
    assert divergence_needed(1.0, 0.0) == pytest.approx(np.log(2))
    assert pinsker_needed(1.0, 0.0) == 0.5


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_the_needed_divergence_is_the_smallest_over_the_simplex(order, reverse):
    # all laws q of three classes in which the second is level with the first or ahead
    grid = np.arange(1, 400) / 400
    q = np.array([(a, b, 1 - a - b) for a, b in itertools.product(grid, grid) if a + b < 0.9999])
    q = q[q[:, 0] <= q[:, 1]]
    for p in ((0.5, 0.3, 0.2), (0.9, 0.05, 0.05), (0.6, 0.01, 0.39), (0.3, 0.2, 0.5)):
        law = np.broadcast_to(p, q.shape)
        brute = (renyi(q, law, order) if reverse else renyi(law, q, order)).min()
        got = divergence_needed(p[0], p[1], order, reverse=reverse)
        assert got <= brute + 1e-12
        assert got == pytest.approx(brute, rel=0.03)


@given(st.floats(0.01, 0.98), shares, st.floats(0, 0.2), orders, st.booleans())
def test_limits_may_be_put_in_for_probabilities(p, share, less, order, reverse):
    def needed(top, other):
        return divergence_needed(top, other, order, reverse=reverse)

    other = share * min(p, 1 - p)
    assert needed(max(0, p - less), other) <= needed(p, other) + 1e-9
    assert needed(p, other + less) <= needed(p, other) + 1e-9
    assert needed(other, p) == 0 or other > p


def test_only_the_reverse_direction_rewards_a_vote_that_is_all_but_sure():
    sure = 1 - np.array([1e-3, 1e-6, 1e-9])
    for order in ORDERS:
        assert (divergence_needed(sure, 1 - sure, order) <= np.log(2)).all()
    # KL: -log(2 sqrt(p (1 - p)))
    expected = -np.log(2 * np.sqrt(sure * (1 - sure)))
    assert divergence_needed(sure, 1 - sure, reverse=True) == pytest.approx(expected, rel=1e-6)


@given(st.floats(0.001, 0.999), st.floats(0, 4), orders, st.booleans())
def test_smoothing_is_the_best_of_all_for_gaussian_noise(p, shift, order, reverse):
    far = gaussian_renyi(shift, order)
    kept = lowest_probability(p, far, order, reverse=reverse)
    gained = highest_probability(p, far, order, reverse=reverse)
    assert kept <= smoothing_lowest(p, shift) + 1e-9
    assert gained >= smoothing_highest(p, shift) - 1e-9
    # and attained: the event x < t, shifted away
    assert smoothing_lowest(0.5, shift) == pytest.approx(float(1 - smoothing_lowest(0.5, -shift)))


def test_gaussian_closed_forms():
    # the integral of p log p / q over a fine grid, two values of an image
    x = np.linspace(-6, 6, 200_001)
    p, q = (np.exp(-((x - m) ** 2) / (2 * 0.3**2)) for m in (0.0, 0.1))
    p, q = p / p.sum(), q / q.sum()
    assert 2 * (p * np.log(p / q)).sum() == pytest.approx(gaussian_kl(0.1, 0.3, 2), rel=1e-6)
    two = 2 * np.log((p**3 * q**-2.0).sum()) / 2
    assert two == pytest.approx(gaussian_renyi(gaussian_shift(0.1, 0.3, 2), 3.0), rel=1e-6)
    assert gaussian_renyi(0.0, np.inf) == 0
    # at the radius both classes are level, just inside the top one leads
    radius = smoothing_radius(0.8, 0.1, sigma=0.25, d=16)
    for share, ahead in ((0.999, True), (1.001, False)):
        shift = gaussian_shift(share * radius, 0.25, 16)
        assert (smoothing_lowest(0.8, shift) > smoothing_highest(0.1, shift)) == ahead
    assert smoothing_radius(0.3, 0.4, sigma=0.25, d=16) == 0


def exact(p, q, order):
    """Divergence of laws with positive entries, in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        over = Decimal(order) - 1
        powers = (a * ((a / b).ln() * over).exp() for a, b in zip(p, q, strict=True))
        return sum(powers).ln() / over


@pytest.mark.parametrize("order", NEAR_ONE)
def test_orders_next_to_1_claim_nothing_by_rounding(order):
    rng = np.random.default_rng(7)
    claimed = []
    for _ in range(40):
        p, q = (Decimal(float(v)) for v in np.sort(rng.uniform(0.01, 0.99, 2))[::-1])
        coins = (p, 1 - p), (q, 1 - q)
        for reverse in (False, True):
            # a little more than what lies between them
            away = float(exact(*(coins[::-1] if reverse else coins), order)) * (1 + 1e-14)
            found = lowest_probability(float(p), away, order, reverse=reverse)
            assert found <= float(q)
            assert found == pytest.approx(float(q), abs=2e-4)
            claimed.append(float(found))
    assert np.ptp(claimed) > 0.5


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", NEAR_ONE[:-1])
def test_no_more_is_said_to_be_needed_than_some_law_needs(order, reverse):
    rng = np.random.default_rng(11)
    for top, share in rng.uniform(0.05, 0.95, (40, 2)):
        other = share * min(top, 1 - top)
        law = [Decimal(float(v)) for v in (top, other)]
        law.append(1 - sum(law))
        # the nearest law in which both are level, to first order: order 1 in the one direction
        # keeps the third share, in the other it takes the geometric mean
        if reverse:
            mean = (law[0] * law[1]).sqrt()
            whole = 2 * mean + law[2]
            level = [mean / whole, mean / whole, law[2] / whole]
        else:
            level = [(law[0] + law[1]) / 2] * 2 + [law[2]]
        ways = (level, law) if reverse else (law, level)
        needed = float(divergence_needed(top, other, order, reverse=reverse))
        assert needed <= float(exact(*ways, order))
        assert needed == pytest.approx(float(exact(*ways, order)), rel=0.02, abs=1e-9)


def test_tiny_probabilities_are_not_lost_next_to_1():
    assert smoothing_highest(1e-17, 9.0) >= 0.6936
    assert highest_probability(1e-17, 30.0, reverse=True) >= 0.7799
    assert smoothing_highest(0.0, 9.0) <= 1e-11


def test_refusals():
    with pytest.raises(InputError, match="probabilities"):
        lowest_probability(1.1, 0.1)
    with pytest.raises(InputError, match="divergence"):
        lowest_probability(0.5, -0.1)
    with pytest.raises(InputError, match="order"):
        divergence_needed(0.9, 0.1, 0.9)
    with pytest.raises(InputError, match="shift"):
        gaussian_renyi(-1.0, 2.0)
