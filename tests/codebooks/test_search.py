"""What finds the nearest codeword quickly against what tries all of them."""

import copy
import pickle
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from art_disc.codebooks import METRICS, Codebook, distance, nearest, search
from art_disc.codebooks.borders import borders
from art_disc.codebooks.cell_lists import cell_lists, most_lead
from art_disc.codebooks.grid import Grid
from art_disc.codebooks.nearest import TIES


@pytest.fixture
def at_once(monkeypatch):
    """Grids are made for the first pixel, and coarse."""
    monkeypatch.setattr(search, "_WORTH", 0)
    monkeypatch.setattr(search, "_FINEST", {1: 256, 2: 64, 3: 32})
    monkeypatch.setattr(search, "_AROUND", 16)


def codes_of(rng, k, channels, *, grid):
    """Codewords; on the grid every midpoint of two is an 8-bit colour, and many distances tie."""
    if not grid:
        return rng.random((k, channels)).astype(np.float32)
    levels = np.unique(2 * rng.integers(0, 128, (8 * k, channels)), axis=0)
    return (rng.permutation(levels)[:k] / 255).astype(np.float32)


def pixels_of(rng, codes, n):
    """Colours in the cube, of 8 bits, halfway between codewords, beyond the cube and lost."""
    channels = codes.shape[1]
    pairs = 255 * codes[rng.integers(0, len(codes), (2, n))]
    lost = np.array([np.nan, np.inf, -np.inf, 1e9, -1e9, -0.0, 256, 255])
    return np.concatenate(
        [
            rng.uniform(0, 255, (n, channels)),
            rng.integers(0, 256, (n, channels)),
            pairs.mean(axis=0),
            rng.uniform(-500, 750, (n, channels)),
            np.repeat(lost[:, None], channels, axis=1),
        ]
    ).astype(np.float32)


def same_as_all(codes, pixels, metric, ties):
    """Whether NumPy, CPU tensors and torch itself find what trying all codewords finds."""
    made = search.Search(codes, metric, ties)
    columns = list(pixels.T)
    levels = (np.float32(255) * codes).tolist()
    expected = nearest(columns, levels, metric, ties, np)
    tensors = list(torch.from_numpy(pixels).unbind(1))
    found = made.find(columns, np), made.find(tensors, torch), made._all_found(tensors, torch)
    assert found[1].dtype == found[2].dtype == torch.int64
    assert found[0].dtype == np.int64
    unit = pixels[np.abs(pixels).max(axis=1) < 1000] / np.float32(255)
    put = len(columns) > 1 or replaces_as_all(made, unit)
    return put and all(np.array_equal(expected, part) for part in found)


def replaces_as_all(made, values):
    """Whether values (n, 1) in [0, 1] become what trying all says, if borders tell at all."""
    levels = (np.float32(255) * made.codewords).tolist()
    expected = nearest([np.float32(255) * values[:, 0]], levels, "l1", made.ties, np)
    codewords = made.replaced(torch.from_numpy(values[:, 0]), torch)
    return codewords is None or np.array_equal(codewords.numpy(), made.codewords[expected, 0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize(("channels", "k"), [(1, 9), (1, 100), (2, 40), (3, 2), (3, 70)])
def test_what_is_found_is_what_trying_all_finds(at_once, metric, ties, grid, channels, k):
    rng = np.random.default_rng([k, channels])
    codes = codes_of(rng, k, channels, grid=grid)
    assert same_as_all(codes, pixels_of(rng, codes, 3000), metric, ties)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize(("k", "n"), [(40, 32), (2000, 64)])
def test_compiled_loops_and_arrays_find_the_same_in_every_cell(metric, ties, k, n):
    pytest.importorskip("numba")
    rng = np.random.default_rng(k)
    codes = codes_of(rng, k, 3, grid=True)
    made = cell_lists(255.0 * codes, metric, start=0.0, side=256.0, finest=n)
    by_loops = Grid.of(made, np.float32(255) * codes, metric, in_loops=True)
    assert by_loops.table.dtype == (np.int16 if k == 40 else np.int32)
    assert made.n == n
    inner = np.stack(np.unravel_index(np.arange(n**3), (n,) * 3))
    corners = [256 / n * (inner + step) for step in (0, 0.5, np.nextafter(1, 0))]
    outer = np.array([[-1e-3, 256, np.nan, np.inf, -1e9]] * 3)
    pixel = tuple(np.concatenate([*corners, outer], axis=1).astype(np.float32))
    found = [grid.find(pixel, ties, np) for grid in (by_loops, replace(by_loops, in_a_row=None))]
    for left in (found[0][1], found[1][1]):
        assert set(range(3 * n**3, len(pixel[0]))) <= set(left.tolist())
    assert np.array_equal(found[0][1], found[1][1])
    known = np.delete(np.arange(len(pixel[0])), found[0][1])
    assert len(known) > n**3 / 2
    assert np.array_equal(found[0][0][known], found[1][0][known])


def beside(values):
    """Return float32 numbers and their neighbours on both sides."""
    found = [np.array(values, dtype=np.float32)]
    for towards in (-np.inf, np.inf):
        values = found[0]
        for _ in range(3):
            values = np.nextafter(values, np.float32(towards))
            found.append(values)
    return np.concatenate(found)


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 8), ties=st.sampled_from(TIES))
def test_few_scalars_go_as_trying_all_says_beside_every_border(seed, k, ties):
    rng = np.random.default_rng(seed)
    codes = codes_of(rng, k, 1, grid=bool(seed % 2))
    made = borders(np.float32(255) * codes[:, 0], ties)
    scaled, unit = ((0, 255), (0, 1)) if made is None else (made.first, made.on_unit().first)
    pixels = np.concatenate([beside(scaled), pixels_of(rng, codes, 20)[:, 0]])[:, None]
    by_search = search.Search(codes, "l_inf", ties)
    near = torch.from_numpy(beside(unit))
    assert (by_search.replaced(near, torch) is None) == (made is None)
    assert by_search.replaced(torch.from_numpy(pixels / 255), torch) is None
    assert replaces_as_all(by_search, near[:, None].numpy())
    # a NaN or what lies far outside sends all to the other way
    assert same_as_all(codes, pixels[np.abs(pixels) < 1000][:, None], "l_inf", ties)
    assert same_as_all(codes, pixels, "l_inf", ties)


def test_borders_on_unit_hold_as_far_as_those_that_are_scaled():
    found = search.Search(np.array([[0], [1]], dtype=np.float32), "l_inf", "lowest")
    for end, holds in ((16.0, True), (-16.0, True), (16.1, False), (-16.1, False)):
        assert (found.replaced(torch.tensor([0.3, end]), torch) is not None) == holds


def test_scalars_that_float32_cannot_tell_apart_have_no_borders(at_once):
    close = np.array([[0.5], [0.5 + 2**-20], [0.1]], dtype=np.float32)
    assert borders(255 * close[:, 0], "lowest") is None
    pixels = pixels_of(np.random.default_rng(0), close, 500)
    assert same_as_all(close, pixels, "l_inf", "lowest")


@pytest.mark.parametrize("metric", METRICS)
@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 3))
@settings(max_examples=30)
def test_the_most_lead_in_a_box_is_that_of_its_best_point(metric, seed, channels):
    rng = np.random.default_rng(seed)
    own, other = rng.uniform(0, 256, (2, channels, 1))
    low = rng.uniform(0, 200, (channels, 1))
    high = low + rng.uniform(1, 56)
    steps = np.stack(np.meshgrid(*[np.linspace(0, 1, 41)] * channels)).reshape(channels, -1)
    points = list(low + (high - low) * steps)
    lead = distance(points, other, metric, np) - distance(points, own, metric, np)
    most = most_lead(own, other, low, high, metric)[0]
    # a step of the points changes a distance by so much at most
    step = (high - low)[0, 0] / 40 * 2 * channels * (512 if metric == "l2" else 1)
    assert lead.max() - 1e-9 <= most <= lead.max() + step


def test_lists_are_short_and_leave_out_most_codewords():
    codes = np.random.default_rng(0).uniform(0, 255, (300, 3))
    made = cell_lists(codes, "l_inf", start=0.0, side=256.0, finest=32)
    assert made.n == 32
    assert (made.table >= 0).mean() > 0.3
    assert made.several.lengths.mean() < 4


@pytest.mark.parametrize("metric", METRICS)
def test_where_all_codewords_are_as_near_all_are_tried(at_once, metric):
    # no cell far from their plane has a short list
    rng = np.random.default_rng(0)
    codes = np.column_stack([np.zeros((40, 1)), rng.random((40, 2))]).astype(np.float32)
    assert same_as_all(codes, pixels_of(rng, codes, 1000), metric, "lowest")


def test_colours_of_more_channels_are_found_by_trying_all(at_once):
    rng = np.random.default_rng(0)
    codes = rng.random((20, 4)).astype(np.float32)
    assert same_as_all(codes, pixels_of(rng, codes, 100), "l2", "lowest")


def test_a_grid_is_made_once_it_is_worth_it_and_shared():
    book = Codebook(np.random.default_rng(0).random((50, 3)).astype(np.float32))
    twins = copy.copy(book), copy.deepcopy(book), book.sealed()
    assert all(twin.search is book.search for twin in twins)
    few = np.zeros((10, 3), dtype=np.float32)
    before = len(pickle.dumps(book))
    book.assign(few)
    assert not book.search._grids
    book.search._spent[0] = search._WORTH
    book.assign(few)
    assert book.search._grids
    assert len(pickle.dumps(book)) == before
    again = pickle.loads(pickle.dumps(book))  # noqa: S301 - our own
    assert not again.search._grids
    assert np.array_equal(again.assign(few), book.assign(few))


def test_other_codewords_or_rules_are_searched_anew():
    book = Codebook([0.0, 1.0])
    half = np.full((1, 1), 0.5, dtype=np.float32)
    assert book.assign(half) == 0
    book.set_params(ties="highest")
    assert book.assign(half) == 1
    book.set_params(codewords=[0.0, 0.4])
    assert np.array_equal(book.search.codewords, book.codewords_)


def test_codewords_that_are_written_to_are_searched_anew():
    book = Codebook([0.0, 0.4, 0.9])
    pixel = np.full((1, 1), 0.6, dtype=np.float32)
    assert book.assign(pixel) == 1
    book.codewords_.base[1] = 0.2
    assert book.assign(pixel) == 2


@pytest.mark.parametrize("codes", [[-0.01, 0.005], [-0.01, 0.01], [-0.5, 0.0, 0.5]])
def test_negative_codewords_have_no_borders(codes):
    pixels = np.linspace(-150, 150, 2001, dtype=np.float32)[:, None]
    for ties in TIES:
        assert same_as_all(np.array(codes, np.float32)[:, None], pixels, "l1", ties)


class Placed(TorchFunctionMode):
    """Refuses to make a tensor without saying where: on a GPU it would be elsewhere."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Run the function."""
        named = {torch.arange, torch.zeros, torch.ones, torch.empty, torch.full, torch.tensor}
        assert func not in named or "device" in (kwargs or {})
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_tensor_is_made_on_the_device_of_the_pixels(at_once, channels):
    rng = np.random.default_rng(0)
    made = search.Search(codes_of(rng, 50, channels, grid=False), "l_inf", "lowest")
    tensors = list(torch.from_numpy(pixels_of(rng, made.codewords, 500)).unbind(1))
    with Placed():
        found = made._all_found(tensors, torch)
    assert np.array_equal(found, made._all_found([t.numpy() for t in tensors], np))


def test_memory_does_not_grow_with_the_pixels(at_once):
    made = search.Search(
        np.random.default_rng(0).random((10, 3)).astype(np.float32), "l1", "lowest"
    )
    peaks = []
    for n in (1 << 17, 1 << 19):
        pixels = list(np.random.default_rng(0).random((3, n), dtype=np.float32) * 255)
        made.find(pixels, np)
        tracemalloc.start()
        made.find(pixels, np)
        # beside what is returned
        peaks.append(tracemalloc.get_traced_memory()[1] - 8 * n)
        tracemalloc.stop()
    assert max(peaks) < 16 << 20
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize(("channels", "k"), [(1, 5), (3, 60)])
def test_threads_find_what_one_finds(at_once, monkeypatch, channels, k):
    monkeypatch.setattr(search, "_CHUNK", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    counts, plain = set(), search.in_threads

    def counted(work, pieces, count):
        assert len(pieces) > 3
        counts.add(count)
        plain(work, pieces, count)

    monkeypatch.setattr(search, "in_threads", counted)
    rng = np.random.default_rng(0)
    codes = codes_of(rng, k, channels, grid=True)
    pixels = pixels_of(rng, codes, 500)
    assert same_as_all(codes, pixels, "l_inf", "lowest")
    assert counts == {1, 3}


def test_a_grid_is_made_by_one_thread(at_once, monkeypatch):
    monkeypatch.setattr(search, "_CHUNK", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    made, plain = [], search.Search._made

    def slowly(self, cube, in_loops):
        made.append(cube)
        time.sleep(0.05)
        return plain(self, cube, in_loops)

    monkeypatch.setattr(search.Search, "_made", slowly)
    rng = np.random.default_rng(0)
    some = search.Search(codes_of(rng, 30, 3, grid=False), "l_inf", "lowest")
    some.find(list(255 * torch.rand((3, 2000))), torch)
    assert made == [0]
