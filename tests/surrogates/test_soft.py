"""The closed-form gradient of the soft assignment against autograd."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from art_disc.codebooks import METRICS, distance
from art_disc.surrogates import soft
from art_disc.surrogates.soft import soft_mean
from art_disc.surrogates.soft_blocks import SoftBlocks


@pytest.fixture(params=["arrays", "compiled"])
def way(request, monkeypatch):
    """Colours are worked out by NumPy, and by what numba compiles."""
    if request.param == "arrays":
        monkeypatch.setattr(soft, "compiler", lambda: None)
    else:
        # nothing else is to be called then
        pytest.importorskip("numba")
        monkeypatch.setattr(soft, "SoftBlocks", None)
    return request.param


def by_autograd(channels, levels, metric, rate):
    away = torch.stack([distance(channels, code, metric, torch) for code in levels])
    if metric == "l2" and len(channels) > 1:
        away = away.sqrt()
    weights = torch.softmax(-rate * away, dim=0)
    table = weights.new_tensor(levels)
    return [torch.einsum("k...,k->...", weights, column) for column in table.unbind(dim=1)]


@pytest.mark.parametrize("metric", ["l1", "l2", "l_inf"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_values_and_slopes_are_autograds(metric, data):
    width = data.draw(st.integers(1, 3))
    k = data.draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    levels = torch.randint(256, (k, width), generator=generator).double().tolist()
    rate = data.draw(st.sampled_from([0.01, 0.1, 1.0]))
    # away from the grid, so that no two distances tie
    channels = [
        (255 * torch.rand(40, generator=generator, dtype=torch.float64)).requires_grad_()
        for _ in range(width)
    ]
    weights = torch.randn((width, 40), generator=generator, dtype=torch.float64)
    ours, theirs = (f(channels, levels, metric, rate) for f in (soft_mean, by_autograd))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-9)
    slopes = [
        torch.autograd.grad((weights * torch.stack(list(found))).sum(), channels)
        for found in (ours, theirs)
    ]
    for a, b in zip(*slopes, strict=True):
        assert torch.allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("rate", [0.04, 1.0, 8.0])
@pytest.mark.parametrize("codes", [[[0.0], [255.0]], [[200.0], [10.0]], [[7.0], [7.0]]])
def test_of_two_scalars_nothing_is_lost_at_them_nor_far_from_them(codes, rate):
    values = torch.cat([torch.linspace(-300, 600, 3001), torch.tensor(codes).flatten()])
    channels = [values.requires_grad_()]
    ours, theirs = (f(channels, codes, "l_inf", rate)[0] for f in (soft_mean, by_autograd))
    assert torch.allclose(ours, theirs, rtol=1e-5)
    slopes = [torch.autograd.grad(found.sum(), values)[0] for found in (ours, theirs)]
    # where float32 has no digits of a difference left, the closed form has some
    assert torch.allclose(*slopes, atol=1e-4 * rate)
    lost = torch.tensor([np.nan, np.inf, 3.0]).requires_grad_()
    (found,) = soft_mean([lost], codes, "l_inf", rate)
    assert found.isnan().tolist() == [True, True, False]
    assert torch.autograd.grad(found.sum(), lost)[0].isnan().tolist() == [True, True, False]


def test_equally_far_channels_share_the_slope(monkeypatch, way):
    # grey pixels between black and white: every channel is as far as the others
    channels = [torch.tensor([100.0]).requires_grad_() for _ in range(3)]
    codes = [[0.0] * 3, [255.0] * 3]
    found = soft_mean(channels, codes, "l_inf", 0.02)
    slopes = torch.stack(torch.autograd.grad(found[0].sum(), channels))
    alone = torch.tensor([100.0]).requires_grad_()
    monkeypatch.undo()
    (whole,) = torch.autograd.grad(soft_mean([alone], [[0.0], [255.0]], "l1", 0.02)[0].sum(), alone)
    assert torch.allclose(slopes, whole / 3)


def test_on_a_codeword_and_far_from_it_nothing_is_lost(way):
    on = [torch.tensor([10.0, 300.0, -40.0, 1e4]).requires_grad_() for _ in range(3)]
    for metric, rate in product(METRICS, (0.1, 1.0)):
        found = soft_mean(on, [[10.0] * 3, [200.0, 0.0, 30.0]], metric, rate)
        slopes = torch.autograd.grad(sum(part.sum() for part in found), on)
        assert all(torch.isfinite(part).all() for part in (*found, *slopes))


def test_a_lost_pixel_is_lost_alone(way):
    lost = torch.tensor([np.nan, np.inf, -np.inf])
    pixels = torch.full((11, 3), 7.0)
    for i in range(9):
        pixels[i, i % 3] = lost[i // 3]
    pixels[9] = 1e30
    for metric, rate in product(METRICS, (0.1, 1.0)):
        means, slopes = slopes_of(
            soft_mean, pixels, torch.tensor([[9.0] * 3, [5.0] * 3]), metric, rate
        )
        assert means[:, :9].isnan().all()
        assert slopes[:, :9].isnan().all()
        # the square of the other one is too large
        assert bool(means[:, 9].isfinite().all()) == (metric != "l2")
        assert torch.allclose(means[:, 10], torch.tensor(7.0))


def colours(n, k):
    generator = torch.Generator().manual_seed(0)
    pixels, codes = (255 * torch.rand((size, 3), generator=generator) for size in (n, k))
    return pixels, codes


def slopes_of(mean, pixels, codes, *how):
    channels = [values.clone().requires_grad_() for values in pixels.unbind(1)]
    found = torch.stack(list(mean(channels, codes.tolist(), *how)))
    weights = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).view_as(found)
    (found * weights).sum().backward()
    return found.detach(), torch.stack([values.grad for values in channels])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rate", [0.04, 0.1, 1.0, 8.0])
def test_float32_gradients_are_those_of_float64(way, metric, rate):
    # more pixels than are worked on at once, and of which some are taken in another order
    pixels, codes = colours(1200, 80)
    ours = slopes_of(soft_mean, pixels, codes, metric, rate)
    theirs = slopes_of(by_autograd, pixels.double(), codes.double(), metric, rate)
    for found, expected in zip(ours, theirs, strict=True):
        assert found.dtype == torch.float32
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("metric", METRICS)
def test_slopes_are_those_of_finite_differences(metric):
    pixels, codes = colours(6, 5)
    channels = [values.double().requires_grad_() for values in pixels.unbind(1)]
    levels = codes.double().tolist()
    assert torch.autograd.gradcheck(lambda *x: soft_mean(x, levels, metric, 0.05), channels)


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_left_out_weighs_less_than_a_rounding(monkeypatch, metric):
    # compiled loops leave out none
    monkeypatch.setattr(soft, "compiler", lambda: None)
    pixels, codes = colours(40, 500)
    # alike, so that few codewords are near to any of them
    pixels = 100 + pixels / 20
    blocks = SoftBlocks(codes.T.numpy(), metric, 1.0, False, False, np)
    with np.errstate(all="ignore"):
        kept = {tuple(code) for code in blocks._in_reach(pixels.T.numpy())[0].T.tolist()}
    assert len(kept) < 250
    away = torch.stack(
        [distance(pixels.double().unbind(1), code, metric, torch) for code in codes.tolist()]
    )
    weights = torch.softmax(-(away.sqrt() if metric == "l2" else away), dim=0)
    left = torch.tensor([tuple(code) not in kept for code in codes.tolist()])
    assert weights[left].sum(dim=0).max() < 2**-24
    # in float64, so that what is left out is seen and not another order of float32 sums
    few, every = (
        slopes_of(by_autograd, pixels.double(), part.double(), metric, 1.0)
        for part in (codes[~left], codes)
    )
    for a, b in zip(few, every, strict=True):
        assert (a - b).abs().max() <= 1e-6 * b.abs().max()
    exact = slopes_of(lambda *how: soft_mean(*how, exact=True), pixels, codes, metric, 1.0)
    for a, b in zip(slopes_of(soft_mean, pixels, codes, metric, 1.0), exact, strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


@pytest.mark.parametrize("metric", METRICS)
def test_torch_and_several_threads_find_the_same(metric):
    pixels, codes = colours(1500, 20)
    pixels[::7] = pixels[::7].round()
    pixels[0], pixels[1] = codes[3], float("nan")
    found = []
    for xp, workers in ((np, 1), (np, 3), (torch, 1)):
        parts = (codes.T.contiguous(), pixels.T.contiguous())
        table, x = parts if xp is torch else (part.numpy() for part in parts)
        found.append(SoftBlocks(table, metric, 1.0, False, True, xp).of(x, workers))
    for means, slopes in found[1:]:
        assert np.allclose(means, found[0][0], rtol=1e-5, equal_nan=True)
        assert np.allclose(slopes, found[0][1], atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_compiled_finds_of_a_pixel_what_it_finds_of_it_alone(monkeypatch, metric):
    loops = pytest.importorskip("art_disc.surrogates.soft_loops")
    pytest.importorskip("numba")
    monkeypatch.setattr(loops, "_PAIRS", 1 << 10)
    pixels, codes = (part.T.contiguous().numpy() for part in colours(300, 70))
    how = metric, 0.3, True
    whole = loops.colours(pixels, codes, how, 1)
    assert whole[0].dtype == whole[1].dtype == np.float32
    for a, b in zip(whole, loops.colours(pixels, codes, how, 3), strict=True):
        assert np.array_equal(a, b)
    for i in range(0, 300, 60):
        alone = loops.colours(pixels[:, i : i + 1].copy(), codes, how, 1)
        for a, b in zip(whole, alone, strict=True):
            assert np.array_equal(a[..., i], b[..., 0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rate", [1e-4, 1e-3, 0.01, 0.1, 80 / 255, 0.4, 2.0])
def test_compiled_loops_find_what_arrays_find_of_ties_codewords_and_far_pixels(metric, rate):
    pytest.importorskip("numba")
    loops = pytest.importorskip("art_disc.surrogates.soft_loops")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (3, 90)).astype(np.float32)
    grey = np.repeat(rng.uniform(0, 255, (1, 200)), 3, axis=0)
    # two channels nearly as far, but not quite
    near = np.stack([100 * np.ones(99), 100 + np.logspace(-5, 0, 99), rng.uniform(0, 255, 99)])
    many = rng.integers(0, 256, (3, 300)), grey, codes, near, rng.uniform(-90, 345, (3, 2000))
    pixels = np.concatenate(many, axis=1).astype(np.float32)
    found = loops.colours(pixels, codes, (metric, rate, True), 1)
    exact = SoftBlocks(codes.astype(float), metric, rate, True, True, np)
    means, slopes = exact.of(pixels.astype(float), 1)
    # float32 has so many digits of a distance, and a weight is as far off as they are
    off = 1e-5 + 1e-6 * rate * 300
    for some in (found[0], loops.colours(pixels, codes, (metric, rate, False), 1)[0]):
        assert np.abs(some - means).max() < off * 255
    # each pixel by its own slopes: small ones are not lost beside those of others
    away, own = np.abs(found[1] - slopes).max(axis=(0, 1)), np.abs(slopes).max(axis=(0, 1))
    assert (away <= 2 * off * (own + rate * 255 / 100)).all()


def test_what_only_a_far_codeword_moves_is_shared_too():
    pytest.importorskip("numba")
    loops = pytest.importorskip("art_disc.surrogates.soft_loops")
    pixel, codes = np.float32([[20], [10], [5]]), np.float32([[0, 230], [0, 220], [0, 0]])
    slopes = loops.colours(pixel, codes, ("l_inf", 0.1, True), 1)[1][:, 0, 0]
    # the weight of the other codeword, by how each channel moves both distances
    weight = 0.1 * 230 * np.exp(0.1 * (20 - 210))
    assert np.allclose(slopes, [1.5 * weight, 0.5 * weight, 0], rtol=1e-4)


def test_powers_of_two_are_right_to_a_rounding():
    loops = pytest.importorskip("art_disc.surrogates.soft_loops")
    exponents = -np.concatenate([np.linspace(0, 79, 2001), np.arange(81)]).astype(np.float32)
    with np.errstate(over="ignore"):
        found = np.array([loops._power(t) for t in exponents], dtype=np.float64)
    expected = np.exp2(exponents.astype(np.float64))
    assert (abs(found / expected - 1)).max() < 2**-22
    assert loops._power(np.float32(-1e9)) == loops._power(np.float32(-80)) == 2.0**-80


def test_no_pair_of_pixel_and_codeword_is_kept(way):
    pixels, codes = colours(1 << 14, 300)
    channels = [values.clone().requires_grad_() for values in pixels.unbind(1)]
    tracemalloc.start()
    found = soft_mean(channels, codes.tolist(), "l_inf", 0.1)
    torch.autograd.grad(sum(part.sum() for part in found), channels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(pixels) * len(codes) / 5


def test_slopes_are_not_worked_out_where_none_asks(monkeypatch, way):
    kept, plain = [], soft._found

    def noted(*args):
        found = plain(*args)
        kept.append(found[1].size)
        return found

    monkeypatch.setattr(soft, "_found", noted)
    pixels, codes = colours(10, 5)
    soft_mean(list(pixels.unbind(1)), codes.tolist(), "l_inf", 0.1)
    with torch.no_grad():
        leaf = [values.clone().requires_grad_() for values in pixels.unbind(1)]
        soft_mean(leaf, codes.tolist(), "l_inf", 0.1)
    soft_mean(leaf, codes.tolist(), "l_inf", 0.1)
    assert kept == [0, 0, 90]
