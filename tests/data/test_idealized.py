from itertools import product
from math import ceil, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import art_disc as ad
from art_disc.core.errors import ArtDiscError, InputError, TheoryError
from art_disc.data import IdealizedImages

COLOURS = np.array([(60, 60, 60), (180, 60, 60), (60, 180, 60), (60, 60, 180)]) / 255


def colours(noise=3 / 255, **options):
    return IdealizedImages(COLOURS, noise, **options)


def levels_of(images, top=255):
    """Pixels as whole levels, shape (n, h, w, c)."""
    levels = np.rint(top * images.astype(np.float64))
    assert np.abs(levels - top * images).max() < 1e-4
    return np.moveaxis(levels.astype(np.int64), 1, -1)


def assert_drawn_from(counts, law):
    """Chi-square test; rare outcomes are pooled, and the seed is fixed, so that it never flakes."""
    expected = np.asarray(law) * counts.sum()
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3


def test_the_public_name():
    assert ad.IdealizedImages is IdealizedImages


def test_alpha_is_the_sum_over_the_norms():
    model = colours()
    assert model.separation == 120 / 255
    assert model.largest_noise == 15 / 255
    assert model.normaliser == pytest.approx(1 / sum(exp(-(t**2) / 9) for t in range(16)))
    assert model.noise_law == pytest.approx(
        [model.normaliser * exp(-(t**2) / 9) for t in range(16)]
    )
    # norms are rounded down to whole levels: 123 / 8 = 15.4
    grey = IdealizedImages([10 / 255, 133 / 255], 3 / 255)
    assert len(grey.noise_law) == 16
    assert grey.normaliser == model.normaliser


@pytest.mark.parametrize("levels", [52, 256])
def test_the_noise_has_the_printed_law_of_the_norm(levels):
    top = levels - 1
    codes = np.array([(0, 0), (top, 10 * top // 51), (top // 3, top)]) / top
    model = IdealizedImages(codes, 3 / top, levels=levels, shape=(40, 50), random_state=0)
    images, skeletons = model.sample(20)
    assert images.dtype == np.float32
    assert images.shape == (20, 2, 40, 50)
    assert images.min() >= 0
    assert images.max() <= 1
    true = np.rint(codes * top).astype(int)[skeletons]
    norms = np.abs(levels_of(images, top) - true).max(axis=-1)
    law = [exp(-(t**2) / 9) for t in range(round(model.separation * top) // 8 + 1)]
    # also at the border of the range, where a part of the directions is closed
    for code in range(3):
        counts = np.bincount(norms[skeletons == code], minlength=len(law))
        assert len(counts) == len(law)
        assert_drawn_from(counts, np.array(law) / sum(law))
    assert_drawn_from(np.bincount(skeletons.ravel(), minlength=3), [1 / 3] * 3)
    # pixels are independent: neighbours agree as often as strangers
    agree = (skeletons[:, :, :-1:2] == skeletons[:, :, 1::2]).ravel()
    assert stats.binomtest(int(agree.sum()), agree.size, 1 / 3).pvalue > 1e-3


def test_every_direction_that_stays_in_the_range_is_as_likely():
    codes = np.array([(100, 0, 255), (220, 120, 100)]) / 255
    model = IdealizedImages(codes, 1.5 / 255, random_state=1)
    images = model.add_noise(np.zeros((1, 200, 300), dtype=int))
    shift = levels_of(images).reshape(-1, 3) - (100, 0, 255)
    for norm in (1, 2):
        steps = range(-norm, norm + 1)
        allowed = [
            v
            for v in product(steps, steps, steps)
            if max(map(abs, v)) == norm and v[1] >= 0 >= v[2]
        ]
        rows = [tuple(v) for v in shift[np.abs(shift).max(axis=1) == norm]]
        counts = np.array([rows.count(v) for v in allowed])
        assert counts.sum() == len(rows) > 5000
        assert_drawn_from(counts, np.full(len(allowed), 1 / len(allowed)))


def test_a_prior_of_ones_own():
    prior = [0.1, 0.2, 0.3, 0.4]
    model = colours(prior=prior, random_state=2)
    _, skeletons = model.sample(20)
    assert_drawn_from(np.bincount(skeletons.ravel(), minlength=4), prior)
    prior[0] = 0.9
    assert model.prior.tolist() == [0.1, 0.2, 0.3, 0.4]


def test_the_skeleton_may_be_anything():
    model = colours(random_state=3)
    skeletons = np.repeat([[[0]], [[3]]], 8, axis=1).repeat(6, axis=2)
    before = skeletons.copy()
    images = model.add_noise(skeletons)
    assert np.array_equal(skeletons, before)
    assert images.shape == (2, 3, 8, 6)
    away = np.abs(images - np.moveaxis(COLOURS[skeletons], -1, 1)).max()
    assert 0 < away <= model.largest_noise + 1e-6


def test_seeds():
    first, again = colours(random_state=5), colours(random_state=5)
    x, codes = first.sample(2)
    assert np.array_equal(x, again.sample(2)[0])
    assert np.array_equal(x, first.sample(2)[0])
    assert np.array_equal(codes, colours().sample(2, random_state=5)[1])
    assert not np.array_equal(x, first.sample(2, random_state=6)[0])
    rng = np.random.default_rng(5)
    moving = colours(random_state=rng)
    assert np.array_equal(moving.sample(2)[0], x)
    assert not np.array_equal(moving.sample(2)[0], x)
    assert not np.array_equal(colours().sample(2)[0], colours().sample(2)[0])


def by_hand(n, delta, sigma, k, form):
    """Eq. (1) and its correction in levels, K = 256, Gamma = 120."""
    alpha = 1 / sum(exp(-(t**2) / sigma**2) for t in range(16))
    gamma = sqrt(4 / n * log(256 / delta))
    inside = 1 / k - 2 * gamma / alpha if form == "printed" else 1 - 2 * k * gamma / alpha
    return sigma * sqrt(log(1 / inside))


@pytest.mark.parametrize("form", ["printed", "tight"])
def test_the_lemma_in_levels(form):
    lemma = colours().lemma1(40_000, 0.01, form=form)
    nu = by_hand(40_000, 0.01, 3, 4, form)
    assert 255 * lemma.nu == pytest.approx(nu, rel=1e-12)
    assert 255 * lemma.radius == pytest.approx(2 * nu)
    assert 255 * lemma.tolerance("printed") == pytest.approx(5 * nu)
    assert 255 * lemma.tolerance() == 255 * lemma.tolerance("proven") == pytest.approx(45 - nu)
    assert lemma.gamma == pytest.approx(sqrt(4 / 40_000 * log(25_600)))
    assert (lemma.n_pixels, lemma.delta, lemma.form) == (40_000, 0.01, form)


def test_the_printed_nu_stays_large_and_the_tight_one_does_not():
    model = colours()
    assert model.nu(10**12, 0.01) * 255 == pytest.approx(3 * sqrt(log(4)), rel=1e-3)
    assert model.nu(10**12, 0.01) * 255 > 3 * sqrt(log(4))
    assert model.nu(10**12, 0.01, form="tight") * 255 < 0.1


def test_where_nu_begins_to_exist():
    # facts: gamma < alpha/(2k), N > 16 k^2 ln(K/delta) / alpha^2
    model = colours()
    border = 16 * 16 * log(25_600) / model.normaliser**2
    assert ceil(border) == 25_926
    for form in ("printed", "tight"):
        assert model.nu(25_926, 0.01, form=form) > 0
        with pytest.raises(TheoryError, match=r"gamma < alpha/\(2k\).*25925 pixels; 25926 pixels"):
            model.nu(25_925, 0.01, form=form)


@given(
    st.sampled_from(["printed", "tight"]),
    st.floats(1, 6),
    st.floats(1e-6, 0.9),
    st.sampled_from([(0.25,) * 4, (0.1, 0.2, 0.3, 0.4), (0.24, 0.24, 0.26, 0.26)]),
)
def test_the_pixels_needed_are_the_fewest(form, sigma, delta, prior):
    model = colours(sigma / 255, prior=prior)
    least = 1.0 if form == "printed" else max(prior)
    if 16 * sigma * sqrt(log(least / min(prior))) >= 120:
        with pytest.raises(TheoryError, match="no number of pixels"):
            model.pixels_needed(delta, form=form)
        with pytest.raises(TheoryError, match="no number of pixels"):
            model.lemma1(10**9, delta, form=form)
        return
    needed = model.pixels_needed(delta, form=form)
    lemma = model.lemma1(needed, delta, form=form)
    assert lemma.separation > 16 * lemma.nu
    # the printed 5 nu is promised by the proof too
    assert lemma.tolerance("printed") < lemma.tolerance("proven")
    with pytest.raises(TheoryError, match=f"{needed} are enough"):
        model.lemma1(needed - 1, delta, form=form)
    try:
        nu = model.nu(needed - 1, delta, form=form)
    except TheoryError:
        return
    assert model.separation <= 16 * nu * (1 + 1e-9)


@given(st.integers(26_331, 10**8), st.sampled_from([None, (0.24, 0.25, 0.25, 0.26)]))
def test_the_tight_nu_is_smaller_and_both_fall_with_more_pixels(n, prior):
    model = colours(prior=prior)
    n *= 2
    printed, tight = model.nu(n, 0.01), model.nu(n, 0.01, form="tight")
    assert 0 < tight < printed
    assert model.nu(2 * n, 0.01) < printed
    assert model.nu(2 * n, 0.01, form="tight") < tight


@pytest.mark.parametrize("form", ["printed", "tight"])
def test_nu_makes_the_two_sides_of_the_proof_equal(form):
    prior = np.array([0.2, 0.25, 0.25, 0.3])
    model = colours(prior=prior)
    gamma, nu = model.gamma(10**6, 0.01), model.nu(10**6, 0.01, form=form)
    away = model.normaliser * exp(-((nu / model.noise) ** 2))
    away *= 1 if form == "printed" else 0.3
    assert model.normaliser * 0.2 - gamma == pytest.approx(away + gamma, rel=1e-9)


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("n", [100, 5000])
def test_gamma_covers_all_values_of_a_pixel_although_it_names_the_levels_of_a_channel(channels, n):
    # Hoeffding, one side, every one of the K^c values
    model = colours()
    for delta in (0.5, 0.01, 1e-6):
        gamma = model.gamma(n, delta)
        assert 256**channels * exp(-2 * n * gamma**2) < delta


def test_the_cure_for_too_much_noise_works():
    model = colours(7 / 255)
    with pytest.raises(TheoryError, match=r'below 0\.02498, got 0\.02745; or form="tight"'):
        model.lemma1(10**9)
    # just below that noise it takes very many pixels
    assert colours(0.0249).lemma1(10**12).nu < 120 / 255 / 16
    assert model.lemma1(10**6, form="tight").nu > 0
    assert issubclass(TheoryError, ArtDiscError)
    assert issubclass(TheoryError, ValueError)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"codewords": [0.2]}, "two or more.*nothing to separate"),
        ({"codewords": [[0.2] * 8, [0.4] * 8]}, "two or more"),
        ({"codewords": [0.2, 0.2]}, "differ from one another"),
        ({"codewords": [51, 102]}, r"lie in \[0, 1\]; divide"),
        ({"codewords": [0.2, np.nan]}, r"lie in \[0, 1\]"),
        ({"codewords": [0.2, 0.4001]}, "whole multiples of 1/255"),
        ({"noise": 0}, r"noise must lie in \(0, 1\], got 0"),
        ({"noise": -0.1}, "noise must lie in"),
        ({"noise": 3}, "write 3/255"),
        ({"noise": float("nan")}, "noise must lie in"),
        ({"levels": 100}, "levels - 1 must divide 255"),
        ({"levels": 511}, "levels - 1 must divide 255"),
        ({"levels": 1}, "levels must be a whole number >= 2"),
        ({"shape": (0, 4)}, "height must be a whole number >= 1"),
        ({"prior": [0.5, 0.6]}, "2 probabilities above 0 with sum 1"),
        ({"prior": [0.0, 1.0]}, "2 probabilities above 0"),
        ({"prior": [0.2, 0.3, 0.5]}, "2 probabilities above 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, text):
    options = {"codewords": [0.2, 0.8], "noise": 3 / 255} | change
    with pytest.raises(InputError, match=text):
        IdealizedImages(**options)


def test_calls_that_do_not_fit_are_refused():
    model = colours()
    for call, text in (
        (lambda: model.sample(0), "n must be a whole number >= 1"),
        (lambda: model.sample(1, random_state=-1), "random_state must be a whole number >= 0"),
        (lambda: model.add_noise(np.full((1, 2, 2), 4)), r"integers in 0..3 of shape \(n, h, w\)"),
        (lambda: model.add_noise(np.zeros((1, 2, 2))), "got float64"),
        (lambda: model.add_noise(np.zeros((2, 2), int)), r"of shape \(2, 2\)"),
        (lambda: model.gamma(0, 0.01), "n_pixels must be a whole number >= 1"),
        (lambda: model.gamma(9, 1.0), "delta is a probability"),
        (lambda: model.nu(10**6, 0), "delta is a probability"),
        (lambda: model.nu(10**6, 0.01, form="proven"), "form must be one of printed, tight"),
        (lambda: model.lemma1(10**6).tolerance("tight"), "form must be one of printed, proven"),
    ):
        with pytest.raises(InputError, match=text):
            call()
