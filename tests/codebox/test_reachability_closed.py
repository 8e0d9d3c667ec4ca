"""Reachable codewords where the answer is known."""

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from art_disc.codebooks import BitDepthCodebook, Codebook, UniformCodebook
from art_disc.codebox import point_for, programmes
from art_disc.core.errors import CertificateError, InputError
from art_disc.metrics import free_pixels, log2_images, reachable_codes

MNIST_BOOK = Codebook([0.0, 253 / 255])
BUDGETS = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
LIMITS = (30, 30, 26, 25, 25, 25)


def pixel(*levels):
    return np.array(levels, dtype=np.float32).reshape(1, -1, 1, 1) / np.float32(255)


def codes(x, book, eps, **options):
    return np.flatnonzero(reachable_codes(x, book, eps=eps, **options)[0, 0]).tolist()


def test_the_rule_of_the_paper_allows_too_much_in_one_dimension():
    book = Codebook([0.0, 0.5, 1.0])
    assert codes(pixel(0), book, 0.5, rule="paper") == [0, 1, 2]
    assert codes(pixel(0), book, 0.5) == [0, 1]


def test_the_rule_of_the_paper_allows_too_much_in_colour():
    diagonal = Codebook(np.array([[0] * 3, [64] * 3, [128] * 3]) / 255)
    assert codes(pixel(0, 0, 0), diagonal, 64 / 255, rule="paper") == [0, 1, 2]
    assert codes(pixel(0, 0, 0), diagonal, 64 / 255) == [0, 1]
    pair = Codebook(np.array([[100, 100, 100], [160, 100, 100]]) / 255)
    assert codes(pixel(70, 100, 100), pair, 30 / 255, rule="paper") == [0, 1]
    assert codes(pixel(70, 100, 100), pair, 30 / 255) == [0]


@pytest.mark.parametrize(("level", "eps"), [(152, 0.1), (101, 0.1), (50, 0.3), (203, 0.3)])
@pytest.mark.parametrize("ties", ["lowest", "highest"])
def test_a_tie_at_the_edge_of_the_budget_counts_for_both(level, eps, ties):
    book = Codebook([0.0, 253 / 255], ties=ties)
    assert codes(pixel(level), book, eps) == [0, 1]
    assert codes(pixel(level), book, eps, rule="paper") == [0, 1]
    beyond = level + (1 if level > 126 else -1)
    assert len(codes(pixel(beyond), book, eps)) == 1


def test_a_tie_on_the_8_bit_grid_goes_as_the_codebook_breaks_it():
    for ties, expected in (("lowest", [0]), ("highest", [0, 1])):
        book = Codebook(np.array([100, 110]) / 255, ties=ties)
        assert codes(pixel(101), book, 4 / 255, domain="8bit") == expected
        assert codes(pixel(101), book, 4 / 255) == [0, 1]


def test_the_valid_range_cuts_the_box():
    # without the range, a budget of 40 around 10 would reach the cell of -60 .. -10
    book = Codebook(np.array([[20, 20], [20, 90]]) / 255)
    assert codes(pixel(10, 250), book, 200 / 255) == [0, 1]
    assert codes(pixel(0, 0), book, 54 / 255) == [0]
    assert codes(pixel(0, 0), book, 55 / 255) == [0, 1]


def test_an_l2_corner_that_only_a_programme_finds():
    # the cell of the first codeword ends in a corner at (94.24, 106.71), which neither a corner of
    # the box nor the projection of the codeword onto it is near
    book = Codebook(np.array([[100, 120], [80, 104], [104, 96]]) / 255, metric="l2")
    x = pixel(95, 29024 / 272 - 8)
    assert codes(x, book, 8 / 255) == [0, 1, 2]
    assert codes(x, book, 7.95 / 255) == [1, 2]


def test_a_solver_that_fails_counts_as_reachable(monkeypatch):
    book = Codebook(np.array([[100, 120], [80, 104], [104, 96]]) / 255, metric="l2")
    x = pixel(95, 29024 / 272 - 8)
    # nothing that the exchanges find out, so that all is left to the solver
    monkeypatch.setattr(programmes, "_EXCHANGES", 0)
    assert codes(x, book, 7.95 / 255) == [1, 2]
    monkeypatch.setattr("scipy.optimize.linprog", lambda *_, **__: OptimizeResult(status=4, x=None))
    assert codes(x, book, 7.95 / 255) == [0, 1, 2]


def test_codewords_closer_than_rounding_stay_together():
    for order in (1, -1):
        close = np.float32([0.001, 0.001 + 1e-9, 0.3])[::order]
        assert len(np.unique(close)) == 3
        for metric in ("l_inf", "l2"):
            for channels in (1, 3):
                book = Codebook(np.repeat(close[:, None], channels, axis=1), metric=metric)
                x = pixel(*[28] * channels)
                mask = reachable_codes(x, book, eps=0.001)[0, 0]
                assert mask[book.assign(x.reshape(1, -1))[0]]
                assert mask.sum() == 2


def test_a_budget_of_one_reaches_every_cell_within_the_range():
    book = Codebook(np.array([0, 100, 200, 255]) / 255)
    assert reachable_codes(pixel(7), book, eps=1).all()
    assert reachable_codes(pixel(7), book, eps=1, domain="8bit").all()


def test_bit_depth_cells_are_those_of_the_floor():
    book = BitDepthCodebook(2)
    assert codes(pixel(63), book, 0, domain="8bit") == [0]
    assert codes(pixel(63), book, 1 / 255, domain="8bit") == [0, 1]
    assert codes(pixel(63), book, 0.9 / 255) == [0]


def test_units_are_pixels_row_by_row_or_channels_in_nchw_order():
    levels = np.arange(12).reshape(1, 3, 2, 2) * 20
    x = levels.astype(np.float32) / 255
    book = UniformCodebook(256)
    for first, images in ((True, x), (False, np.moveaxis(x, 1, -1))):
        mask = reachable_codes(images, book, eps=0, channels_first=first)
        assert mask.shape == (1, 12, 256)
        assert np.array_equal(mask[0].argmax(axis=1), levels.reshape(-1))
    colours = np.moveaxis(levels[0], 0, -1).reshape(-1, 3)
    book = Codebook(colours / 255)
    assert np.array_equal(reachable_codes(x, book, eps=0)[0], np.eye(4, dtype=bool))


def test_uint8_and_float_agree_and_the_input_is_left_alone():
    x = np.random.default_rng(0).integers(0, 256, (3, 1, 5, 5), dtype=np.uint8)
    floats = x.astype(np.float32) / 255
    before = floats.copy()
    for domain in ("real", "8bit"):
        a = free_pixels(x, MNIST_BOOK, eps=0.1, domain=domain)
        assert np.array_equal(a, free_pixels(floats, MNIST_BOOK, eps=0.1, domain=domain))
    assert np.array_equal(floats, before)


def test_log2_images_counts_the_product():
    mask = np.array([[[1, 1, 1], [1, 0, 1], [0, 1, 0]]], dtype=bool)
    assert log2_images(mask) == pytest.approx([np.log2(6)])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"eps": -0.1}, "eps must be"),
        ({"eps": float("nan")}, "eps must be"),
        ({"eps": 8}, "8/255"),
        ({"rule": "papers"}, "rule must be one of exact, paper, paper_float"),
        ({"domain": "int"}, "domain must be one of real, 8bit"),
    ],
)
def test_wrong_arguments_are_refused(options, text):
    with pytest.raises(InputError, match=text):
        reachable_codes(pixel(3), MNIST_BOOK, **({"eps": 0.1} | options))


def test_images_of_another_kind_are_refused():
    with pytest.raises(InputError, match="channel"):
        reachable_codes(pixel(1, 2, 3), MNIST_BOOK, eps=0.1)
    with pytest.raises(InputError, match="finite"):
        free_pixels(np.full((1, 1, 1, 1), np.nan), MNIST_BOOK, eps=0.1)


def test_no_level_within_the_budget_is_refused_with_the_cure():
    off = np.full((1, 1, 1, 1), 10.5 / 255, dtype=np.float32)
    with pytest.raises(CertificateError, match="domain='real'"):
        reachable_codes(off, MNIST_BOOK, eps=0.4 / 255, domain="8bit")
    assert codes(off, MNIST_BOOK, 0.5 / 255, domain="8bit") == [0]


def share_above(x, rule):
    return [
        round(100 * float((free_pixels(x, MNIST_BOOK, eps=eps, rule=rule) > b).mean()), 2)
        for eps, b in zip(BUDGETS, LIMITS, strict=True)
    ]


def test_the_published_counts_of_mnist(mnist_test_images):
    x = (mnist_test_images * np.float32(1 / 255)).astype(np.float32)
    assert share_above(x, "paper_float") == [0.43, 1.30, 29.18, 74.38, 89.48, 95.67]


def test_the_exact_counts_of_mnist(mnist_test_images):
    exact = share_above(mnist_test_images, "exact")
    assert exact == [0.43, 1.30, 29.18, 74.38, 89.48, 96.13]
    # so do pixels that are an ulp off the grid
    x = (mnist_test_images * np.float32(1 / 255)).astype(np.float32)
    assert share_above(x, "exact") == exact


@pytest.mark.parametrize("channels_first", [True, False])
def test_a_layout_the_wrong_way_round_is_named(channels_first):
    book = Codebook([[0.1] * 3, [0.9] * 3])
    x = np.zeros((2, 8, 9, 3) if channels_first else (2, 3, 8, 9), dtype=np.float32)
    for measure in (reachable_codes, free_pixels):
        with pytest.raises(InputError, match=rf"give channels_first={not channels_first}"):
            measure(x, book, eps=0.1, channels_first=channels_first)


@pytest.mark.parametrize("domain", ["real", "8bit"])
def test_a_point_for_a_code_is_found_where_each_channel_has_its_own(domain):
    book = Codebook([0.0, 0.4, 1.0], per_channel=True)
    pixel = np.array([0.15], np.float32)
    point = point_for(pixel, 1, book, 0.1, domain)
    assert book.assign(point[None]).item() == 1
    assert abs(float(point[0]) - 0.15) <= 0.1
    assert point_for(pixel, 2, book, 0.1, domain) is None
