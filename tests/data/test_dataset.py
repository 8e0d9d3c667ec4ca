from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_disc.core.errors import InputError
from art_disc.data import Dataset, from_arrays, load_dataset


def numbered(labels) -> Dataset:
    """Images whose only pixel tells their index."""
    y = np.asarray(labels, np.int64)
    x = (np.arange(len(y), dtype=np.float32) / 1000).reshape(-1, 1, 1, 1)
    return Dataset("numbered", x, y, x, y, tuple("0123456789"), "here")


def ids_in(x):
    return np.round(x.ravel() * 1000).astype(int)


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_a_stratified_subset_keeps_every_share_within_one(labels, share, seed):
    data, n = numbered(labels), max(1, int(share * len(labels)))
    part = data.subset(n, n, stratified=True, seed=seed)
    for x, y in ((part.x_train, part.y_train), (part.x_test, part.y_test)):
        ids = ids_in(x)
        assert len(ids) == n
        assert (np.diff(ids) > 0).all()
        assert np.array_equal(data.y_test[ids], y)
        for label in set(labels):
            quota = Fraction(labels.count(label) * n, len(labels))
            assert abs(int((y == label).sum()) - quota) < 1
    assert np.array_equal(part.test_ids, ids_in(part.x_test))
    again = data.subset(n, n, stratified=True, seed=seed)
    assert part.fingerprint == again.fingerprint


def test_the_seed_changes_the_draw_and_both_parts_have_their_own():
    data = numbered(np.arange(200) % 10)
    one, two = (data.subset(50, 50, stratified=True, seed=seed) for seed in (1, 2))
    assert not np.array_equal(one.test_ids, two.test_ids)
    assert not np.array_equal(one.x_train, one.x_test)


def test_small_draws_do_not_always_favour_the_first_classes():
    data = numbered(np.arange(100) % 10)
    seen = {
        int(y)
        for seed in range(30)
        for y in data.subset(None, 2, stratified=True, seed=seed).y_test
    }
    assert seen == set(range(10))


def test_the_first_ones_by_default_without_a_copy():
    data = numbered(np.arange(30) % 3)
    part = data.subset(20, 10)
    assert np.array_equal(part.test_ids, np.arange(10))
    assert np.array_equal(ids_in(part.x_train), np.arange(20))
    assert np.shares_memory(part.x_train, data.x_train)


def test_a_number_left_out_keeps_the_whole_part():
    data = numbered(np.arange(30) % 3)
    part = data.subset(n_test=4)
    assert len(part.x_train) == 30
    assert data.subset(n_train=0).x_train.shape == (0, 1, 1, 1)
    assert data.subset(n_train=0, stratified=True).x_train.shape == (0, 1, 1, 1)


def test_ids_of_a_subset_of_a_subset_name_the_original():
    data = numbered(np.arange(100) % 10)
    part = data.subset(n_test=60, stratified=True).subset(n_test=20, stratified=True, seed=5)
    assert np.array_equal(part.test_ids, ids_in(part.x_test))


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((31, None), "n_train must be at most 30"),
        ((None, 31), "n_test must be at most 30"),
        ((None, 0), "n_test must be a whole number >= 1"),
        ((-1, None), "n_train must be a whole number >= 0"),
        ((None, 2.5), "whole number"),
    ],
)
def test_numbers_that_cannot_be_kept_are_refused(numbers, text, stratified):
    with pytest.raises(InputError, match=text):
        numbered(np.arange(30) % 3).subset(*numbers, stratified=stratified)


def test_the_fingerprint_follows_every_pixel_and_label_and_nothing_else():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (6, 5, 5), dtype=np.uint8), np.arange(6) % 2
    same = from_arrays(x / 255, y, x[..., None], np.eye(2)[y], name="other", source="elsewhere")
    data = from_arrays(x, y, x, y)
    assert data.fingerprint == same.fingerprint
    assert len(data.fingerprint) == 16
    pixel, label = x.copy(), y.copy()
    pixel[5, 4, 4] ^= 1
    label[5] ^= 1
    prints = {
        d.fingerprint
        for d in (
            data,
            from_arrays(pixel, y, x, y),
            from_arrays(x, y, pixel, y),
            from_arrays(x, label, x, y),
            from_arrays(x, y, x, label),
            data.subset(n_test=5),
            from_arrays(None, None, x, y),
        )
    }
    assert len(prints) == 7


def test_subsets_leave_the_arrays_as_they_were():
    data = load_dataset("digits")
    before = data.fingerprint
    part = data.subset(100, 50, stratified=True)
    assert part.fingerprint != before
    assert (
        Dataset(
            data.name,
            data.x_train,
            data.y_train,
            data.x_test,
            data.y_test,
            data.class_names,
            data.source,
        ).fingerprint
        == before
    )
