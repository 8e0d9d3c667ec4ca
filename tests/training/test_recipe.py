"""Settings of the loop: schedules in closed form, penalties, clipping, averages and statistics."""

import math

import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.networks import ParametrisedRamp
from art_disc.training import CrossEntropy, train
from art_disc.training.recipe import Recipe, augmented


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=192, n_test=60, stratified=True)


def fresh():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 10))


class Noting(CrossEntropy):
    """Cross-entropy that notes the weights before each step."""

    def __call__(self, model, x, y, *, progress, generator):
        NOTED.append([p.detach().clone() for p in model.parameters()])
        return super().__call__(model, x, y, progress=progress, generator=generator)


NOTED = []


def rates(recipe, steps):
    net = nn.Linear(1, 1)
    optimizer = recipe.make_optimizer(net)
    schedule, seen = recipe.make_schedule(optimizer, steps), []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_learning_rates_are_those_of_the_formula():
    assert rates(Recipe(learning_rate=1.0), 8) == pytest.approx(
        [0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    )
    steps = Recipe(learning_rate=1.0, milestones=(0.5, 0.75), decay=0.1)
    assert rates(steps, 8) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    rising = Recipe(learning_rate=1.0, milestones=(0.5,), decay=0.1, warm_up=0.25)
    assert rates(rising, 8) == pytest.approx([0.5, 1, 1, 1, 0.1, 0.1, 0.1, 0.1])


def test_settings_that_are_left_out_are_no_part_of_the_facts():
    first = {"epochs", "learning_rate", "batch_size", "optimizer", "weight_decay", "warm_up"}
    assert set(Recipe().facts()) == first | {"augment", "precision"}
    assert Recipe(decay=0.5).facts() == Recipe().facts()
    other = Recipe(milestones=[0.5], l1=1e-3, averaging=0.1, population_statistics=True).facts()
    # a default that decides as it did is no part either
    later = {"milestones", "l1", "averaging", "population_statistics"}
    assert set(other) - set(Recipe().facts()) == later
    assert Recipe(milestones=(0.5,), decay=0.3).facts()["decay"] == 0.3


def test_the_penalty_is_the_sum_of_the_sizes_of_weights():
    net = fresh().append(ParametrisedRamp((2, 1, 1), cap=0.1))
    expected = 0.5 * float(net[2].weight.detach().abs().sum())
    assert float(Recipe(l1=0.5).penalty(net).detach()) == pytest.approx(expected)
    assert Recipe().penalty(net) == 0


def test_the_penalty_makes_weights_smaller(small):
    sizes = []
    for l1 in (0.0, 0.1):
        net = fresh()
        train(net, small, epochs=5, learning_rate=2e-2, l1=l1, verbose=False)
        sizes.append(float(net[2].weight.detach().abs().sum()))
    assert sizes[1] < 0.8 * sizes[0]


def test_gradients_are_shortened_together():
    net = fresh()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    Recipe(gradient_clip=0.5).clip(net)
    total = torch.stack([p.grad.square().sum() for p in net.parameters()]).sum().sqrt()
    assert float(total) == pytest.approx(0.5, rel=1e-4)
    Recipe(gradient_clip=5.0).clip(net)
    again = torch.stack([p.grad.square().sum() for p in net.parameters()]).sum().sqrt()
    assert float(again) == pytest.approx(float(total))


def test_the_last_weights_are_averaged(small):
    options = {"epochs": 2, "batch_size": 32, "learning_rate": 1e-2, "verbose": False}
    plain, averaged = fresh(), fresh()
    NOTED.clear()
    train(plain, small, objective=Noting(), **options)
    # 12 steps; the weights after the last three of them
    after = [*NOTED, [p.detach() for p in plain.parameters()]][-3:]
    train(averaged, small, averaging=0.25, **options)
    for number, parameter in enumerate(averaged.parameters()):
        expected = torch.stack([weights[number] for weights in after]).mean(dim=0)
        assert torch.allclose(parameter, expected, atol=1e-6)


@pytest.mark.parametrize("setting", [{"population_statistics": True}, {"averaging": 0.5}])
def test_population_statistics_are_those_of_all_training_images(small, setting):
    net = fresh()
    options = {"epochs": 1, "batch_size": 32, "augment": "shift", "verbose": False}
    train(net, small, **options, **setting)
    x = torch.tensor(small.x_train)
    assert float(net[0].running_mean) == pytest.approx(float(x.mean()), rel=1e-5)
    assert float(net[0].running_var) == pytest.approx(float(x.var()), rel=1e-5)
    assert net[0].momentum == 0.1
    other = fresh()
    train(other, small, **options)
    assert float(other[0].running_mean) != pytest.approx(float(x.mean()), rel=1e-3)


def test_shifts_are_of_one_pixel_at_most():
    x = torch.zeros(200, 1, 5, 5)
    x[:, 0, 2, 2] = 1
    moved = augmented(x, "shift", torch.Generator().manual_seed(0))
    assert moved.sum(dim=(0, 1)).nonzero().tolist() == [
        [i, j] for i in (1, 2, 3) for j in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"milestones": (1.0,)}, "milestones must be a share"),
        ({"milestones": 0.5}, "milestones must be shares"),
        ({"decay": 0}, "decay"),
        ({"gradient_clip": 0}, "gradient_clip"),
        ({"l1": -1}, "l1"),
        ({"averaging": 1}, "averaging must be a share"),
    ],
)
def test_what_does_not_fit_is_refused(setting, text):
    with pytest.raises(InputError, match=text):
        Recipe(**setting)
