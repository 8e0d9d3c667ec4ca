"""Separability, against all pairs of pixels and against the box of every pixel."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import art_disc as ad
from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.hardness.separability import _gap_by_windows, _gap_of_pairs
from art_disc.metrics import reachable_codes, separability


def image_of(colours):
    return np.ascontiguousarray(np.asarray(colours, dtype=np.uint8).T[None, :, None, :])


@st.composite
def cases(draw):
    c = draw(st.sampled_from((1, 2)))
    spread = draw(st.sampled_from([6, 40, 255]))
    colour = st.tuples(*[st.integers(0, spread)] * c)
    codes = draw(st.lists(colour, min_size=1, max_size=5, unique=True))
    pixels = np.array(draw(st.lists(colour, min_size=1, max_size=20)))
    return Codebook(np.array(codes) / 255), pixels, draw(st.integers(0, 40))


@given(cases(), st.sampled_from(["real", "8bit"]))
def test_pairs_and_boxes_decide(case, domain):
    book, colours, reach = case
    x, eps = image_of(colours), reach / 255
    found = separability(x, book, eps=eps, domain=domain)
    free = reachable_codes(x, book, eps=eps, domain=domain).sum(axis=-1)[0] > 1
    assert found.free_pixels == free.sum()
    assert found.free_colours == len(np.unique(colours[free], axis=0))
    cells = book.assign(np.moveaxis(x / np.float32(255), 1, -1).astype(np.float32)).reshape(-1)
    pairs = [
        np.abs(a - b).max()
        for a, i in zip(colours, cells, strict=True)
        for b, j in zip(colours, cells, strict=True)
        if i != j
    ]
    assert 255 * found.gap == pytest.approx(min(pairs, default=np.inf))
    if found.separable:
        assert found.gap > 2 * eps


@given(st.integers(0, 10_000), st.sampled_from((2, 3)), st.sampled_from((3, 12, 60)))
def test_windows_find_the_nearest_pair(seed, channels, spread):
    rng = np.random.default_rng(seed)
    # two or three clusters, at most one of them wide
    centres = rng.integers(0, 30, (3, channels)) * spread // 8
    colours = np.concatenate([c + rng.integers(0, 3, (6, channels)) for c in centres])
    colours, first = np.unique(colours, axis=0, return_index=True)
    cells = first // 6
    if len(np.unique(cells)) > 1:
        assert _gap_by_windows(colours, cells) == _gap_of_pairs(colours, cells)


def test_a_wide_gap_is_not_enough():
    # 100 levels between the clusters, but the border (at 127.5) lies 8 above the lower one
    x = image_of([[0], [119], [220], [255]])
    book = Codebook([0.0, 1.0])
    found = separability(x, book, eps=9 / 255)
    assert 255 * found.gap == pytest.approx(101)
    assert found.gap > 2 * found.eps
    assert not found.separable
    assert found.free_pixels == 1
    assert separability(x, book, eps=8 / 255).separable


def test_share_of_the_volume():
    x = image_of([[0], [255]])
    # 120 to 135 lie within 8 levels of 127.5
    assert separability(x, Codebook([0.0, 1.0]), eps=8 / 255).free_volume == 16 / 256
    per_channel = Codebook([0.0, 1.0], per_channel=True)
    found = separability(image_of([[0, 0, 0], [0, 0, 125]]), per_channel, eps=8 / 255)
    assert found.free_volume == pytest.approx(1 - (240 / 256) ** 3)
    assert (found.free_pixels, found.pixels) == (1, 2)
    pair = Codebook([[0.0, 0.0], [1.0, 1.0]])
    flat = separability(image_of([[0, 0], [255, 255]]), pair, eps=0, domain="8bit")
    assert flat.free_volume == 0
    every = separability(image_of([[0, 0], [255, 255]]), pair, eps=1)
    assert every.free_volume == 1


def test_no_quick_answer_for_the_volume_off_the_grid():
    pair = Codebook([[0.0, 0.0], [0.501, 0.5]], metric="l2")
    found = separability(image_of([[0, 0], [64, 64]]), pair, eps=0.01)
    assert found.free_volume is None
    assert found.free_pixels == 1


def test_channels_are_compared_with_themselves_alone():
    # red: 0 and 10 in one cell; blue: 250 and 255 in the other
    x = image_of([[0, 250], [10, 255]])
    assert separability(x, Codebook([0.0, 1.0], per_channel=True), eps=0.1).gap == np.inf


def test_distances_are_of_the_adversarys_norm():
    book = Codebook([[0.0, 0.0], [0.4, 0.2]], metric="l1")
    found = separability(image_of([[0, 0], [102, 51]]), book, eps=0.1)
    assert found.codeword_separation == pytest.approx(0.4)
    assert found.gap == pytest.approx(0.4)


def test_one_cell_has_no_gap_and_json_takes_it():
    found = separability(image_of([[3], [9]]), Codebook([0.5]), eps=0.3)
    assert found.gap == found.codeword_separation == np.inf
    facts = json.loads(json.dumps(found.facts(), allow_nan=False))
    assert facts["gap"] is facts["gap_in_grey_levels"] is facts["codeword_separation"] is None
    assert facts["separable"] is True


def test_mnist_is_nearly_separable(shared_data):
    data = ad.load_dataset("mnist", data_dir=shared_data("mnist.npz").parent)
    found = separability(data.x_test, Codebook([0, 253 / 255]), eps=0.1)
    assert not found.separable
    assert 0.01 < found.free_share < 0.03
    # every level occurs, so that the cells touch
    assert 255 * found.gap == pytest.approx(1)


def test_arguments_that_do_not_fit():
    x = image_of([[0], [255]])
    with pytest.raises(InputError, match="domain must be one of"):
        separability(x, Codebook([0.0, 1.0]), eps=0.1, domain="int")
    with pytest.raises(InputError, match="expected pixels of 3"):
        separability(x, Codebook([[0.0, 0, 0], [1, 1, 1]]), eps=0.1)
    with pytest.raises(InputError, match="8/255"):
        separability(x, Codebook([0.0, 1.0]), eps=8)
