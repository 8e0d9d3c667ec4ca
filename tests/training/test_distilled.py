"""Distillation: the loss is the published one, the teacher teaches, and is left as it was."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from art_disc.core.errors import InputError
from art_disc.defences import GaussianNoise, InputBitDepth
from art_disc.estimators import DefendedModule
from art_disc.networks import DigitsNet, SignGradient, weights_hash
from art_disc.training import Adversary, CrossEntropy, Distilled, loop, train, trained

FAST = {"epochs": 1, "verbose": False}


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=192, n_test=60, stratified=True)


@pytest.fixture(scope="module")
def teacher(digits):
    network = fresh(7)
    train(network, digits, epochs=8, learning_rate=5e-3, verbose=False)
    return network


def fresh(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitsNet()


class Logits(nn.Module):
    """Logits that are given, whatever the images are."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x):
        del x
        return self.logits * 1.0


def loss_of(objective, model, x, y):
    return objective(model, x, y, progress=0.0, generator=torch.Generator())


@pytest.mark.parametrize(("weight", "temperature"), [(0.9, 4.0), (1.0, 1.0), (0.25, 0.5)])
def test_the_loss_and_its_gradient_are_the_published_ones(weight, temperature):
    rng = np.random.default_rng(0)
    own, told = rng.normal(size=(2, 6, 5)) * 3
    y = rng.integers(5, size=6)
    model = Logits(own)
    objective = Distilled(Logits(told), weight, temperature)
    loss = loss_of(objective, model, torch.zeros(6, 1), torch.tensor(y))
    loss.backward()

    hard, soft = softmax(told / temperature, axis=1), softmax(own / temperature, axis=1)
    apart = hard * (np.log(hard) - np.log(soft))
    concrete = -log_softmax(own, axis=1)[np.arange(6), y].mean()
    expected = (1 - weight) * concrete + weight * temperature**2 * apart.sum(axis=1).mean()
    slope = (1 - weight) * (softmax(own, axis=1) - np.eye(5)[y]) / 6
    slope += weight * temperature * (soft - hard) / 6
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(model.logits.grad.numpy(), slope, rtol=1e-9, atol=1e-12)
    assert objective.teacher.logits.grad is None


def test_a_network_learns_from_its_teacher_alone_where_labels_say_nothing(digits, teacher):
    wrong = replace(digits, y_train=np.roll(digits.y_train, 1))
    options = {"epochs": 8, "learning_rate": 5e-3, "verbose": False}
    taught, untaught = fresh(), fresh()
    assert train(taught, wrong, objective=Distilled(teacher, 1.0), **options).accuracy > 0.9
    assert train(untaught, wrong, **options).accuracy < 0.3


def test_the_teacher_is_left_as_it_was_and_is_asked_in_eval_mode(small):
    teacher = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(64), nn.Linear(64, 10))
    teacher.train()
    before = weights_hash(teacher)
    still = nn.Sequential(teacher[0], *teacher[2:])
    plain = train(fresh(), small, objective=Distilled(still), **FAST)
    assert train(fresh(), small, objective=Distilled(teacher), **FAST).weights == plain.weights
    assert weights_hash(teacher) == before
    assert all(part.training for part in teacher.modules())
    assert all(weight.grad is None for weight in teacher.parameters())


class Seen(Logits):
    """Logits of 64 images, which keeps what it was shown."""

    def __init__(self):
        super().__init__(np.zeros((64, 10), np.float32))
        self.shown = []

    def forward(self, x):
        self.shown.append(x.clone())
        return super().forward(x)


def test_it_sees_what_an_adversary_moved(small):
    teacher, options = Seen(), {"adversary": Adversary(0.2, steps=1), "batch_size": 64}
    train(fresh(), small, objective=Distilled(teacher), **options, **FAST)
    order = torch.Generator().manual_seed(0)
    batch = torch.tensor(small.x_train)[torch.randperm(len(small.x_train), generator=order)[:64]]
    assert (teacher.shown[0] - batch).abs().max().item() == pytest.approx(0.2, abs=1e-6)


def test_it_sees_augmented_images_before_they_are_discretised(small):
    teacher, plain, seen = Seen(), Seen(), []

    class Behind(DigitsNet):
        def forward(self, x):
            seen.append(x.clone())
            return super().forward(x)

    options = {"batch_size": 64, "defences": InputBitDepth(2), **FAST}
    train(Behind(), small, objective=Distilled(teacher), augment="crop", **options)
    train(fresh(), small, objective=Distilled(plain), **options)
    assert len(np.unique(seen[0])) <= 4 < len(np.unique(teacher.shown[0]))
    # moved by up to two pixels, each by its own way
    assert not torch.equal(teacher.shown[0], plain.shown[0])
    assert not torch.equal(teacher.shown[0].sum(dim=3), plain.shown[0].sum(dim=3))


def test_the_cache_knows_a_training_by_its_teacher_and_what_it_says(
    small, teacher, tmp_path, monkeypatch
):
    options = {"cache": tmp_path, **FAST}
    objectives = (
        CrossEntropy(), Distilled(teacher), Distilled(fresh(1)), Distilled(teacher, 0.5),
        Distilled(teacher, temperature=2.0), Distilled(nn.Sequential(teacher, nn.Tanh())),
        Distilled(behind(teacher, 1)), Distilled(behind(teacher, 2)),
    )  # fmt: skip
    results = [trained(fresh, small, objective=one, **options)[1] for one in objectives]
    assert not any(result.cached for result in results)
    assert len({result.weights for result in results}) == len(objectives)
    monkeypatch.setattr(loop.Training, "result", None)
    again = Distilled(copy.deepcopy(teacher), 0.9, 4.0)
    assert trained(fresh, small, objective=again, **options)[1].cached


def behind(network, bits):
    return DefendedModule(network, [InputBitDepth(bits)])


def test_it_says_who_teaches_and_how_much(teacher):
    words = Distilled(teacher, 0.5, 2.0).describe()
    assert weights_hash(teacher) in words
    assert "0.5 of the loss at temperature 2" in words
    assert (Distilled(teacher).weight, Distilled(teacher).temperature) == (0.9, 4.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"teacher": DigitsNet}, "teacher"), ({"teacher": None}, "teacher"),
        ({"weight": 0}, "weight"), ({"weight": 1.5}, "weight"),
        ({"temperature": 0}, "temperature"), ({"temperature": float("nan")}, "temperature"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options, named):
    with pytest.raises(InputError, match=named):
        Distilled(**{"teacher": nn.Identity(), **options})


def test_a_teacher_of_other_classes_or_the_network_itself_is_refused(small):
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
    with pytest.raises(InputError, match=r"logits of shape \(64, 10\).*\(64, 7\)"):
        train(fresh(), small, objective=Distilled(other), **FAST)
    network = fresh()
    for teacher in (network, nn.Sequential(network)):
        with pytest.raises(InputError, match=r"shares parameters.*deep copy"):
            train(network, small, objective=Distilled(teacher), **FAST)


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (DefendedModule(DigitsNet(), [GaussianNoise(0.1)]), "that draw"),
        (DefendedModule(DigitsNet(), upper=255.0), "range"),
        (DefendedModule(DigitsNet(), channels_first=False), "layout"),
        (DefendedModule(DigitsNet(), through=SignGradient("identity", 16)), "a temperature"),
    ],
)
def test_a_teacher_that_answers_otherwise_than_it_was_trained_is_refused(module, named):
    for teacher in (module, nn.Sequential(module)):
        with pytest.raises(InputError, match=named):
            Distilled(teacher)
