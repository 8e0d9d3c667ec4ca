"""The generalisation gap, where the distance of every image from the boundary is known."""

import json

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from torch import nn

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.core.intervals import unpaired_difference
from art_disc.data import Dataset
from art_disc.metrics import RobustnessHistory, generalisation_gap
from art_disc.networks import DigitsNet
from art_disc.training import train


class Mean(nn.Module):
    """Class 1 where the mean exceeds a half: the l_inf radius of an image is |mean - 1/2|."""

    def __init__(self, upper=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(20.0 / upper))
        self.upper = upper

    def forward(self, x):
        excess = self.weight * (x.flatten(1).mean(dim=1) - self.upper / 2)
        return torch.stack([-excess, excess], dim=1)


def flat(*levels):
    """Images of one grey each, and which side of a half they are on."""
    x = np.array(levels, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((1, 1, 3, 3), np.float32)
    return x, (np.array(levels) > 0.5).astype(np.int64)


@pytest.fixture
def far_and_near():
    """Training images 0.2 and 0.3 from the boundary, test images 0.05, 0.2 and a wrong one."""
    x_train, y_train = flat(0.3, 0.7, 0.2, 0.8)
    x_test, y_test = flat(0.45, 0.55, 0.3, 0.7, 0.2)
    y_test[4] = 1
    return Dataset("toy", x_train, y_train, x_test, y_test, ("dark", "bright"), "made up")


def classifier(upper=1.0, defences=()):
    net = Mean(upper)
    net.eval()
    shape = {"input_shape": (1, 3, 3), "nb_classes": 2, "clip_values": (0.0, upper)}
    return ad.build_classifier(net, defences=defences, **shape)


COUNTS = [
    (0.04, 4, 4),
    (0.049, 4, 4),
    (0.051, 4, 2),
    (0.199, 4, 2),
    (0.201, 2, 0),
    (0.31, 0, 0),
]


@pytest.mark.parametrize(("eps", "train", "test"), COUNTS)
def test_images_fall_where_their_radius_ends(far_and_near, eps, train, test):
    found = generalisation_gap(classifier(), far_and_near, eps=eps)
    assert (found.train.count, found.test.count) == (train, test)
    assert (found.train.total, found.test.total) == (4, 5)
    assert (found.clean_train.count, found.clean_test.count) == (4, 4)
    assert found.gap == pytest.approx(train / 4 - test / 5)
    assert found.interval == unpaired_difference(train, 4, test, 5)


@pytest.mark.parametrize(("eps", "train", "test"), COUNTS)
def test_a_history_counts_the_same(far_and_near, eps, train, test):
    history = RobustnessHistory(far_and_near, eps=eps)
    history(1, Mean())
    assert (history.gaps[0].train.count, history.gaps[0].test.count) == (train, test)
    assert history.gaps[0].clean_test.count == 4


def test_an_image_that_is_wrong_without_an_attack_is_not_robust(far_and_near, monkeypatch):
    def to_the_right_side(self, x, y):
        return np.broadcast_to(y.argmax(axis=1).reshape(-1, 1, 1, 1), x.shape).astype(np.float32)

    monkeypatch.setattr(ProjectedGradientDescent, "generate", to_the_right_side)
    found = generalisation_gap(classifier(), far_and_near, eps=0.1)
    assert (found.test.count, found.clean_test.count) == (4, 4)


def test_the_range_of_the_classifier_counts(far_and_near):
    found = generalisation_gap(classifier(255.0), far_and_near, eps=255 * 0.051)
    assert (found.train.count, found.test.count) == (4, 2)


def test_the_attack_goes_through_the_defence(far_and_near):
    # black and white: an image changes sides where its grey crosses a half, as without a defence
    book = ad.Codebook([0.0, 1.0])
    behind = classifier(defences=[ad.PixelDiscretization(book)])
    found = generalisation_gap(behind, far_and_near, eps=0.051, steps=40)
    assert (found.train.count, found.test.count) == (4, 2)


def test_a_draw_by_class_share_and_the_same_again(digits, digits_net):
    defended = ad.build_classifier(digits_net, data=digits)
    before = np.random.get_state()[1].copy()
    first, again = (
        generalisation_gap(defended, digits, eps=0.1, n_ex=40, steps=5, seed=3) for _ in range(2)
    )
    assert first == again
    assert np.array_equal(before, np.random.get_state()[1])
    assert first.train.total == first.test.total == 40
    assert first.test.count < first.clean_test.count


def test_a_history_of_a_training(digits):
    few = digits.subset(400, 60, stratified=True)
    history = RobustnessHistory(few, eps=0.1, every=2, n_ex=60, steps=5)
    torch.manual_seed(0)
    net = DigitsNet()
    result = train(net, few, epochs=4, learning_rate=1e-2, on_epoch=history, verbose=False)
    assert history.epochs == [2, 4]
    assert history.gaps[-1].clean_test.value == result.accuracy
    assert history.gaps[-1].train.count < history.gaps[-1].clean_train.count
    rows = json.loads(json.dumps(history.facts(), allow_nan=False))
    assert [row["epoch"] for row in rows] == [2, 4]
    # the same images and starts: measured again, the same counts
    last = history.gaps[-1]
    history(6, net)
    assert history.gaps[-1] == last


def test_measuring_does_not_train(digits):
    few = digits.subset(60, 30, stratified=True)

    def weights(on_epoch):
        torch.manual_seed(0)
        net = DigitsNet()
        result = train(net, few, epochs=2, on_epoch=on_epoch, verbose=False)
        return result.weights

    assert weights(RobustnessHistory(few, eps=0.1, n_ex=20, steps=2)) == weights(None)


def test_a_network_is_left_as_it_was(far_and_near):
    net = nn.Sequential(Mean(), nn.Dropout(0.5))
    net.train()
    RobustnessHistory(far_and_near, eps=0.1)(1, net)
    assert net.training
    assert net[1].training
    assert net[0].weight.grad is None


def test_arguments_that_do_not_fit(far_and_near):
    for options, words in (
        ({"eps": 0}, "eps must be > 0"),
        ({"eps": 8}, "8/255"),
        ({"eps": 0.1, "steps": 0}, "steps must be"),
        ({"eps": 0.1, "step_size": -1}, "step_size must be"),
        ({"eps": 0.1, "restarts": -1}, "restarts must be"),
        ({"eps": 0.1, "n_ex": 0}, "n_ex must be"),
        ({"eps": 0.1, "batch_size": 0}, "batch_size must be"),
    ):
        with pytest.raises(InputError, match=words):
            generalisation_gap(classifier(), far_and_near, **options)
    with pytest.raises(InputError, match="no training images"):
        generalisation_gap(classifier(), far_and_near.subset(0), eps=0.1)
    with pytest.raises(InputError, match="every must be"):
        RobustnessHistory(far_and_near, eps=0.1, every=0)
    with pytest.raises(InputError, match="nothing was measured"):
        RobustnessHistory(far_and_near, eps=0.1).plot()


def test_the_seed_reaches_the_draws_of_a_classifier(digits, digits_net):
    noisy = ad.build_classifier(digits_net, data=digits, defences=[ad.GaussianNoise(0.4)])

    def gap(seed):
        return generalisation_gap(noisy, digits, eps=0.1, n_ex=60, steps=3, seed=seed)

    first = gap(0)
    assert 0 < first.test.count < first.clean_test.count < 60
    assert gap(0) == gap(0) == first
    assert gap(1) != first
