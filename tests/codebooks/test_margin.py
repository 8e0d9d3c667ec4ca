"""Margin codebooks against trying all codewords, and against what the code box says of them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_disc.codebooks import DensityCodebook, MarginCodebook
from art_disc.codebox import reachable_codes
from art_disc.core.errors import CodebookWarning, InputError

PAIRS = np.argwhere(np.triu(np.ones((256, 256), dtype=bool), 1)).astype(np.int16)
TRIPLES = np.concatenate([np.insert(PAIRS[PAIRS[:, 0] > i], 0, i, axis=1) for i in range(254)])
ALL = {2: PAIRS, 3: TRIPLES}


def as_images(levels):
    return np.asarray(levels, dtype=np.uint8).reshape(1, 1, 1, -1)


def tried(levels, k, eps, least_share):
    """Return the fewest crossings of any k codewords, and the least cost among these."""
    levels = np.sort(np.asarray(levels, dtype=np.int64))
    sums = np.arange(511)
    near = (np.abs(2 * levels - sums[:, None]) <= 510 * eps + 1e-9).sum(axis=1)
    below = (2 * levels <= sums[:, None]).sum(axis=1)
    codes = ALL[k]
    edges = codes[:, 1:] + codes[:, :-1]
    ends = np.zeros((len(codes), 1), dtype=int)
    shares = np.diff(np.hstack([ends, below[edges], ends + len(levels)]), axis=1)
    fits = (shares >= least_share * len(levels)).all(axis=1)
    if not fits.any():
        return None
    free = near[edges].sum(axis=1)
    best = codes[fits & (free == free[fits].min())]
    cost = min(
        (np.abs(levels[:, None] - rows[:, None]).min(axis=-1) ** 2).sum(axis=-1).min()
        for rows in np.array_split(best, max(1, len(best) // 2000))
    )
    return int(free[fits].min()), int(cost)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("least_share", [0.0, 0.1, 0.3])
def test_no_other_codewords_leave_fewer_free_pixels(k, least_share):
    for seed in range(4 - k):
        rng = np.random.default_rng([seed, k])
        levels = rng.choice(rng.integers(0, 256, 9), 30)
        book = MarginCodebook(k, 20 / 255, least_share=least_share).fit(as_images(levels))
        found = round(book.free_share_ * len(levels)), round(book.cost_ * len(levels) * 255**2)
        least = tried(levels, k, 20 / 255, least_share)
        assert found == least


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.integers(0, 255), min_size=4, max_size=40),
    st.integers(1, 5),
    st.sampled_from([1 / 255, 8 / 255, 0.1, 0.3]),
)
def test_what_it_says_is_what_a_budget_reaches(levels, k, eps):
    images = as_images(levels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CodebookWarning)
        book = MarginCodebook(k, eps, least_share=0.0).fit(images)
    x = (images / np.float32(255)).astype(np.float32)
    crossed = reachable_codes(x, book, eps=eps).sum(axis=-1) - 1
    # a pixel reaches the codewords whose boundaries it comes across, and its own
    assert crossed.mean() == pytest.approx(book.free_share_)


def test_each_codeword_stands_for_its_share():
    levels = [0] * 80 + [60] * 3 + [120] * 9 + [200] * 8
    book = MarginCodebook(3, 0.1, least_share=0.08).fit(as_images(levels))
    counts = np.bincount(book.assign(np.array(levels, dtype=np.float32)[:, None] / 255))
    assert counts.min() >= 8
    assert book.free_share_ == 0


def test_it_frees_no_more_than_density_codewords():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 1, 9, 9)).astype(np.uint8)
    x = (images / np.float32(255)).astype(np.float32)
    free = [
        reachable_codes(x, book.fit(x), eps=0.1).sum() for book in
        (MarginCodebook(2, 0.1), DensityCodebook(2, 0.6))
    ]  # fmt: skip
    assert free[0] < free[1]


def test_fewer_codewords_where_no_more_have_their_share():
    with pytest.warns(CodebookWarning, match=r"only 2 of 4 codewords: .*least_share"):
        book = MarginCodebook(4, least_share=0.4).fit(as_images([0, 0, 0, 255, 255]))
    assert book.n_codes_ == 2


def test_more_codewords_than_can_have_their_share_are_asked_for_once():
    levels = np.random.default_rng(2).integers(0, 256, 300)
    with pytest.warns(CodebookWarning, match="only"):
        book = MarginCodebook(1000, least_share=0.2).fit(as_images(levels))
    assert 2 <= book.n_codes_ <= 5


def test_channels_are_counted_together_where_codewords_are_scalars():
    colours = np.random.default_rng(1).integers(0, 256, (2, 3, 4, 4)).astype(np.uint8)
    book = MarginCodebook(2, per_channel=True).fit(colours)
    grey = MarginCodebook(2).fit(as_images(colours))
    assert np.array_equal(book.codewords_, grey.codewords_)
    assert (book.cost_, book.free_share_) == (grey.cost_, grey.free_share_)
    with pytest.raises(InputError, match="per_channel=True"):
        MarginCodebook(2).fit(colours)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eps": 0}, "budget"),
        ({"eps": 8}, "8/255"),
        ({"eps": np.nan}, "budget"),
        ({"least_share": 1.0}, "least_share"),
        ({"least_share": -0.1}, "least_share"),
        ({"n_codes": 0}, "n_codes"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        MarginCodebook(**options).fit(as_images([0, 255]))
