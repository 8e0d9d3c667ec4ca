import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

import art_disc as ad
from art_disc.core.errors import InputError, NotFittedError
from art_disc.defences import LQVAEFilter
from art_disc.metrics import BitFlips, bit_flips, flip_chances, latent_points
from art_disc.training import LQVAE
from tests.lqvae_file import lqvae_net

SHAPE = (1, 8, 8)
X = np.random.default_rng(0).random((9, *SHAPE)).astype(np.float32)
OTHER = np.clip(X + np.random.default_rng(1).normal(0, 0.2, X.shape), 0, 1).astype(np.float32)


@pytest.fixture
def net():
    return lqvae_net(SHAPE)


def test_flips_are_counted_bit_by_bit(net):
    purifier = LQVAEFilter(net)
    found = bit_flips(purifier, X, OTHER)
    codes = purifier.codes(X), purifier.codes(OTHER)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    assert found.flips.tolist() == [
        sum(a != b for a, b in zip(one, other, strict=True))
        for one, other in zip(*codes, strict=True)
    ]
    assert found.latent == 12
    assert found.flips.max() > 0
    assert not bit_flips(purifier, X, X).flips.any()


def test_the_share_and_the_curve_are_of_images():
    found = BitFlips(np.array([0, 3, 4, 10]), 10)
    assert [found.share(s) for s in (0, 0.3, 0.29, 0.4, 1)] == [0.25, 0.5, 0.25, 0.75, 1.0]
    assert found.curve() == (0.25, 0.25, 0.25, 0.5, *[0.75] * 6, 1.0)


def test_a_filter_its_network_and_a_classifier_behind_it_are_one(net, digits_net):
    expected = bit_flips(net, X, OTHER).flips
    classifier = ad.build_classifier(
        digits_net, input_shape=SHAPE, nb_classes=10, defences=[LQVAEFilter(net)]
    )
    assert np.array_equal(bit_flips(classifier, X, OTHER).flips, expected)
    # sampled inference too is looked at by its means, and in any layout and range
    last = LQVAEFilter(net, inference="sampled", channels_first=False, clip_values=(0, 255))
    turned = [np.moveaxis(images, 1, -1) * np.float32(255) for images in (X, OTHER)]
    assert np.array_equal(bit_flips(last, *turned).flips, expected)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_both_clouds_lie_in_one_plane(net, method):
    points = latent_points(net, X, X, method=method)
    assert points.clean.shape == points.adversarial.shape == (9, 2)
    assert np.ptp(points.clean, axis=0).min() > 0
    if method == "pca":
        assert np.allclose(points.clean, points.adversarial, atol=1e-5)
        moved = latent_points(net, X, OTHER, method=method)
        assert not np.allclose(moved.clean, moved.adversarial, atol=0.1)
    axes = Figure().subplots()
    points.draw(axes)
    assert axes.get_xlabel() == f"{method} 1"
    assert len(axes.lines) == 9


def test_what_does_not_fit_is_refused(net, digits_net):
    with pytest.raises(InputError, match="x_adv must be one an image of x, 9, got 3"):
        bit_flips(net, X, OTHER[:3])
    with pytest.raises(InputError, match="x_adv must be finite"):
        bit_flips(net, X, OTHER * np.nan)
    with pytest.raises(NotFittedError, match=r"call fit\(x_train\) first"):
        bit_flips(LQVAE(), X, OTHER)
    plain = ad.build_classifier(digits_net, input_shape=SHAPE, nb_classes=10)
    with pytest.raises(InputError, match="vae must be a fitted LQVAE, its file or an LQVAENet"):
        bit_flips(plain, X, OTHER)
    with pytest.raises(InputError, match="method must be one of tsne, pca"):
        latent_points(net, X, OTHER, method="umap")
    with pytest.raises(InputError, match="at least 2 images, got 1"):
        latent_points(net, X[:1], OTHER[:1])


def test_theorem_1_as_printed_and_honest():
    printed, signs, length, both = flip_chances()
    assert int(printed.bit * 1e6) == 19065
    assert stats.binom.pmf(6, 64, int(printed.bit * 1e5) / 1e5) == pytest.approx(1.177e-3, abs=5e-7)
    assert printed.exactly == pytest.approx(1.179e-3, abs=5e-7)
    assert printed.at_least == pytest.approx(1.40e-3, abs=5e-6)
    # the sign of every bit chosen; an l_inf budget of 0.3 is 8.4 long in l2, 0.84 / 8 a bit
    assert signs.bit == pytest.approx(0.03813, abs=5e-6)
    assert signs.at_least == pytest.approx(0.035, abs=5e-4)
    assert length.shift == pytest.approx(0.105)
    assert length.at_least == pytest.approx(0.25, abs=5e-3)
    assert both.at_least == pytest.approx(0.87, abs=5e-3)


@pytest.mark.parametrize("shift", [0.03, 0.3, 0.9])
def test_the_probabilities_are_those_of_draws(shift):
    z = np.random.default_rng(0).normal(size=400_000)
    eta = 0.67449

    def inside(v):
        return np.abs(v) <= eta

    one, chosen, *_ = flip_chances(1.0, lipschitz=shift)
    assert np.mean(inside(z) != inside(z + shift)) == pytest.approx(one.bit, abs=4e-3)
    either = (inside(z) != inside(z + shift)) | (inside(z) != inside(z - shift))
    assert np.mean(either) == pytest.approx(chosen.bit, abs=4e-3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"eps": -1}, "eps must be a finite number >= 0"),
        ({"flips": 65}, "flips must be a whole number from 0 to 64"),
        ({"lipschitz": 0}, "lipschitz must be a number > 0"),
        ({"latent": 0}, "latent must be a whole number >= 1"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, told):
    with pytest.raises(InputError, match=told):
        flip_chances(**options)
