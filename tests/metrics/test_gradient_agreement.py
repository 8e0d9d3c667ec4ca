"""Cosines of gradients whose noise is known."""

import numpy as np
import pytest
import torch
from torch import nn

from art_disc import GaussianNoise, build_classifier
from art_disc.core.errors import InputError
from art_disc.core.records.randomness import AgreementRecord
from art_disc.metrics import gradient_agreement
from art_disc.metrics.input_gradients import input_gradients

SIDE, SIGMA = 12, 0.2
D = SIDE * SIDE


class Scores(nn.Module):
    """Two logits, 0 and 1e-3 f(flattened image): near a half, so that draws weigh alike."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        value = 1e-3 * self.f(x.flatten(1))
        return torch.stack([torch.zeros_like(value), value], dim=1)


def noisy(f, **options):
    shape = {"input_shape": (1, SIDE, SIDE), "nb_classes": 2}
    return build_classifier(Scores(f), **shape, defences=[GaussianNoise(SIGMA)], **options)


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0.4, 0.6, (24, 1, SIDE, SIDE)).astype(np.float32)


Y = np.arange(24) % 2


def agree(f, images, **options):
    return gradient_agreement(noisy(f), images, Y, verbose=False, **options)


def test_additive_noise_leaves_the_gradient_of_a_linear_model_alone(images):
    w = torch.linspace(-1, 1, D)
    for loss in ("cross_entropy", "margin"):
        found = agree(lambda x: x @ w, images, draws=(1, 5), loss=loss)
        for m in (1, 5):
            assert found.quartiles(m) == pytest.approx((1, 1, 1), abs=1e-4)
            assert found.zero_share(m).count == 0


def test_a_gradient_that_is_noise_agrees_with_nothing(images):
    # the slope of each pixel's sine has a random sign after the noise
    found = agree(lambda x: torch.sin(500 * x).sum(dim=1) / 500, images, draws=(1, 10))
    for m in (1, 10):
        low, middle, high = found.quartiles(m)
        # 24 cosines of vectors of 144 independent entries: deviation 1 / 12 each
        assert abs(middle) < 0.08
        assert low < 0 < high


def test_the_cosine_grows_with_the_draws_as_the_law_says(images):
    # f = w.x + a |x|^2 / 2 has the gradient w + a x + a n, n the noise: mean and deviation known
    w, a = torch.linspace(-1, 1, D), 4.0
    found = agree(lambda x: x @ w + a / 2 * (x**2).sum(dim=1), images, draws=(1, 4, 16, 64))
    mean = w.numpy() + a * images.reshape(24, D)
    signal = (mean**2).sum(axis=1)
    for m, each in zip(found.draws, found.cosines, strict=True):
        law = signal / (signal + a**2 * SIGMA**2 * D / m)
        assert np.mean(each) == pytest.approx(law.mean(), abs=0.015)
    steep = np.diff([found.quartiles(m)[1] for m in found.draws])
    assert (steep > 0).all()


@pytest.mark.parametrize("gradient", ["mean_probability", "mean_loss"])
def test_what_is_compared_is_the_gradient_that_attacks_get(images, gradient):
    shape = {"input_shape": (1, SIDE, SIDE), "nb_classes": 2}
    net = Scores(lambda x: 3e4 * (x[:, : D // 2].mean(dim=1) ** 2 - x[:, D // 2 :].std(dim=1)))
    frozen = build_classifier(
        net, **shape, defences=[GaussianNoise(SIGMA)], eot_samples=4, gradient=gradient
    ).frozen(1)
    attacked = frozen.loss_gradient(images, np.eye(2, dtype=np.float32)[Y]) * len(images)
    ours = input_gradients(frozen, images, Y, "cross_entropy")
    assert np.allclose(ours, attacked, rtol=1e-3, atol=1e-4 * np.abs(attacked).max())
    assert np.abs(ours).max() > 0


def test_zero_gradients_are_counted_and_agree_with_nothing(images):
    # the second half of the images is on the flat side for every draw
    images[12:] += np.float32(0.3)
    found = agree(lambda x: torch.relu(0.65 - x.mean(dim=1)), images, draws=(2,))
    assert found.zeros == (24,)
    assert found.zero_share(2).value == 0.5
    assert found.cosines[0][12:] == (0.0,) * 12
    assert found.cosines[0][:12] == pytest.approx((1.0,) * 12)


def test_a_run_repeats_and_moves_nothing(images):
    classifier = noisy(lambda x: (x**2).sum(dim=1))
    before, drawn = images.copy(), classifier.model.maps[0].stream.generator.get_state()
    torch.manual_seed(3)
    one = gradient_agreement(classifier, images, Y, draws=(3, 1), seed=5, verbose=False)
    torch.manual_seed(4)
    two = gradient_agreement(classifier, images, Y, draws=(1, 3), seed=5, verbose=False)
    assert one.cosines == two.cosines
    assert one.draws == (1, 3)
    assert np.array_equal(images, before)
    assert torch.equal(classifier.model.maps[0].stream.generator.get_state(), drawn)
    other = gradient_agreement(classifier, images, Y, draws=(1, 3), seed=6, verbose=False)
    assert other.cosines != one.cosines


def test_what_does_not_draw_is_refused(images):
    def f(x):
        return x.sum(dim=1)

    with pytest.raises(InputError, match="frozen draws"):
        gradient_agreement(noisy(f).frozen(0), images, Y)
    bare = build_classifier(Scores(f), input_shape=(1, SIDE, SIDE), nb_classes=2)
    with pytest.raises(InputError, match="no draws"):
        gradient_agreement(bare, images, Y)
    with pytest.raises(InputError, match="at least one number of draws"):
        gradient_agreement(noisy(f), images, Y, draws=())
    with pytest.raises(InputError, match="cross_entropy, margin"):
        gradient_agreement(noisy(f), images, Y, loss="hinge")
    with pytest.raises(InputError, match="takes images"):
        gradient_agreement(noisy(f), images[..., :5], Y)


def test_json_and_back(images, tmp_path):
    found = agree(lambda x: x.sum(dim=1), images, draws=(1, 2))
    assert AgreementRecord.load(found.save(tmp_path / "agreement.json")) == found
