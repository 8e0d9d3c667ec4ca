"""Equivalence classes, against enumeration of the box in whole numbers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import art_disc as ad
from art_disc.codebooks import Codebook
from art_disc.codebox import Threat
from art_disc.codebox import sizes as sizes_module
from art_disc.codebox.cell_volume import reached_counts
from art_disc.codebox.sizes import class_sizes
from art_disc.core.errors import CertificateError, InputError
from art_disc.metrics import equivalence_classes, free_pixels, reachable_codes


def pixels_of(levels):
    return np.asarray(levels, dtype=np.float32) / np.float32(255)


def distances(point, codes, metric):
    shift = [[abs(int(a) - int(b)) for a, b in zip(point, code, strict=True)] for code in codes]
    if metric == "l_inf":
        return [max(row) for row in shift]
    return [sum(v if metric == "l1" else v * v for v in row) for row in shift]


def enumerated(pixel, codes, reach, metric, ties):
    """Number of codewords of all points of the box; `ties`: lowest, highest, or both."""
    found = set()
    box = [range(max(0, v - reach), min(255, v + reach) + 1) for v in pixel]
    for point in itertools.product(*box):
        away = distances(point, codes, metric)
        best = [j for j, d in enumerate(away) if d == min(away)]
        found.update({"lowest": best[:1], "highest": best[-1:], "both": best}[ties])
    return len(found)


@st.composite
def cases(draw):
    c = draw(st.sampled_from((1, 2, 3)))
    base, spread = draw(st.sampled_from([0, 100, 236])), draw(st.sampled_from([6, 12, 19]))
    colour = st.tuples(*[st.integers(base, base + spread)] * c)
    codes = draw(st.lists(colour, min_size=1, max_size=6, unique=True))
    colours = draw(st.lists(colour, min_size=1, max_size=3, unique=True))
    return codes, sorted(colours), draw(st.integers(0, 4))


@given(cases(), st.sampled_from(["l_inf", "l1", "l2"]), st.sampled_from(["lowest", "highest"]))
def test_on_the_grid_every_point_of_the_box_is_tried(case, metric, ties):
    codes, colours, reach = case
    book = Codebook(pixels_of(codes), metric=metric, ties=ties)
    expected = [enumerated(colour, codes, reach, metric, ties) for colour in colours]
    both_ways = class_sizes(pixels_of(colours), book, Threat(reach / 255, domain="8bit")).tolist()
    low, high = np.min(colours, axis=0), np.max(colours, axis=0)
    cube = reached_counts(book, reach, low, high)
    assert both_ways == expected
    assert cube[tuple((np.array(colours) - low).T)].tolist() == expected


@given(cases(), st.sampled_from(["l_inf", "l1"]))
def test_whole_levels_decide_real_valued_changes_with_ties(case, metric):
    codes, colours, reach = case
    book = Codebook(pixels_of(codes), metric=metric)
    low, high = np.min(colours, axis=0), np.max(colours, axis=0)
    cube = reached_counts(book, reach, low, high, ties=True)[tuple((np.array(colours) - low).T)]
    assert cube.tolist() == [enumerated(colour, codes, reach, metric, "both") for colour in colours]
    images = np.moveaxis(pixels_of(colours)[None, None], -1, 1)
    mask = reachable_codes(images, book, eps=reach / 255)
    assert cube.tolist() == mask.sum(axis=-1)[0].tolist()


@pytest.mark.parametrize("metric", ["l_inf", "l1", "l2"])
@pytest.mark.parametrize(
    ("domain", "rule"), [("8bit", "exact"), ("real", "exact"), ("real", "paper")]
)
def test_cells_of_the_cube_and_single_colours_agree(monkeypatch, metric, domain, rule):
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(90, 150, (40, 3)), axis=0)
    codes = rng.permutation(codes) + (0.25 if metric == "l2" else 0)
    book = Codebook(pixels_of(codes), metric=metric)
    colours = pixels_of(np.unique(rng.integers(100, 120, (300, 3)), axis=0))
    threat = Threat(3 / 255, rule, domain)
    by_cells = class_sizes(colours, book, threat)
    monkeypatch.setattr(sizes_module, "_WORTH", 0)
    one_by_one = class_sizes(colours, book, threat)
    assert np.array_equal(by_cells, one_by_one)
    assert by_cells.max() > 3


@pytest.mark.parametrize(
    ("metric", "codes", "reach", "real", "grid"),
    [
        # at (9, y) the second codeword wins for 3.4 < y < 3.875, at no whole level
        ("l2", [[5, 0], [4, 5], [9, 9]], 2, 3, 2),
        # the border at 8.5 is reached from 11 by 2.7 levels, and not by 2
        ("l_inf", [[0, 4], [17, 4]], 2.7, 2, 1),
        # codewords between two levels: all three are equally far from (10.5, 5)
        ("l_inf", [[6.5, 0], [5.5, 10], [5.5, 9]], 1, 3, 2),
    ],
)
def test_real_changes_reach_more_than_the_grid(monkeypatch, metric, codes, reach, real, grid):
    # the cells of the cube are to be used wherever they may be
    monkeypatch.setattr(sizes_module, "_WORTH", 1 << 30)
    book, pixel = Codebook(pixels_of(codes), metric=metric), pixels_of([[11, 4]])
    for domain, expected in (("real", real), ("8bit", grid)):
        found = class_sizes(pixel, book, Threat(reach / 255, domain=domain))
        assert found.tolist() == [expected]


@given(st.integers(1, 3), st.integers(0, 90), st.sampled_from(["exact", "paper"]))
def test_exponents_are_the_logarithm_of_the_number_of_code_images(n, level, rule):
    rng = np.random.default_rng(level)
    x = rng.integers(0, 256, (n, 1, 3, 4), dtype=np.uint8)
    book = Codebook([0.0, 0.3, 0.8])
    found = equivalence_classes(x, book, eps=level / 255, rule=rule)
    mask = reachable_codes(x, book, eps=level / 255, rule=rule)
    images = [math.prod(int(k) for k in row.sum(axis=-1)) for row in mask]
    assert found.exponents == pytest.approx([math.log(m, 3) for m in images], abs=1e-9)
    assert found.per_pixel == pytest.approx(found.exponents / 12)
    assert found.sizes.shape == (n, 3, 4)


@pytest.mark.parametrize("domain", ["8bit", "real"])
def test_two_codewords_count_free_pixels(digits, domain):
    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train)
    for eps in (0.1, 0.3):
        found = equivalence_classes(digits.x_test, book, eps=eps, domain=domain)
        free = free_pixels(digits.x_test, book, eps=eps, domain=domain)
        assert np.array_equal(np.rint(found.exponents), free)
        assert found.facts()["share_of_pixels_free"] == pytest.approx(free.mean() / 64)


@pytest.mark.parametrize(("domain", "median"), [("real", 49), ("8bit", 48)])
def test_median_of_mnist(mnist_test_images, domain, median):
    # printed: "approximately 47", which is 784 times the 0.06 of Figure 5
    found = equivalence_classes(mnist_test_images, Codebook([0, 253 / 255]), eps=0.3, domain=domain)
    assert np.median(found.exponents) == median
    assert round(found.median, 2) == 0.06


def test_codewords_for_each_channel_multiply():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    levels = [0.0, 0.4, 1.0]
    found = equivalence_classes(x, Codebook(levels, per_channel=True), eps=0.2)
    grey = [equivalence_classes(x[:, [i]], Codebook(levels), eps=0.2) for i in range(3)]
    assert np.array_equal(found.sizes, np.prod([part.sizes for part in grey], axis=0))
    assert found.n_codes == 27
    assert found.per_pixel == pytest.approx(np.mean([part.per_pixel for part in grey], axis=0))


def test_the_layout_does_not_matter():
    x = np.random.default_rng(2).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    book = Codebook(pixels_of([[0, 0, 0], [200, 90, 10], [250, 250, 250]]))
    last = np.moveaxis(x, 1, -1)
    found = equivalence_classes(last, book, eps=0.1, channels_first=False)
    assert np.array_equal(found.sizes, equivalence_classes(x, book, eps=0.1).sizes)


@pytest.mark.parametrize("channels", [1, 3])
def test_no_budget_and_the_whole_range(channels):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (2, channels, 2, 2), dtype=np.uint8)
    # no tie is possible on whole levels
    book = Codebook(pixels_of(np.outer([0, 85, 200], np.ones(channels))))
    for domain in ("real", "8bit"):
        assert (equivalence_classes(x, book, eps=0, domain=domain).sizes == 1).all()
    found = equivalence_classes(x[:1, :, :1, :1], book, eps=1, domain="8bit")
    assert found.sizes.tolist() == [[[3]]]
    assert found.per_pixel.tolist() == [1]


def test_one_codeword_leaves_nothing_to_reach():
    found = equivalence_classes(np.zeros((1, 1, 2, 2)), Codebook([0.5]), eps=1)
    assert found.exponents.tolist() == [0]


def test_the_cdf_counts_images():
    x = np.array([0, 0, 0.45, 0.55], dtype=np.float32).reshape(4, 1, 1, 1)
    found = equivalence_classes(x, Codebook([0.0, 1.0]), eps=0.1)
    values, shares = found.cdf()
    assert values.tolist() == [0, 1]
    assert shares.tolist() == [0.5, 1]
    assert found.median == 0.5


def test_images_off_the_grid_are_taken_as_they_are():
    # 120.4 + 7.2 crosses the border at 127.5 in real values, and at 128 on the grid it does not
    x = np.full((1, 1, 1, 1), 120.4 / 255, dtype=np.float32)
    book, eps = Codebook([0.0, 1.0]), 7.2 / 255
    assert equivalence_classes(x, book, eps=eps).sizes.item() == 2
    assert equivalence_classes(x, book, eps=eps, domain="8bit").sizes.item() == 1
    colour = np.concatenate([x, x], axis=1)
    pair = Codebook([[0.0, 0.0], [1.0, 1.0]])
    assert equivalence_classes(colour, pair, eps=eps).sizes.item() == 2
    assert equivalence_classes(colour, pair, eps=eps, domain="8bit").sizes.item() == 1


def test_arguments_that_do_not_fit():
    x, book = np.full((1, 1, 2, 2), 0.301), Codebook([0.0, 1.0])
    for options, words in (
        ({"eps": 8}, "8/255"),
        ({"eps": 0.1, "rule": "mine"}, "rule must be one of"),
        ({"eps": 0.1, "domain": "int"}, "domain must be one of"),
    ):
        with pytest.raises(InputError, match=words):
            equivalence_classes(x, book, **options)
    with pytest.raises(InputError, match="expected pixels of 1"):
        equivalence_classes(np.zeros((1, 3, 2, 2)), book, eps=0.1)
    with pytest.raises(InputError, match="at least one image"):
        equivalence_classes(np.zeros((0, 1, 2, 2)), book, eps=0.1)
    with pytest.raises(CertificateError, match="8-bit grid"):
        equivalence_classes(x, book, eps=1e-4, domain="8bit")


def test_the_callers_images_stay():
    x = np.random.default_rng(4).random((2, 3, 4, 4), dtype=np.float32)
    before = x.copy()
    equivalence_classes(x, Codebook([[0.0, 0, 0], [1, 1, 1]]), eps=0.1)
    assert np.array_equal(x, before)
