"""Products of codewords, and the way back from codes to pixels."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.codebooks import Codebook, UniformCodebook
from art_disc.codebox import CodeBox, Reach, Threat, checked_units, unit_mask
from art_disc.core.errors import InputError

TWO = Codebook([0.0, 253 / 255])


def random_mask(rng, rows=4, units=3, k=5):
    mask = rng.random((rows, units, k)) < 0.5
    mask[..., 0] |= ~mask.any(axis=2)
    return mask


@st.composite
def boxes(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d = draw(st.sampled_from([1, 3]))
    mask = random_mask(rng)
    return mask, CodeBox.of_mask(mask, rng.random((5, d)).astype(np.float32))


@given(case=boxes())
def test_a_box_holds_what_its_mask_says(case):
    mask, box = case
    assert np.array_equal(box.mask(), mask)
    assert np.array_equal(box.counts, mask.sum(axis=2))
    assert np.allclose(2**box.log2, mask.sum(axis=2).prod(axis=1))
    low, high = box.hull()
    for row, unit in itertools.product(range(4), range(3)):
        codes = np.flatnonzero(mask[row, unit])
        assert box.codes[row, unit][box.listed[row, unit]].tolist() == codes.tolist()
        # a repetition of the last wins no tie that it has not won already
        assert (box.codes[row, unit][~box.listed[row, unit]] == codes[-1]).all()
        assert np.array_equal(low[row, unit], box.codewords[codes].min(axis=0))
        assert np.array_equal(high[row, unit], box.codewords[codes].max(axis=0))


@given(case=boxes(), seed=st.integers(0, 2**32 - 1))
def test_the_halves_of_a_split_are_disjoint_even_and_make_up_the_box(case, seed):
    mask, box = case
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(box.free.any(axis=1))
    box, mask = box.take(rows), mask[rows]
    unit = np.array([rng.choice(np.flatnonzero(free)) for free in box.free], dtype=np.int64)
    low, high = (half.mask() for half in box.split(unit))
    here = np.arange(len(rows)), unit
    assert np.array_equal(low | high, mask)
    assert not (low[here] & high[here]).any()
    assert (low[here].sum(axis=1) - high[here].sum(axis=1) >= 0).all()
    assert (low[here].sum(axis=1) - high[here].sum(axis=1) <= 1).all()
    low[here] = high[here] = mask[here]
    assert np.array_equal(low, mask)
    assert np.array_equal(high, mask)


def test_a_draw_is_any_of_the_code_images_of_its_row():
    book = np.arange(4, dtype=np.float32)[:, None]
    mask = np.array([[[1, 0, 1, 1], [0, 1, 0, 0]], [[0, 0, 1, 1], [1, 1, 0, 0]]], dtype=bool)
    box = CodeBox.of_mask(mask, book).take(np.repeat([0, 1], 200))
    drawn = box.drawn(np.random.default_rng(0))
    assert drawn.shape == (400, 2)
    for row, codes in enumerate((drawn[:200], drawn[200:])):
        for unit in range(2):
            assert set(codes[:, unit]) == set(np.flatnonzero(mask[row, unit]))
    assert np.array_equal(drawn, box.drawn(np.random.default_rng(0)))


def test_a_split_is_by_the_channel_that_is_widest():
    book = np.array([[0, 0.5], [0.1, 0], [0.2, 1], [0.05, 0.9]], dtype=np.float32)
    box = CodeBox.of_mask(np.ones((1, 1, 4), dtype=bool), book)
    low, high = box.split(np.array([0]))
    assert low.codes[0, 0][low.listed[0, 0]].tolist() == [0, 1]
    assert high.codes[0, 0][high.listed[0, 0]].tolist() == [2, 3]
    assert low.pinned(np.array([0]), np.array([3])).mask().tolist() == [[[False] * 3 + [True]]]
    # boxes are shared by the nodes of a search
    assert low.mask().tolist() == [[[True, True, False, False]]]
    assert box.mask().all()


def test_what_cannot_be_is_refused():
    box = CodeBox.of_mask(np.ones((1, 2, 1), dtype=bool), np.zeros((1, 1), dtype=np.float32))
    with pytest.raises(InputError, match=r"only free units can be split, got units \[1\]"):
        box.split(np.array([1]))
    with pytest.raises(InputError, match="every unit needs a code, got 2 units without one"):
        CodeBox.of_mask(np.zeros((1, 2, 1), dtype=bool), box.codewords)


@pytest.mark.parametrize("images_at_once", [1, 2, 3])
def test_a_box_of_images_is_what_their_pixels_reach(monkeypatch, images_at_once):
    x = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4)).astype(np.float32) / 255
    book = UniformCodebook(5)
    # pixels of two codes, in the other images of three
    x[0] = 0.02
    units = checked_units(x, book)
    monkeypatch.setattr("art_disc.codebox.reachability._CHUNK_BITS", images_at_once * 16 * 5)
    for threat in (Threat(0.2), Threat(0.2, domain="8bit"), Threat(0.2, "paper")):
        box = CodeBox.within(units, book, threat)
        assert np.array_equal(box.mask(), unit_mask(units, book, threat))
        last = np.take_along_axis(box.codes, box.counts[..., None] - 1, axis=2)
        assert np.array_equal(box.codes, np.where(box.listed, box.codes, last))


def reach_of(pixels, book, threat, **options):
    units = pixels.astype(np.float32) / np.float32(options.get("upper", 1))
    box = CodeBox.within(units[None], book, threat)
    return box, Reach.of(pixels.astype(np.float32), box.codes[0], book, threat, **options)


@pytest.mark.parametrize(("level", "eps"), [(152, 0.1), (101, 0.1), (50, 0.3), (203, 0.3)])
@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("ties", ["lowest", "highest"])
def test_a_tie_at_the_edge_of_the_budget_is_reached(level, eps, upper, ties):
    book = Codebook([0.0, 253 / 255], ties=ties)
    pixel = np.array([[level / 255 * upper]], dtype=np.float32)
    _, reach = reach_of(pixel, book, Threat(eps), upper=upper)
    own = reach.codes_of(pixel)
    point, found = reach.nearest(1 - own)
    # 126.5 itself, or the next float if the tie falls to the other
    assert found[0]
    assert point[0, 0] / upper == pytest.approx(126.5 / 255, abs=2.0**-23)
    assert book.assign(point / np.float32(upper)) == 1 - own
    _, reach = reach_of(pixel, book, Threat(eps - 2.0**-21), upper=upper)
    assert not reach.nearest(1 - own)[1][0]
    farther = pixel + np.float32(np.sign(pixel - point) * upper / 255)
    box, reach = reach_of(farther, book, Threat(eps), upper=upper)
    assert box.codes.shape[2] == 1
    assert not reach.nearest(1 - own)[1][0]


@st.composite
def pixels_in_reach(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d, upper = draw(st.sampled_from([1, 1, 2, 3])), draw(st.sampled_from([1.0, 255.0]))
    book = Codebook(
        np.unique(rng.random((draw(st.integers(2, 8)), d)).astype(np.float32), axis=0),
        metric=draw(st.sampled_from(["l_inf", "l1", "l2"])),
        ties=draw(st.sampled_from(["lowest", "highest"])),
    )
    pixels = rng.random((6, d))
    if draw(st.booleans()):
        pixels = np.rint(pixels * 255) / 255
    threat = Threat(
        draw(st.sampled_from([0.0, 4 / 255, 0.1, 0.3])),
        domain=draw(st.sampled_from(["real", "8bit"])) if draw(st.booleans()) else "real",
    )
    if threat.domain == "8bit":
        pixels = np.rint(pixels * 255) / 255
    return (pixels * upper).astype(np.float32), book, threat, upper


def levels_around(pixel, eps):
    ranges = [
        range(
            max(0, int(np.ceil(255 * (v - eps) - 1e-3))), min(255, int(255 * (v + eps) + 1e-3)) + 1
        )
        for v in pixel.astype(np.float64).tolist()
    ]
    return np.array(list(itertools.product(*ranges)), dtype=np.float32) / np.float32(255)


@given(case=pixels_in_reach())
def test_points_are_within_the_budget_have_their_code_and_are_found_where_levels_show_it(case):
    pixels, book, threat, upper = case
    box, reach = reach_of(pixels, book, threat, upper=upper)
    for place in range(box.codes.shape[2]):
        codes = box.codes[0, :, place]
        points, found = reach.nearest(codes)
        change = np.abs(points.astype(np.float64) - pixels)
        assert change.max() <= (threat.eps + 2.0**-23) * upper
        assert points.min() >= 0
        assert points.max() <= upper
        unit = points if upper == 1 else points / np.float32(upper)
        assert np.array_equal(book.assign(unit)[found], codes[found])
        assert not change[~found].any()
        own = book.assign(pixels if upper == 1 else pixels / np.float32(upper)) == codes
        assert found[own].all()
        assert not change[own].any()
        if threat.domain == "8bit":
            assert np.allclose(unit * 255, np.rint(unit * 255), rtol=0, atol=1e-4)
        for i in np.flatnonzero(~found)[:2]:
            tried = levels_around(pixels[i] / upper, threat.eps)
            assert codes[i] not in book.assign(tried[:20000])


@given(
    level=st.integers(0, 255),
    k=st.integers(2, 6),
    ties=st.sampled_from(["lowest", "highest"]),
    eps=st.sampled_from([0.4, 1.0]),
)
def test_no_level_with_the_code_is_nearer(level, k, ties, eps):
    book = Codebook(UniformCodebook(k).codewords_, ties=ties)
    pixel = np.array([[level]], dtype=np.float32) / np.float32(255)
    levels = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
    _, reach = reach_of(pixel, book, Threat(eps))
    codes = book.assign(levels)
    for code in range(k):
        point, found = reach.nearest(np.array([code]))
        far = np.abs(np.flatnonzero(codes == code) - level).min()
        assert found[0] == (far <= 255 * eps)
        if found[0]:
            assert abs(abs(point[0, 0] * 255 - level) - far) < 1e-3


def test_of_a_pixel_off_the_grid_the_nearest_float_is_taken():
    pixel = np.array([[0.33]], dtype=np.float32)
    _, reach = reach_of(pixel, TWO, Threat(0.3))
    point, found = reach.nearest(np.array([1]))
    assert found[0]
    below = np.nextafter(point[0, 0], np.float32(0))
    assert TWO.assign(np.array([[below]])) == 0
    assert TWO.assign(point) == 1


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize(
    ("metric", "levels", "pixel", "eps", "point"),
    [
        # cubes around the rivals leave one point between them, where all three are as near
        ("l_inf", [[116, 100], [112, 96], [112, 108]], [100, 100], 10 / 255, [110, 102]),
        # neither the codeword's projection nor a corner wins
        ("l2", [[220, 125], [141, 60], [100, 17], [91, 182], [195, 208]], [125, 140], 0.1, None),
    ],
)
def test_what_only_a_search_finds_is_found(metric, levels, pixel, eps, point, upper):
    book = Codebook(np.array(levels) / 255, metric=metric)
    pixels = np.array([pixel], dtype=np.float32) / np.float32(255 / upper)
    _, reach = reach_of(pixels, book, Threat(eps), upper=upper)
    found, there = reach.nearest(np.array([0]))
    assert there[0]
    assert book.assign(found / np.float32(upper)) == 0
    change = np.abs(found.astype(np.float64) - pixels).max() / upper
    assert change <= eps + 2.0**-23
    assert point is None or np.allclose(found[0] / upper * 255, point, rtol=0, atol=1e-4)


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_ends_of_a_budget_are_the_last_floats_within_it(upper):
    pixels = (upper * np.random.default_rng(0).random((200, 1))).astype(np.float32)
    reach = Reach.of(pixels, np.zeros((200, 1), dtype=np.int64), TWO, Threat(0.1), upper=upper)
    budget = (Fraction(0.1) + Fraction(2.0**-23)) * int(upper)
    for pixel, low, high in zip(pixels, reach.low, reach.high, strict=True):
        # the sums in float64 are rounded too
        exact, last = Fraction(float(pixel[0])), Fraction(2.0**-50) * int(upper)
        for end, sign in ((low[0], -1), (high[0], 1)):
            within = (Fraction(float(end)) - exact) * sign
            assert within <= budget + last
            beyond = np.nextafter(end, np.float32(sign * np.inf))
            outside = (Fraction(float(beyond)) - exact) * sign > budget - last
            assert outside or float(end) == (upper if sign > 0 else 0)


def test_a_channel_that_may_not_move_does_not():
    book = Codebook(np.array([[0.2, 0.2], [0.8, 0.2], [0.2, 0.8]]))
    pixel = np.array([[0.45, 0.45]], dtype=np.float32)
    codes = np.array([[0, 1, 2]])
    for free, reached in (
        ([True, True], [1, 1, 1]),
        ([True, False], [1, 1, 0]),
        ([False] * 2, [1, 0, 0]),
    ):
        reach = Reach.of(pixel, codes, book, Threat(0.1), free=np.array([free]))
        points = [reach.nearest(np.array([code])) for code in range(3)]
        assert [int(found[0]) for _, found in points] == reached
        assert all((point[0] == pixel[0])[~np.array(free)].all() for point, _ in points)
