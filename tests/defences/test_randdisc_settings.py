"""RandDisc and RandMix: gradients, other ways to find centres, settings, lines of the table."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.cluster import KMeans

from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.errors import InputError, NotFittedError
from art_disc.defences import Mixture, PixelDiscretization, RandDisc, RandMix, parse_defence
from art_disc.surrogates import Identity
from tests.defences.test_randdisc import Recorder, draws, images


def gradient(defence, x, grad, seed=2):
    """Value and gradient of one draw."""
    leaf = torch.tensor(x, requires_grad=True)
    made = defence.map.transform(leaf, draws(seed))
    made.backward(torch.tensor(grad))
    return made.detach().numpy(), leaf.grad.numpy()


def exact_gradient(x, grad, defence, alpha, *, through_centres=True):
    """The gradient of eq. (3) in 64 bits by autograd, on the numbers of `draws(2)`."""
    log = Recorder(2)
    defence.map.transform(torch.tensor(x), log)
    pixels = torch.tensor(x, dtype=torch.float64).flatten(2).requires_grad_()
    if log.picks:
        picks = torch.stack(log.picks, dim=1)
        at = log.positions[0].gather(1, picks)
        added = defence.tau * log.normals[0].double()
        channels = pixels.shape[1]
        added = added.gather(2, picks.unsqueeze(1).expand(-1, channels, -1))
        centres = pixels.gather(2, at.unsqueeze(1).expand(-1, channels, -1)) + added
        centres = centres if through_centres else centres.detach()
    else:
        centres = torch.tensor(defence.codewords.T, dtype=torch.float64)[None]
    noisy = pixels + defence.sigma * log.normals[-1].double()
    away = (noisy[..., None] - centres[:, :, None]).square().sum(dim=1)
    weights = torch.softmax(-alpha * away, dim=-1)
    mean = (weights[:, None] * centres[:, :, None]).sum(dim=-1)
    mean.backward(torch.tensor(grad, dtype=torch.float64).flatten(2))
    return pixels.grad.numpy().reshape(x.shape)


def some_grad(x):
    return np.random.default_rng(9).normal(size=x.shape).astype(np.float32)


@pytest.mark.parametrize("alpha", [3.0, 40.0, 300.0])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("centres", ["adaptive", "fixed"])
def test_the_gradient_is_that_of_the_formula(alpha, channels, centres):
    x = images(4, channels)
    codes = np.random.default_rng(1).random((4, channels))
    options = {"centres": codes} if centres == "fixed" else {"n_clusters": 4}
    defence = RandMix(alpha, sigma=0.1, tau=0.2, **options)
    expected = exact_gradient(x, some_grad(x), defence, alpha)
    _, found = gradient(defence, x, some_grad(x))
    # also where one centre has nearly all weight: the sign of a small slope is a step of PGD, and
    # the formula itself is no better than 1e-12 in 64 bits
    assert np.allclose(found, expected, rtol=2e-3, atol=1e-12)
    assert np.abs(expected).max() > 0.1
    if centres == "adaptive":
        half = exact_gradient(x, some_grad(x), defence, alpha, through_centres=False)
        assert not np.allclose(found, half, rtol=0.1)


@pytest.mark.parametrize("alpha", [None, 7.0])
def test_randdisc_has_an_exact_value_and_the_gradient_of_a_mixture(alpha):
    x = images(5, 3)
    hard = RandDisc(4, surrogate="mix" if alpha is None else f"mix:{alpha}")
    value, found = gradient(hard, x, some_grad(x))
    with torch.no_grad():
        assert np.array_equal(value, hard.map.transform(torch.tensor(x), draws(2)).numpy())
    mean, expected = gradient(RandMix(alpha or 40.0, 4), x, some_grad(x))
    assert np.array_equal(found, expected)
    assert not np.array_equal(value, mean)
    assert np.abs(found).max() > 0.1
    # a mixture may be differentiated as another one
    other = RandMix(5.0, 4, surrogate=Mixture(alpha or 40.0))
    assert np.array_equal(gradient(other, x, some_grad(x))[1], expected)


@pytest.mark.parametrize("kind", [RandDisc, RandMix])
def test_the_identity_passes_gradients_to_the_pixels_alone(kind):
    x = images(5, 3)
    defence = kind(n_clusters=4)
    straight = defence.with_surrogate("identity")
    value, found = gradient(straight, x, some_grad(x))
    assert np.array_equal(found, some_grad(x))
    assert np.array_equal(value, gradient(defence, x, some_grad(x))[0])
    assert straight.surrogate == Identity()
    assert defence.surrogate == Mixture()
    assert straight.with_surrogate("mix:3").surrogate == Mixture(3.0)
    # words for codebooks say nothing here
    for word in ("soft:3", "smooth", lambda x: x):
        assert straight.with_surrogate(word) is straight


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_mixture_is_a_surrogate_of_codebooks_too(per_channel):
    x, alpha = images(2, 3), 8.0
    codes = np.random.default_rng(1).random((5, 1 if per_channel else 3))
    defence = PixelDiscretization(Codebook(codes, per_channel=per_channel), Mixture(alpha))
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    centres = torch.tensor(defence.codebook.codewords_, dtype=torch.float64)
    away = (leaf[..., None] - centres.T.reshape(-1, 1, 1, 5)).square()
    away = away if per_channel else away.sum(dim=1, keepdim=True)
    weights = torch.softmax(-alpha * away, dim=-1)
    mean = (weights * centres.T.reshape(-1, 1, 1, 5)).sum(dim=-1)
    mean.backward(torch.tensor(some_grad(x), dtype=torch.float64))
    single = torch.tensor(x, requires_grad=True)
    made = defence.forward(single)[0]
    made.backward(torch.tensor(some_grad(x)))
    assert np.array_equal(made.detach().numpy(), defence(x)[0])
    assert np.allclose(single.grad.numpy(), leaf.grad.numpy(), rtol=1e-3, atol=1e-5)
    assert np.allclose(defence.map.soft(torch.tensor(x)), mean.detach(), atol=1e-5)


def test_iterated_centres_are_those_of_scikit_learn():
    x = images(3, 2)
    defence = RandDisc(3, centres="kmeans++", n_samples=25, tau=0.1, sigma=0.05)
    log = Recorder(2)
    made = defence.map.transform(torch.tensor(x), log).numpy()
    positions, seeds = log.positions
    for i in range(3):
        pixels = x[i].reshape(2, -1)
        vectors = pixels[:, positions[i].numpy()] + np.float32(0.1) * log.normals[0][i].numpy()
        means = KMeans(3, init="k-means++", n_init=1, random_state=int(seeds[i])).fit(vectors.T)
        noisy = pixels + np.float32(0.05) * log.normals[1][i].numpy()
        expected = means.cluster_centers_[means.predict(np.ascontiguousarray(noisy.T))]
        assert np.array_equal(made[i].reshape(2, -1), expected.T)
    # no gradient through the centres, the mixture's through the pixels
    soft = RandMix(20.0, 3, centres="kmeans++", n_samples=25)
    centres = soft.map.centres(torch.tensor(x).flatten(2), draws(2))
    assert centres.positions is None
    _, found = gradient(soft, x, some_grad(x))
    assert np.abs(found).max() > 0.05
    nan = x.copy()
    nan[1] = np.nan
    spoilt = defence.map.transform(torch.tensor(nan), draws(2)).isnan()
    assert spoilt[1].all()
    assert not spoilt[[0, 2]].any()
    assert defence(x[:0])[0].shape == (0, 2, 5, 7)
    flat = RandDisc(3, centres="kmeans++", tau=0.0)(np.full_like(x, 0.5))[0]
    assert np.allclose(flat, 0.5)


@pytest.mark.parametrize("codes", [[0.2, 0.9], Codebook([0.2, 0.9]), np.array([[0.2], [0.9]])])
def test_fixed_centres_take_what_their_gaussian_cell_holds(codes):
    value, sigma = 0.5, 0.15
    x = np.full((40, 1, 50, 50), value, dtype=np.float32)
    made = RandDisc(centres=codes, sigma=sigma, seed=2)(x)[0]
    assert set(np.unique(made)) == {np.float32(0.2), np.float32(0.9)}
    share = stats.norm.cdf((value - 0.55) / sigma)
    up = int((made > 0.5).sum())
    assert stats.binomtest(up, made.size, share).pvalue > 1e-3
    assert np.array_equal(RandDisc(centres=codes).codewords, np.float32([[0.2], [0.9]]))
    assert RandDisc(2).codewords is None


def test_fixed_colours_are_assigned_in_l2_whatever_the_codebooks_own_metric():
    # l_inf would take the second: farther in all channels alike
    book = Codebook([[0.9, 0.5, 0.5], [0.8, 0.8, 0.8]], metric="l_inf")
    x = np.full((1, 3, 2, 2), 0.5, dtype=np.float32)
    made = RandDisc(centres=book, sigma=0.0)(x)[0]
    assert np.array_equal(made[0, :, 0, 0], np.float32([0.9, 0.5, 0.5]))
    last = RandDisc(centres=book, sigma=0.0, channels_first=False, clip_values=(0, 255))
    assert np.allclose(last(np.moveaxis(255 * x, 1, -1))[0][0, 0, 0], [229.5, 127.5, 127.5])
    with pytest.raises(InputError, match=r"3 channel\(s\), got 1"):
        RandDisc(centres=book).check_channels(1)
    RandDisc(2).check_channels(17)


def test_the_presets_are_the_papers():
    mnist = RandDisc.preset("mnist")
    assert (mnist.n_clusters, mnist.n_samples, mnist.sigma, mnist.tau) == (2, 100, 0.15, 0.15)
    assert (mnist.gamma, mnist.surrogate, mnist.shared_positions) == (40, Mixture(40.0), False)
    theirs = RandDisc.preset("mnist-reference")
    assert (theirs.gamma, theirs.surrogate, theirs.shared_positions) == (20, Mixture(20.0), True)
    assert (RandMix.preset("mnist-reference").alpha, RandMix.preset("imagenet").alpha) == (20, 40)
    colour = RandMix.preset("imagenet", seed=3, n_clusters=7)
    assert (colour.n_clusters, colour.sigma, colour.tau, colour.seed) == (7, 32 / 255, 32 / 255, 3)
    fixed = RandDisc.preset("imagenet-fixed").codewords
    assert sorted(map(tuple, np.round(255 * fixed).astype(int).tolist())) == [
        (a, b, c) for a in (64, 192) for b in (64, 192) for c in (64, 192)
    ]
    contest = RandDisc.preset("competition")
    assert (contest.n_clusters, contest.sigma, contest.tau) == (10, 16 / 255, 16 / 255)
    with pytest.raises(InputError, match="preset must be one of mnist, mnist-reference"):
        RandMix.preset("cifar")


def test_the_reference_scale_is_converted():
    # on [-1, 1] sigma and tau are twice, gamma and alpha a quarter of those on [0, 1]
    x = images(3, 3)
    here = RandMix(40.0, 5, sigma=0.125, tau=0.125, gamma=40.0)
    there = RandMix(10.0, 5, sigma=0.25, tau=0.25, gamma=10.0)
    mine = here.map.transform(torch.tensor(x), draws(4))
    theirs = there.map.transform(torch.tensor(2 * x - 1), draws(4))
    assert torch.allclose(2 * mine - 1, theirs, atol=1e-5)


def pickled(defence):
    return pickle.loads(pickle.dumps(defence))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_goes_on_by_itself(copied):
    x = images(3)
    for defence in (RandDisc(2), RandMix(9.0, centres=[0.1, 0.9])):
        defence(x)
        twin = copied(defence)
        calls = [defence(x)[0] for _ in range(2)]
        assert np.array_equal(twin(x)[0], calls[0])
        assert np.array_equal(twin(x)[0], calls[1])


def test_parameters_that_are_set_take_effect():
    x = images(3)
    mix = RandMix(5.0, 2, seed=4)
    mix.set_params(alpha=60.0)
    assert np.array_equal(mix(x)[0], RandMix(60.0, 2, seed=4)(x)[0])
    assert np.array_equal(
        gradient(mix, x, some_grad(x))[1], gradient(RandMix(60.0, 2), x, some_grad(x))[1]
    )
    disc = RandDisc(2)
    disc.set_params(centres=np.array([0.2, 0.3, 0.4]), n_clusters=None)
    assert set(np.unique(disc(x)[0])) <= set(np.float32([0.2, 0.3, 0.4]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "n_clusters is needed with centres='adaptive'"),
        ({"n_clusters": 0}, "n_clusters must be a whole number >= 1, got 0"),
        ({"n_clusters": 2, "n_samples": 0}, "n_samples must be a whole number >= 1"),
        ({"n_clusters": 2, "sigma": -0.1}, r"sigma must be a number >= 0 on the \[0, 1\] scale"),
        ({"n_clusters": 2, "tau": float("nan")}, "tau must be a number >= 0"),
        ({"n_clusters": 2, "gamma": "far"}, "gamma must be a number >= 0"),
        ({"n_clusters": 2, "centres": "kmeans"}, r"centres must be one of adaptive, kmeans\+\+"),
        ({"n_clusters": 5, "centres": "kmeans++", "n_samples": 4}, "finds 5 centres among as many"),
        ({"n_clusters": 3, "centres": [0.1, 0.9]}, "number of fixed centres, 2, or None, got 3"),
        ({"centres": [64, 192]}, r"codewords must be finite and in \[0, 1\]"),
        ({"centres": Codebook([0, 1], per_channel=True)}, r"shape \(k, c\), not per_channel"),
        ({"n_clusters": 2, "surrogate": "soft"}, r"must be mix\[:ALPHA\] or identity, got 'soft'"),
        ({"n_clusters": 2, "surrogate": "mix:-1"}, "must be mix"),
        ({"n_clusters": 2, "seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message):
    for kind in (RandDisc, RandMix):
        with pytest.raises(InputError, match=message):
            kind(**options)


def test_other_alphas_and_codebooks_are_refused():
    with pytest.raises(InputError, match="alpha must be a number > 0"):
        RandMix(0.0, 2)
    with pytest.raises(InputError, match="alpha must be a number > 0"):
        Mixture(0.0)
    with pytest.raises(NotFittedError):
        RandDisc(centres=DensityCodebook(2, 0.1))


def test_a_line_says_what_decides():
    disc = RandDisc.preset("mnist", seed=3)
    assert disc.describe() == (
        "RandDisc(n_clusters=2, n_samples=100, sigma=0.15, tau=0.15, gamma=40.0, "
        "centres='adaptive', shared_positions=False, seed=3)"
    )
    assert RandMix(8.0, centres=[0.25, 0.75], sigma=0.1).frozen(2).describe() == (
        "RandMix(alpha=8.0, sigma=0.1, centres=[[0.25], [0.75]], freeze=2)"
    )
    assert "gamma" not in RandDisc(3, centres="kmeans++").describe()


def test_lines_of_the_table(tmp_path):
    line = "randdisc:preset=mnist-reference,sigma=38/255,n_samples=50,surrogate=mix:30,seed=7"
    disc = parse_defence(line)
    assert type(disc) is RandDisc
    assert (disc.gamma, disc.sigma, disc.n_samples, disc.seed) == (20, 38 / 255, 50, 7)
    assert disc.surrogate == Mixture(30.0)
    assert parse_defence("randdisc").describe() == RandDisc.preset("mnist").describe()
    mix = parse_defence("randmix:alpha=8,n_clusters=5,centres=kmeans++,shared_positions=true")
    assert type(mix) is RandMix
    assert (mix.alpha, mix.n_clusters, mix.centres) == (8, 5, "kmeans++")
    assert mix.shared_positions
    path = Codebook([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0, 0, 0]]).save(tmp_path / "own.npz")
    for text in (f"randdisc:centres={path}", f"randmix:centres={path},sigma=.1"):
        assert parse_defence(text).codewords.shape == (3, 3)
