import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from art_disc.codebooks import PixelCounts, channel_histograms, counts
from art_disc.core.errors import InputError


@st.composite
def batches(draw, levels=(0, 1, 2, 127, 254, 255)):
    shape = (draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 3])), 2, 3)
    return draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(levels)))


def tally(x):
    """Distinct pixels and how often they occur, by NumPy on the rows."""
    return np.unique(np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]), axis=0, return_counts=True)


def assert_same(got, expected):
    assert np.array_equal(got.values, expected.values)
    assert np.array_equal(got.counts, expected.counts)


@given(batches())
def test_pixels_are_counted_as_numpy_counts_rows(x):
    values, amounts = tally(x)
    got = PixelCounts.of(x)
    assert got.values.dtype == np.uint8
    assert np.array_equal(got.values, values)
    assert np.array_equal(got.counts, amounts)
    assert got.total == amounts.sum() == x.size // x.shape[1]


@given(batches(), st.integers(1, 3))
def test_batches_one_after_another_are_the_whole(x, size):
    parts = PixelCounts(x.shape[1])
    for start in range(0, len(x), size):
        assert parts.update(x[start : start + size]) is parts
    assert_same(parts, PixelCounts.of(x))


@given(batches(), st.integers(0, 6))
def test_counts_add_up_and_leave_the_summands_alone(x, cut):
    cut = min(max(cut, 1), len(x))
    a = PixelCounts.of(x[:cut])
    b = PixelCounts.of(x[cut:]) if cut < len(x) else PixelCounts(x.shape[1])
    before = a.counts
    assert_same(a + b, PixelCounts.of(x))
    assert_same(b + a, PixelCounts.of(x))
    assert np.array_equal(a.counts, before)


@given(batches())
def test_the_marginals_are_those_of_each_channel(x):
    expected = [np.bincount(x[:, i].ravel(), minlength=256) for i in range(x.shape[1])]
    assert np.array_equal(PixelCounts.of(x).per_channel(), expected)


@given(batches())
def test_layout_and_type_do_not_matter(x):
    whole = PixelCounts.of(x)
    assert_same(PixelCounts.of(np.moveaxis(x, 1, -1), channels_first=False), whole)
    for dtype in (np.float32, np.float64):
        assert_same(PixelCounts.of((x / 255).astype(dtype)), whole)


@pytest.mark.parametrize("chunk", [1 << 22, 1 << 18])
def test_large_batches_are_counted_alike(chunk, monkeypatch):
    # in one piece, by the dense table, and in several
    x = np.random.default_rng(0).integers(0, 4, (25, 3, 210, 210), dtype=np.uint8) * 85
    values, amounts = tally(x[:, :, 0])
    monkeypatch.setattr(counts, "_CHUNK_PIXELS", chunk)
    columns = np.broadcast_to(x[:, :, :1], x.shape)
    amounts = amounts * 210
    got = PixelCounts.of(columns)
    assert np.array_equal(got.values, values)
    assert np.array_equal(got.counts, amounts)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_memory_map_is_read_in_parts(channels, tmp_path, monkeypatch):
    monkeypatch.setattr(counts, "_CHUNK_PIXELS", 1 << 14)
    x = np.random.default_rng(0).integers(0, 8, (600, channels, 64, 64), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    PixelCounts.of(mapped[:5])  # what the first call loads is not its own
    tracemalloc.start()
    got = PixelCounts.of(mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_same(got, PixelCounts.of(x.astype(np.float32) / 255))
    # beside the table of all values a part in whole numbers; the batch alone has 2.4 and 7.4 MB
    assert peak - 8 * 256**channels < 2e6


def test_a_later_part_that_is_refused_leaves_nothing_counted(monkeypatch):
    monkeypatch.setattr(counts, "_CHUNK_PIXELS", 4)
    x = np.zeros((3, 1, 2, 2))
    x[2] = 3
    got = PixelCounts(1)
    with pytest.raises(InputError, match="divide 8-bit images by 255"):
        got.update(x)
    assert got.total == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_table_of_all_values_counts_as_sorting_does(channels, monkeypatch):
    # of four channels there is none
    x = np.random.default_rng(0).integers(0, 256, (4, channels, 20, 20), dtype=np.uint8)
    monkeypatch.setattr(counts, "_DENSE", 1 << 20)
    dense = PixelCounts.of(x)
    monkeypatch.setattr(counts, "_DENSE", 0)
    assert_same(dense, PixelCounts.of(x))
    assert np.array_equal(dense.values, tally(x)[0])


def test_a_value_between_two_levels_counts_for_the_nearest():
    x = np.array([0.4, 0.6, 99.51, 254.49], dtype=np.float32).reshape(1, 1, 2, 2) / 255
    assert PixelCounts.of(x).values.ravel().tolist() == [0, 1, 100, 254]


@pytest.mark.parametrize("channels", [4, 7])
def test_many_channels_are_kept_apart(channels):
    x = np.random.default_rng(0).integers(0, 256, (4, channels, 3, 3), dtype=np.uint8)
    values, amounts = tally(x)
    got = PixelCounts.of(x)
    assert np.array_equal(got.values, values)
    assert np.array_equal(got.counts, amounts)


def test_a_refused_batch_is_not_counted():
    got = PixelCounts(1).update(np.zeros((1, 1, 2, 2)))
    for bad in (np.zeros((1, 3, 2, 2)), np.full((1, 1, 2, 2), 2.0), np.zeros((2, 2))):
        with pytest.raises(InputError):
            got.update(bad)
    assert got.total == 4


def test_what_cannot_be_added_is_refused():
    with pytest.raises(InputError, match="cannot add counts of 1 and 3 channels"):
        PixelCounts(1) + PixelCounts(3)
    with pytest.raises(TypeError):
        PixelCounts(1) + 3
    for channels in (0, 8):
        with pytest.raises(InputError, match=r"1\.\.7"):
            PixelCounts(channels)


def test_histograms_of_channels_are_those_of_their_pixels_however_many():
    x = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 7)).astype(np.uint8)
    assert np.array_equal(channel_histograms(x), PixelCounts.of(x).per_channel())
    many = np.concatenate([x, x[:, ::-1]], axis=1)
    assert np.array_equal(channel_histograms(many)[:5], channel_histograms(x))
    assert np.array_equal(channel_histograms(many)[5:], channel_histograms(x)[::-1])


@pytest.mark.parametrize("channels_first", [True, False])
def test_many_channels_are_refused_and_a_layout_is_named(channels_first):
    x = np.zeros((2, 28, 28, 3) if channels_first else (2, 3, 28, 28), dtype=np.uint8)
    with pytest.raises(InputError, match=rf"channels_first={not channels_first}"):
        PixelCounts.of(x, channels_first=channels_first)
    with pytest.raises(InputError, match=r"1\.\.7, got 8; .*UniformCodebook"):
        PixelCounts.of(np.zeros((2, 8, 9, 9), dtype=np.uint8))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_many_small_updates_are_one_large_one(channels, monkeypatch):
    # sorted first, folded on the way, and of up to three channels in a table in the end
    monkeypatch.setattr(counts, "_CHUNK_PIXELS", 300)
    monkeypatch.setattr(counts, "_DENSE", 1 << 15)
    x = np.random.default_rng(0).integers(0, 4, (200, channels, 3, 3), dtype=np.uint8) * 85
    got, folds = PixelCounts(channels), []
    for i, image in enumerate(x):
        got.update(image[None])
        if i == 150:
            folds.append(got.values)
        assert got.total == 9 * (i + 1)
    assert_same(got, PixelCounts.of(x))
    assert np.array_equal(folds[0], PixelCounts.of(x[:151]).values)


def test_the_memory_of_many_updates_is_that_of_the_different_pixels():
    x = np.random.default_rng(0).integers(0, 2, (1, 4, 64, 64), dtype=np.uint8)

    def peak(times):
        got = PixelCounts(4)
        tracemalloc.start()
        for _ in range(times):
            got.update(x)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    # sixteen different colours, 16 bytes each, an update
    assert peak(2000) - peak(20) < 2000 * 16 * 16 + 1e6


@pytest.mark.parametrize("shift", [0, 85])
def test_counts_are_updated_by_counts(shift):
    x = np.random.default_rng(0).integers(0, 3, (300, 3, 64, 64), dtype=np.uint8)
    both = np.concatenate([x, x + np.uint8(shift)])
    got, other = PixelCounts.of(x), PixelCounts.of(both[len(x) :])
    assert got.update(other) is got
    assert_same(got, PixelCounts.of(both))
    assert_same(other, PixelCounts.of(both[len(x) :]))
    doubled = PixelCounts.of(x)
    assert np.array_equal(doubled.update(doubled).counts, 2 * PixelCounts.of(x).counts)
    with pytest.raises(InputError, match="cannot add counts of 3 and 1 channels"):
        got.update(PixelCounts(1))


def test_copies_are_counts_of_their_own():
    x = np.random.default_rng(0).integers(0, 256, (20, 3, 256, 256), dtype=np.uint8)
    got = PixelCounts.of(x[:1])
    sent = pickle.loads(pickle.dumps(got))  # noqa: S301 - our own
    made = [copy.copy(got), copy.deepcopy(got), sent]
    for one in made:
        one.update(x[1:2])
    assert_same(got, PixelCounts.of(x[:1]))
    for one in made:
        assert_same(one, PixelCounts.of(x[:2]))
    # a table of all colours is not sent
    assert len(pickle.dumps(PixelCounts(3).update(x).update(x))) < 24 * 20 * 256**2
    few = PixelCounts.of(np.zeros_like(x))
    assert len(pickle.dumps(few)) < 2000


def test_greys_as_colours():
    grey = np.random.default_rng(0).integers(0, 256, (4, 1, 5, 5), dtype=np.uint8)
    got = PixelCounts.of(grey)
    assert_same(got.as_colours(), PixelCounts.of(np.repeat(grey, 3, axis=1)))
    assert_same(got, PixelCounts.of(grey))
    with pytest.raises(InputError, match="3 and 1 channels"):
        PixelCounts(3).as_colours()
