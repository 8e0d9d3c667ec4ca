"""Gaussian noise from a stream of its own."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from art_disc.core.errors import InputError
from art_disc.defences import Draws, GaussianNoise, RandomMap


def images(n=40, shape=(1, 8, 8), seed=0):
    return np.random.default_rng(seed).random((n, *shape)).astype(np.float32)


def pickled(defence):
    return pickle.loads(pickle.dumps(defence))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("sigma", [0.05, 0.3])
def test_the_noise_is_normal_and_independent(sigma, upper):
    noise = GaussianNoise(sigma, seed=1, clip_values=(0, upper))
    x = images(200) * np.float32(upper)
    added = (noise(x)[0] - x) / (sigma * upper)
    assert stats.kstest(added.ravel(), "norm").pvalue > 1e-3
    # neither pixels nor rows nor calls go together
    rows = added.reshape(200, -1)
    again = ((noise(x)[0] - x) / (sigma * upper)).reshape(200, -1)
    limit = 5 / np.sqrt(rows.size)
    for other in (np.roll(rows, 1, axis=0), np.roll(rows, 1, axis=1), again):
        assert abs(np.mean(rows * other)) < limit
        assert not np.isclose(rows, other, atol=1e-4).all(axis=1).any()


def test_the_same_seed_draws_the_same_and_another_does_not():
    x = images()
    one, same, other = (GaussianNoise(0.1, seed=seed) for seed in (3, 3, 4))
    first, second = one(x)[0], one(x)[0]
    assert np.array_equal(same(x)[0], first)
    assert np.array_equal(same(x)[0], second)
    assert not np.isclose(first, second).any(axis=(1, 2, 3)).all()
    assert not np.allclose(other(x)[0], first)


def test_global_streams_and_modes_play_no_part():
    x = torch.tensor(images())
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(0)
    np.random.seed(0)
    noise = GaussianNoise(0.1)
    first = noise.map(x)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
    again = GaussianNoise(0.1)
    again.map.train(not again.map.training)
    torch.manual_seed(9)
    assert torch.equal(again.map(x), first)


def test_the_frozen_noise_is_one_picture_for_every_row_batch_and_call():
    frozen = GaussianNoise(0.2, seed=8).frozen(5)
    assert not frozen.is_random
    assert GaussianNoise().is_random
    x = images(12)
    out = frozen(x)[0]
    added = out[0] - x[0]
    assert np.allclose(out - x, added, atol=1e-6)
    assert np.std(added) > 0.1
    assert np.array_equal(frozen(x)[0], out)
    assert np.array_equal(frozen(x[7:8])[0], out[7:8])
    assert np.array_equal(frozen(x[::-1].copy())[0], out[::-1])
    # the seed that freezes decides alone
    assert np.array_equal(GaussianNoise(0.2, seed=1).frozen(5)(x)[0], out)
    assert not np.allclose(GaussianNoise(0.2, seed=8).frozen(6)(x)[0], out)
    # the draws of a frozen map differ from each other
    draws = [frozen.map.draw(torch.tensor(x), index).numpy() for index in (0, 1, 0)]
    assert np.array_equal(draws[0], draws[2])
    assert np.array_equal(draws[0], out)
    assert not np.allclose(draws[0], draws[1])


@pytest.mark.parametrize("clip", [False, True])
def test_the_gradient_is_the_identity_even_where_the_value_is_clipped(clip):
    x = torch.tensor(images(), requires_grad=True)
    noise = GaussianNoise(0.5, clip=clip)
    out = noise.map(x)
    weights = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    out.backward(weights)
    assert torch.equal(x.grad, weights)
    outside = ((out < 0) | (out > 1)).any()
    assert bool(outside) != clip
    if clip:
        plain = GaussianNoise(0.5).map(x.detach())
        assert torch.equal(out.detach(), plain.clamp(0, 1))
        assert (out == 0).any()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_goes_on_where_the_original_is_and_alone(copied):
    x = images(5)
    noise = GaussianNoise(0.1, seed=2)
    noise(x)
    twin = copied(noise)
    calls = [noise(x)[0] for _ in range(2)]
    assert np.array_equal(twin(x)[0], calls[0])
    assert np.array_equal(twin(x)[0], calls[1])


def test_what_is_changed_begins_anew_and_leaves_the_first_alone():
    x = images(5)
    fresh = GaussianNoise(0.1, seed=2)(x)[0]
    noise = GaussianNoise(0.1, seed=2)
    noise(x)
    scaled = noise.with_layout(channels_first=True, clip_values=(0, 255))
    assert np.allclose(scaled(255 * x)[0], 255 * fresh, atol=1e-3)
    assert not np.allclose(noise(x)[0], fresh)
    assert np.array_equal(GaussianNoise(0.1, seed=9).with_seed(2)(x)[0], fresh)
    # in another place of a chain equal defences draw other numbers
    assert not np.allclose(noise.with_place(1)(x)[0], fresh)
    noise.set_params(sigma=0.2)
    assert np.allclose(noise(x)[0] - x, 2 * (fresh - x), atol=1e-6)


def test_bytes_and_nan():
    noise = GaussianNoise(0.1).frozen(0)
    levels = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    added = noise(np.zeros((1, 1, 8, 8), np.float32))[0]
    assert np.allclose(noise(levels)[0], levels / np.float32(255) + added, atol=1e-6)
    x = images(2)
    x[0, 0, 0, 0] = np.nan
    lost = np.isnan(noise(x)[0])
    assert lost[0, 0, 0, 0]
    assert lost.sum() == 1


@pytest.mark.parametrize("sigma", [0, -0.1, float("nan"), float("inf"), "much", None])
def test_other_sigmas_are_refused(sigma):
    with pytest.raises(InputError, match=r"sigma must be a number > 0 on the \[0, 1\] scale"):
        GaussianNoise(sigma)


@pytest.mark.parametrize("seed", [1.5, True, None, "1"])
def test_other_seeds_are_refused(seed):
    with pytest.raises(InputError, match="seed must be a whole number"):
        GaussianNoise(0.1, seed=seed)


def test_it_is_described_with_what_decides():
    noise = GaussianNoise(0.25, seed=3)
    assert noise.describe() == "GaussianNoise(sigma=0.25, clip=False, seed=3)"
    assert noise.frozen(4).describe() == "GaussianNoise(sigma=0.25, clip=False, freeze=4)"


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_draws_are_for_each_row_or_for_all_alike(kind):
    def numbers(*, shared):
        generator = torch.Generator().manual_seed(1)
        return getattr(Draws(generator, shared=shared), kind)((50, 4), torch.device("cpu"))

    each, alike = numbers(shared=False), numbers(shared=True)
    assert each.shape == alike.shape == (50, 4)
    assert len(torch.unique(each)) == 200
    assert torch.equal(alike, alike[:1].expand(50, 4))
    if kind == "uniform":
        assert ((each >= 0) & (each < 1)).all()
        assert stats.kstest(each.numpy().ravel(), "uniform").pvalue > 1e-3


def test_a_map_must_say_what_it_does():
    with pytest.raises(NotImplementedError):
        RandomMap(seed=0)(torch.zeros(1, 1, 2, 2))
