"""RandDisc and RandMix: what they draw, against enumerations and a slow copy in plain Python."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from art_disc import build_classifier
from art_disc.defences import Draws, RandDisc, RandMix
from art_disc.defences.centres import AdaptiveCentres, NoisySample

DRAWS = 100_000


def draws(seed=0):
    return Draws(torch.Generator().manual_seed(seed))


class Recorder(Draws):
    """Draws that keep what they gave and what they were asked."""

    def __init__(self, seed=0):
        super().__init__(torch.Generator().manual_seed(seed))
        self.normals, self.positions, self.picks, self.logits = [], [], [], []

    def normal(self, shape, device):
        self.normals.append(super().normal(shape, device))
        return self.normals[-1]

    def integers(self, high, shape, device):
        self.positions.append(super().integers(high, shape, device))
        return self.positions[-1]

    def categorical(self, logits):
        self.logits.append(logits)
        self.picks.append(super().categorical(logits))
        return self.picks[-1]


def images(n=6, channels=1, size=(5, 7), seed=0):
    return np.random.default_rng(seed).random((n, channels, *size)).astype(np.float32)


@pytest.mark.parametrize("shared", [False, True])
def test_whole_numbers_and_categories_are_each_rows_own_or_shared(shared):
    logits = torch.tensor([[0.0, math.log(3.0), -1e4, math.log(6.0)]]).expand(DRAWS, -1)
    source = Draws(torch.Generator().manual_seed(3), shared=shared)
    numbers = source.integers(5, (DRAWS, 1), torch.device("cpu"))[:, 0]
    picks = source.categorical(logits)
    assert numbers.dtype == picks.dtype == torch.int64
    assert numbers.shape == picks.shape == (DRAWS,)
    if shared:
        assert (numbers == numbers[0]).all()
        assert (picks == picks[0]).all()
        return
    assert stats.chisquare(torch.bincount(numbers, minlength=5)).pvalue > 1e-3
    counts = torch.bincount(picks, minlength=4).numpy()
    assert counts[2] == 0
    assert stats.chisquare(counts[[0, 1, 3]], DRAWS * np.array([0.1, 0.3, 0.6])).pvalue > 1e-3
    # huge logits, a single category, and no NaN anywhere
    assert (source.categorical(1e6 * logits) == 3).all()
    assert (source.categorical(logits[:, :1]) == 0).all()


def law_of_picks(pixels, n_samples, n_clusters, gamma):
    """Probability of each row of picked pixels, by enumeration of samples and choices."""
    law = Counter()
    n = len(pixels)
    for sample in itertools.product(range(n), repeat=n_samples):
        stack = [((), 1 / n**n_samples)]
        for _ in range(n_clusters):
            grown = []
            for chosen, chance in stack:
                weights = [
                    math.exp(gamma * min(math.dist(pixels[i], pixels[j]) ** 2 for j in chosen))
                    if chosen
                    else 1.0
                    for i in sample
                ]
                grown += [
                    ((*chosen, i), chance * weight / sum(weights))
                    for i, weight in zip(sample, weights, strict=True)
                ]
            stack = grown
        for chosen, chance in stack:
            law[chosen] += chance
    assert math.isclose(sum(law.values()), 1)
    return law


def assert_follows(counts, law):
    """Raise unless the counts pass a chi-square test, rare outcomes taken together."""
    assert set(counts) <= set(law)
    total = sum(counts.values())
    often = [key for key, chance in law.items() if chance * total >= 10]
    found = [counts[key] for key in often]
    expected = [law[key] * total for key in often]
    rest = total - sum(found), total - sum(expected)
    if rest[1] >= 1:
        found, expected = [*found, rest[0]], [*expected, rest[1]]
    expected = np.array(expected) * total / sum(expected)
    assert len(found) > 8
    assert stats.chisquare(found, expected * sum(found) / total).pvalue > 1e-3


def test_centres_are_picked_with_the_stated_probabilities():
    # every factor of the formula matters: colours, a third centre, several equal samples
    colours = [(0.1, 0.2, 0.9), (0.4, 0.8, 0.5), (0.9, 0.1, 0.1), (0.6, 0.6, 0.0)]
    pixels = torch.tensor(colours).T.expand(DRAWS, -1, -1)
    rule = AdaptiveCentres(3, NoisySample(3, tau=0.0), gamma=1.7)
    picked = rule(pixels, draws(1))
    assert torch.equal(picked.added, torch.zeros(DRAWS, 3, 3))
    law = law_of_picks(colours, 3, 3, 1.7)
    counts = Counter(map(tuple, picked.positions.tolist()))
    assert_follows(counts, law)
    # the same with another gamma is told apart
    with pytest.raises(AssertionError):
        assert_follows(counts, law_of_picks(colours, 3, 3, 1.5))


def test_whole_images_come_with_the_stated_probabilities():
    values, sigma = [0.0, 0.3, 0.55, 1.0], 0.2
    law = Counter()
    for (a, b), chance in law_of_picks([(v,) for v in values], 3, 2, 3.0).items():
        low, high = sorted((values[a], values[b]))
        upper = [stats.norm.cdf((v - (low + high) / 2) / sigma) for v in values]
        for pattern in itertools.product((False, True), repeat=4):
            shares = [u if up else 1 - u for u, up in zip(upper, pattern, strict=True)]
            law[tuple(high if up else low for up in pattern)] += chance * math.prod(shares)
    x = np.broadcast_to(np.float32(values).reshape(1, 1, 2, 2), (DRAWS, 1, 2, 2)).copy()
    defence = RandDisc(2, n_samples=3, sigma=sigma, tau=0.0, gamma=3.0, seed=5)
    made = defence(x)[0].reshape(DRAWS, 4)
    exact = {float(np.float32(v)): v for v in values}
    counts = Counter(tuple(exact[v] for v in row) for row in made.tolist())
    assert_follows(counts, law)


def slow_draw(values, rng, settings):
    """One draw of centres and assignments of grey pixels, in plain Python."""
    s, sigma, tau, gamma = settings
    sample = [values[rng.randrange(len(values))] + rng.gauss(0, tau) for _ in range(s)]
    first = rng.choice(sample)
    weights = [math.exp(gamma * (b - first) ** 2) for b in sample]
    second = rng.choices(sample, weights)[0]
    up = []
    for value in values:
        noisy = value + rng.gauss(0, sigma)
        up.append(abs(noisy - second) < abs(noisy - first))
    return first, second, up


def test_noisy_centres_and_assignments_are_those_of_a_slow_copy():
    values, settings = [0.0, 0.4, 1.0], (4, 0.15, 0.15, 10.0)
    s, sigma, tau, gamma = settings
    defence = RandDisc(2, n_samples=s, sigma=sigma, tau=tau, gamma=gamma)
    x = torch.tensor(values).reshape(1, 1, 1, 3).expand(DRAWS, -1, -1, -1)
    centres = defence.map.centres(x.flatten(2), draws(7)).of(x.flatten(2))[:, 0]
    made = defence.map.transform(x, draws(7)).reshape(DRAWS, 3)
    # where both centres are the same vector, both have the first one
    up = (made != centres[:, :1]).long()
    assert ((made == centres[:, 1:]) | (up == 0)).all()
    edges = torch.tensor([0.1, 0.5, 0.9])
    ours = torch.bucketize(centres, edges)
    cells = (ours[:, 0] * 4 + ours[:, 1]) * 8 + up @ torch.tensor([4, 2, 1])
    rng = random.Random(3)  # noqa: S311 - no secret
    theirs = Counter()
    for _ in range(DRAWS):
        first, second, over = slow_draw(values, rng, settings)
        row = [int(np.searchsorted((0.1, 0.5, 0.9), c)) for c in (first, second)]
        theirs[(row[0] * 4 + row[1]) * 8 + over[0] * 4 + over[1] * 2 + over[2]] += 1
    counts = Counter(cells.tolist())
    table = np.array([[counts[i], theirs[i]] for i in range(128)])
    table = table[table.sum(axis=1) >= 20]
    assert len(table) > 50
    assert stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shared", [False, True])
def test_on_the_same_numbers_a_loop_gives_the_same(channels, shared):
    x, k, alpha = images(4, channels), 3, 12.0
    settings = {"n_samples": 9, "sigma": 0.1, "tau": 0.2, "gamma": 5.0}
    hard = RandDisc(k, shared_positions=shared, **settings)
    soft = RandMix(alpha, k, shared_positions=shared, **settings)
    log = Recorder()
    values = hard.map.transform(torch.tensor(x), log).numpy()
    means = soft.map.transform(torch.tensor(x), Recorder()).numpy()
    (positions,), (tau_noise, noise) = log.positions, log.normals
    pixels = x.reshape(4, channels, -1)
    for i in range(4):
        at = positions[0 if shared else i].numpy()
        vectors = [
            pixels[i][:, at[j]] + np.float32(0.2) * tau_noise[i, :, j].numpy() for j in range(9)
        ]
        centres = []
        for pick, logits in zip(log.picks, log.logits, strict=True):
            expected = [
                5.0 * min((np.sum((b - c) ** 2) for c in centres), default=0.0) for b in vectors
            ]
            assert np.allclose(logits[i], expected, atol=1e-5)
            centres.append(vectors[pick[i]])
        for place in range(pixels.shape[2]):
            noisy = pixels[i][:, place] + np.float32(0.1) * noise[i, :, place].numpy()
            away = [float(np.sum((noisy - c) ** 2)) for c in centres]
            row, column = divmod(place, 7)
            assert np.array_equal(values[i, :, row, column], centres[int(np.argmin(away))])
            weights = np.exp(-alpha * np.array(away))
            mean = weights @ np.array(centres, dtype=np.float64) / weights.sum()
            assert np.allclose(means[i, :, row, column], mean, atol=1e-5)


def test_mixtures_tend_to_the_discretisation():
    x = torch.tensor(images(50, 3))
    hard = RandDisc(4, seed=0).map.transform(x, draws(2))
    gaps = [
        (RandMix(alpha, 4).map.transform(x, draws(2)) - hard).abs().mean().item()
        for alpha in (1, 10, 100, 1000, 1e4, 1e5)
    ]
    assert all(later < 0.75 * sooner for sooner, later in itertools.pairwise(gaps))
    assert gaps[0] > 0.1
    assert gaps[-1] < 1e-4
    sharp = RandMix(1e9, 4).map.transform(x, draws(2))
    assert (sharp == hard).float().mean() > 0.999


def test_positions_are_an_images_own_unless_they_are_shared():
    pixels = torch.zeros(20, 1, 500)
    own, _ = NoisySample(30, 0.1).draw(pixels, draws())
    same, noise = NoisySample(30, 0.1, shared_positions=True).draw(pixels, draws())
    assert len(torch.unique(own, dim=0)) == 20
    assert torch.equal(same, same[:1].expand(20, -1))
    assert len(torch.unique(same[0])) > 20
    assert len(torch.unique(noise[:, 0], dim=0)) == 20
    assert own.min() >= 0
    assert own.max() < 500
    assert stats.kstest(own.numpy().ravel() / 500, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("kind", [RandDisc, RandMix])
def test_the_seed_decides_and_no_global_stream(kind):
    x = images(12)
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(0)
    np.random.seed(0)
    one = kind(n_clusters=2, seed=3)
    first, second = one(x)[0], one(x)[0]
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
    torch.manual_seed(8)
    again = kind(n_clusters=2, seed=3)
    again.map.train(not again.map.training)
    assert np.array_equal(again(x)[0], first)
    assert np.array_equal(again(x)[0], second)
    assert not np.isclose(first, second).all(axis=(1, 2, 3)).any()
    assert not np.allclose(kind(n_clusters=2, seed=4)(x)[0], first)
    # with a gradient the same
    leaf = torch.tensor(x, requires_grad=True)
    assert np.array_equal(kind(n_clusters=2, seed=3).map(leaf).detach().numpy(), first)


def test_frozen_draws_are_the_same_for_every_row_and_batch():
    x = images(9, 3)
    frozen = RandDisc(3, seed=8).frozen(5)
    made = frozen(x)[0]
    assert np.array_equal(frozen(x[4:5])[0], made[4:5])
    assert np.array_equal(frozen(x[::-1].copy())[0], made[::-1])
    same = frozen(np.repeat(x[:1], 3, axis=0))[0]
    assert np.array_equal(same, np.repeat(made[:1], 3, axis=0))
    assert not np.allclose(frozen.map.draw(torch.tensor(x), 1).numpy(), made)


@pytest.mark.parametrize("kind", [RandDisc, RandMix])
def test_the_networks_chunks_do_not_change_the_draws(digits, digits_net, kind):
    x, y = digits.x_test[:20].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:20]]
    defence = kind(n_clusters=2, seed=1)

    def found(memory):
        classifier = build_classifier(digits_net, data=digits, defences=[defence])
        classifier = classifier.with_voting(eot_samples=3, vote_samples=5, memory_bytes=memory)
        return classifier.predict(x), classifier.loss_gradient(x, y)

    (whole, gradient), (parts, in_parts) = found(1 << 30), found(1)
    assert whole.shape == (20, 10)
    assert np.allclose(whole, parts, atol=1e-5)
    assert np.allclose(gradient, in_parts, atol=1e-6)
    assert np.abs(gradient).reshape(20, -1).max(axis=1).min() > 0
    assert np.mean(whole.argmax(axis=1) == digits.y_test[:20]) > 0.5


def test_two_centres_of_mnist_are_where_they_were_measured(shared_data):
    with np.load(shared_data("mnist.npz")) as archive:
        x = archive["x_test"][:300].reshape(300, 1, 28, 28).astype(np.float32) / 255
    pixels = torch.tensor(x).flatten(2)
    for preset in ("mnist", "mnist-reference"):
        centres = RandDisc.preset(preset).map.centres(pixels, draws()).of(pixels)[:, 0]
        low, high = centres.min(dim=1).values, centres.max(dim=1).values
        assert abs(low.median() + 0.045) < 0.1
        assert abs(high.median() - 1.13) < 0.1
        middle = torch.quantile((low + high) / 2, torch.tensor([0.05, 0.95]))
        assert torch.allclose(middle, torch.tensor([0.20, 0.74]), atol=0.12)


def test_a_lost_pixel_is_lost_and_no_centre_takes_it():
    x = torch.tensor(images(3))
    spoilt = x.clone()
    spoilt[1, 0, 2, 3] = torch.nan
    fixed = RandDisc(centres=[0.2, 0.8]).frozen(1)
    before, after = (fixed.forward(one)[0] for one in (x, spoilt))
    lost = after.isnan()
    assert lost.sum() == 1
    assert lost[1, 0, 2, 3]
    assert torch.equal(after[~lost], before[~lost])
    # where centres are drawn the other images stay as they are
    drawn = RandDisc(2, n_samples=300).frozen(1)
    before, after = (drawn.forward(one)[0] for one in (x, spoilt))
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert after[1, 0, 2, 3].isnan()
