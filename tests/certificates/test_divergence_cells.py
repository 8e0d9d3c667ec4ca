"""Divergences of noisy codewords, against high precision, brute force over the box, and laws."""

import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from art_disc.certificates.divergence.cells import (
    categorical_divergence,
    cell_ends,
    codeword_divergence,
    log_cell_probabilities,
    shift_divergence,
)
from art_disc.certificates.divergence.gaussian import gaussian_renyi, gaussian_shift
from art_disc.core.errors import InputError

ORDERS = (1.0, 1.1, 2.0, 5.0, 40.0, np.inf)
levels = st.lists(st.sampled_from([i / 20 for i in range(21)]), min_size=1, max_size=5, unique=True)
units = st.floats(0, 1, allow_subnormal=False)
sigmas = st.floats(0.02, 1)


def exact_log(x, ends, sigma):
    """Log-probabilities of the cells with 80 digits."""
    with mpmath.workdps(80):
        x, sigma = mpmath.mpf(float(x)), mpmath.mpf(float(sigma))
        marks = [mpmath.ncdf((mpmath.mpf(e) - x) / sigma) for e in ends]
        tails = [mpmath.ncdf((x - mpmath.mpf(e)) / sigma) for e in ends]
        found = []
        for i in range(len(ends) - 1):
            left, right = marks[i + 1] - marks[i], tails[i] - tails[i + 1]
            if left > 0.5:
                found.append(mpmath.log1p(-(marks[i] + tails[i + 1])))
            else:
                found.append(mpmath.log(left if marks[i + 1] < 0.5 else right))
        return found


def exact_divergence(log_p, log_q, order):
    with mpmath.workdps(80):
        ratio = [a - b for a, b in zip(log_p, log_q, strict=True)]
        p = [mpmath.exp(a) for a in log_p]
        if order == 1:
            return sum(a * r for a, r in zip(p, ratio, strict=True))
        if np.isinf(order):
            return max(ratio)
        power = mpmath.mpf(order) - 1
        terms = (a * mpmath.exp(power * r) for a, r in zip(p, ratio, strict=True))
        return mpmath.log(mpmath.fsum(terms)) / power


CASES = [
    (0.0, 0.0, [0.0, 1.0], 0.15),
    (0.0, 0.1, [0.0, 1.0], 0.15),
    (0.4, 0.41, [0.0, 0.5, 1.0], 0.3),
    # far tails: probabilities from 1e-600 down to 1e-4000
    (0.0, 0.1, [0.0, 1.0], 0.008),
    (0.02, 0.2, [0.0, 0.6, 1.0], 0.005),
    # narrow cells, and hardly a shift
    (0.9, 0.900001, [0.0, 0.001, 0.002, 1.0], 0.2),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("case", CASES)
def test_the_bound_lies_just_above_the_exact_divergence(case, order):
    x, moved, codes, sigma = case
    ends = cell_ends(codes)
    laws = [exact_log(value, ends, sigma) for value in (x, moved)]
    box = {"low": np.array([x]), "high": np.array([moved])}
    for reverse in (False, True):
        exact = exact_divergence(*(laws[::-1] if reverse else laws), order)
        got = shift_divergence(
            np.array([x]), codes, sigma=sigma, **box, order=order, reverse=reverse
        )[0]
        assert mpmath.mpf(got) >= exact
        # a second-order quantity of a tiny shift has fewer digits than it has noise
        assert got <= exact * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("deviations", [1e3, -1e3, 1e4])
def test_what_is_lost_of_a_border_is_charged_to_whichever_law_lost_it(deviations, reverse):
    # the middle of two codewords is rounded: of the two laws that far from it changes most
    sigma = 1e-8
    for second in np.linspace(0.9005, 0.9015, 11).tolist():
        codes = [0.9, second]
        with mpmath.workdps(80):
            ends = [-np.inf, (mpmath.mpf(codes[0]) + mpmath.mpf(second)) / 2, np.inf]
        near, far = float(ends[1]), float(ends[1]) + deviations * sigma
        for x, moved in ((near, far), (far, near)):
            laws = [exact_log(value, ends, sigma) for value in (x, moved)]
            low, high = np.array([min(near, far)]), np.array([max(near, far)])
            for order in (1.0, 2.0, np.inf):
                got = shift_divergence(
                    np.array([x]), codes, sigma=sigma, low=low, high=high, order=order,
                    reverse=reverse,
                )  # fmt: skip
                exact = exact_divergence(*(laws[::-1] if reverse else laws), order)
                assert mpmath.mpf(got[0]) >= exact


def test_log_probabilities_keep_their_promise_in_every_tail():
    for sigma in (0.004, 0.15, 2.0):
        ends = cell_ends([0.0, 0.1, 0.11, 0.7, 1.0])
        x = np.linspace(0, 1, 9)
        logs, error = log_cell_probabilities(x, ends, sigma)
        for i, value in enumerate(x):
            exact = exact_log(value, ends, sigma)
            off = [abs(mpmath.mpf(a) - b) for a, b in zip(logs[i], exact, strict=True)]
            assert all(a <= mpmath.mpf(b) for a, b in zip(off, error[i], strict=True))
            assert error[i].max() < 1e-6


def test_two_codes_are_two_coins_and_one_code_hides_everything():
    x = np.array([[0.2, 0.45, 0.9]])
    assert codeword_divergence(x, [0.5], sigma=0.1, eps=0.3)[0] < 1e-12
    p, q = 1 / 2, 0.1586552539314570514  # Phi(0), Phi(-1)
    kl = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    got = codeword_divergence(np.array([[0.5]]), [0.0, 1.0], sigma=0.1, eps=0.1)[0]
    assert got == pytest.approx(kl, rel=1e-9)


@given(units, levels, sigmas, st.floats(0.001, 0.5), st.sampled_from(ORDERS), st.booleans())
def test_no_shift_within_the_box_beats_its_ends(x, codes, sigma, eps, order, reverse):
    ends = cell_ends(codes)
    low, high = max(0.0, x - eps), min(1.0, x + eps)
    log_p, _ = log_cell_probabilities(np.array([x]), ends, sigma)
    inside = np.linspace(low, high, 41)
    log_q, _ = log_cell_probabilities(inside, ends, sigma)
    laws = [np.broadcast_to(log_p, log_q.shape), log_q]
    grid = categorical_divergence(*(laws[::-1] if reverse else laws), order)
    options = {"sigma": sigma, "eps": eps, "order": order, "reverse": reverse}
    got = codeword_divergence(np.array([[x]]), codes, **options)[0]
    assert (grid <= got + 1e-9 * (1 + got)).all()
    # and an end is attained
    assert got <= max(grid[0], grid[40]) * (1 + 1e-6) + 1e-9
    # both ways from x the divergence only grows: no vertex is skipped by a box that is cut
    for way in (grid[inside >= x], grid[inside <= x][::-1]):
        assert (np.diff(way) >= -1e-9 * (1 + way[1:])).all()


@given(units, levels, sigmas, st.floats(0.001, 0.5), st.sampled_from(ORDERS[:-1]), st.booleans())
def test_codewords_never_tell_more_than_the_noisy_pixel(x, codes, sigma, eps, order, reverse):
    options = {"sigma": sigma, "eps": eps, "order": order, "reverse": reverse, "upper": np.inf}
    got = codeword_divergence(np.array([[x]]), codes, **options)[0]
    assert got <= gaussian_renyi(gaussian_shift(eps, sigma, 1), order) * (1 + 1e-9) + 1e-9


@given(st.data())
def test_merging_codewords_lowers_and_higher_orders_raise(data):
    k = data.draw(st.integers(2, 6))
    raw = data.draw(st.lists(st.floats(0.01, 1), min_size=2 * k, max_size=2 * k))
    p, q = np.array(raw[:k]) / sum(raw[:k]), np.array(raw[k:]) / sum(raw[k:])
    orders = sorted(data.draw(st.lists(st.floats(1, 60), min_size=2, max_size=2)))
    assume(orders[1] > orders[0])
    # orders so near to 1 are bounded by that of 1.0001
    orders = [1.0001 if 1 < order < 1.0001 else order for order in orders]
    low, high, top = (
        float(categorical_divergence(np.log(p), np.log(q), order)) for order in (*orders, np.inf)
    )
    assert low <= high + 1e-9
    assert high <= top + 1e-9
    merged = [np.append(v[2:], v[:2].sum()) for v in (p, q)]
    coarse = float(categorical_divergence(*np.log(merged), orders[0]))
    assert coarse <= low + 1e-9


def test_an_order_next_to_one_is_no_rounding_noise():
    p, q = np.log([0.3, 0.7]), np.log([0.3000001, 0.6999999])
    for order in (np.nextafter(1, 2), 1 + 1e-9, 1.0001):
        assert 0 <= float(categorical_divergence(p, q, order)) < 1e-8


@given(units, levels, sigmas, st.floats(0.01, 0.4))
def test_near_order_one_lies_kl(x, codes, sigma, eps):
    images = np.array([[x]])
    kl, near = (
        codeword_divergence(images, codes, sigma=sigma, eps=eps, order=order)[0]
        for order in (1.0, 1.0 + 1e-5)
    )
    assert near == pytest.approx(kl, rel=1e-2, abs=1e-5)


def test_pixels_and_orders_add_up_and_grow_with_eps():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3, 1, 4, 4)) / 255
    before = x.copy()
    for order in ORDERS:
        values = [
            codeword_divergence(x, [0.1, 0.8], sigma=0.2, eps=eps, order=order)
            for eps in (0.0, 0.01, 0.1, 0.3, 1.0)
        ]
        assert values[0].max() < 1e-9
        assert all((b > a).all() for a, b in itertools.pairwise(values))
        single = codeword_divergence(x.reshape(-1, 1), [0.8, 0.1], sigma=0.2, eps=0.1, order=order)
        assert single.reshape(3, -1).sum(axis=1) == pytest.approx(values[2], rel=1e-9)
    assert np.array_equal(x, before)


def test_the_adversary_who_may_leave_the_range_gains_by_it():
    x = np.full((1, 1), 0.9)
    kept = codeword_divergence(x, [0.0, 2.0], sigma=0.2, eps=0.3)
    free = codeword_divergence(x, [0.0, 2.0], sigma=0.2, eps=0.3, upper=np.inf)
    assert free[0] > kept[0] > 0


def test_refusals():
    x = np.zeros((1, 1))
    with pytest.raises(InputError, match="order"):
        codeword_divergence(x, [0, 1], sigma=0.1, eps=0.1, order=0.5)
    with pytest.raises(InputError, match="sigma"):
        codeword_divergence(x, [0, 1], sigma=0.0, eps=0.1)
    with pytest.raises(InputError, match="codewords"):
        codeword_divergence(x, [], sigma=0.1, eps=0.1)
    with pytest.raises(InputError, match="box"):
        shift_divergence(x, [0, 1], sigma=0.1, low=x + 0.1, high=x + 0.2)
