"""Neighbourhood sizes, against all pairs of pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.metrics import neighbourhood_sizes


@st.composite
def pixels(draw):
    c = draw(st.sampled_from((1, 2, 3)))
    base, spread = draw(st.sampled_from([0, 120, 235])), draw(st.sampled_from([3, 20]))
    colour = st.tuples(*[st.integers(base, base + spread)] * c)
    return np.array(draw(st.lists(colour, min_size=1, max_size=30)), dtype=np.uint8)


def image_of(colours):
    return np.ascontiguousarray(colours.T[None, :, None, :])


@given(pixels(), st.integers(0, 25))
def test_every_pair_is_counted(colours, reach):
    found = neighbourhood_sizes(image_of(colours), eps=reach / 255)
    whole = colours.astype(int)
    distinct = np.unique(whole, axis=0)
    assert np.array_equal(found.values, distinct)
    for others, sizes in ((whole, found.pixels), (distinct, found.colours)):
        near = np.abs(distinct[:, None] - others[None]).max(axis=-1) <= reach
        assert np.array_equal(sizes, near.sum(axis=1))


def test_far_colours_of_the_whole_cube():
    # a budget that reaches beyond both ends of the range
    rng = np.random.default_rng(0)
    colours = np.concatenate([rng.integers(0, 256, (300, 3)), [[0, 0, 0], [255] * 3]]).astype(int)
    found = neighbourhood_sizes(image_of(colours.astype(np.uint8)), eps=100 / 255)
    near = np.abs(found.values[:, None].astype(int) - colours[None]).max(axis=-1) <= 100
    assert np.array_equal(found.pixels, near.sum(axis=1))


@given(pixels(), st.integers(0, 25))
def test_both_ends_of_the_budget(colours, reach):
    x = image_of(colours)
    none, whole = neighbourhood_sizes(x, eps=0), neighbourhood_sizes(x, eps=1)
    assert np.array_equal(none.pixels, none.counts)
    assert (none.colours == 1).all()
    assert (whole.pixels == len(colours)).all()
    assert (neighbourhood_sizes(x, eps=reach / 255).pixels <= whole.pixels).all()


def test_a_budget_between_two_levels_is_rounded_down():
    x = np.array([[[[10, 13]]]], dtype=np.uint8)
    assert neighbourhood_sizes(x, eps=2.99 / 255).pixels.tolist() == [1, 1]
    assert neighbourhood_sizes(x, eps=3 / 255).pixels.tolist() == [2, 2]


@given(pixels(), st.floats(0, 1), st.booleans())
def test_quantiles_weigh_colours_or_pixels(colours, share, distinct):
    found = neighbourhood_sizes(image_of(colours), eps=2 / 255, distinct=distinct)
    sizes = np.sort(found.pixels if distinct else np.repeat(found.pixels, found.counts))
    value = found.quantile(share)
    assert value in sizes
    assert (sizes <= value).mean() >= share - 1e-12
    assert (sizes < value).mean() < share or value == sizes[0]
    values, shares = found.cdf()
    assert shares == pytest.approx([(sizes <= v).mean() for v in values])


def test_a_colour_counts_once_or_as_often_as_it_occurs():
    x = np.array([[[[0, 0, 0, 9]]]], dtype=np.uint8)
    once, often = (neighbourhood_sizes(x, eps=2 / 255, distinct=d) for d in (True, False))
    assert (once.quantile(0.5), often.quantile(0.5)) == (1, 3)
    assert once.cdf()[1].tolist() == [0.5, 1]
    assert often.cdf()[1].tolist() == [0.25, 1]


def test_images_counts_and_data_sets_are_one(digits):
    counts = ad.PixelCounts.of(digits.x_train)
    found = [neighbourhood_sizes(data, eps=0.1) for data in (digits, digits.x_train, counts)]
    assert all(np.array_equal(found[0].pixels, other.pixels) for other in found[1:])
    facts = found[0].facts()
    assert facts["pixels"] == digits.x_train.size
    assert facts["largest"] == found[0].pixels.max() == facts["size_quantiles"]["1"]


def test_a_data_set_without_training_images_gives_its_test_images(digits):
    only_test = digits.subset(0, 10)
    assert neighbourhood_sizes(only_test, eps=0).counts.sum() == 640


def test_arguments_that_do_not_fit():
    with pytest.raises(InputError, match="1 to 3 channels"):
        neighbourhood_sizes(np.zeros((1, 4, 2, 2)), eps=0.1)
    with pytest.raises(InputError, match="at least one pixel"):
        neighbourhood_sizes(ad.PixelCounts(1), eps=0.1)
    with pytest.raises(InputError, match="8/255"):
        neighbourhood_sizes(np.zeros((1, 1, 2, 2)), eps=8)
    found = neighbourhood_sizes(np.zeros((1, 1, 2, 2)), eps=0.1)
    with pytest.raises(InputError, match="share"):
        found.quantile(1.5)
    with pytest.raises(InputError, match="three channels"):
        found.scatter()
