"""Adversarial training: what it trains on, what it gains, and what it leaves alone."""

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.data.toys import linear_problem
from art_disc.networks import DigitsNet, weights_hash
from art_disc.training import Adversary, objectives, train, trained
from art_disc.training.adversary import perturbed

EPS = 0.1
METHODS = ("pgd", "single_step")
FAST = {"epochs": 1, "verbose": False}


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=128, n_test=40, stratified=True)


def fresh(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitsNet()


def accuracy_under_pgd(model, data, eps, steps=20):
    """A loop of its own, from the image itself."""
    x, y = torch.tensor(data.x_test), torch.tensor(data.y_test)
    moved = x.clone()
    for _ in range(steps):
        moved.requires_grad_()
        loss = nn.functional.cross_entropy(model(moved), y)
        (slope,) = torch.autograd.grad(loss, moved)
        moved = (moved + 0.2 * eps * slope.sign()).detach()
        moved = torch.minimum(torch.maximum(moved, x - eps), x + eps).clamp(0, 1)
    return float((model(moved).argmax(dim=1) == y).float().mean())


@pytest.mark.parametrize("method", METHODS)
def test_it_raises_the_accuracy_under_attack_far_above_natural_trainings(
    digits, digits_net, method
):
    eps = 0.15
    adversary = Adversary(eps, method=method, steps=3)
    model = fresh()
    options = {"epochs": 6, "learning_rate": 5e-3, "batch_size": 128, "verbose": False}
    result = train(model, digits, adversary=adversary, **options)
    before, after = (accuracy_under_pgd(net, digits, eps) for net in (digits_net, model))
    assert before < 0.35
    assert after > before + 0.2
    assert result.accuracy > 0.88
    # the report's own attack, from a random start, is as strong
    assert abs(result.robust_accuracy - after) < 0.05
    assert not model.training


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_weights_and_another_does_not(small, method):
    def weights(seed, **changes):
        adversary = Adversary(**{"eps": EPS, "method": method, "steps": 2, **changes})
        return train(
            fresh(), small, epochs=1, seed=seed, adversary=adversary, verbose=False
        ).weights

    first = weights(3)
    assert weights(3) == first
    assert weights(4) != first
    for changes in ({"eps": 0.2}, {"step_size": 0.01}, {"random_start": False}):
        assert weights(3, **changes) != first
    assert (weights(3, steps=3) == first) == (method == "single_step")


def linear(toy):
    layer = nn.Linear(toy.w.size, 2)
    with torch.no_grad():
        w = torch.tensor(toy.w)
        layer.weight.copy_(torch.stack([-w, w]) / 2)
        layer.bias.copy_(torch.tensor([-toy.b, toy.b]) / 2)
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_on_a_linear_net_it_finds_the_worst_corner(method, random_start):
    toy = linear_problem(n=40, seed=0, shape=(1, 3, 3))
    adversary = Adversary(EPS, method=method, random_start=random_start, step_size=2 * EPS)
    x, y = torch.tensor(toy.x), torch.tensor(toy.y)
    moved = perturbed(linear(toy), x, y, adversary, torch.Generator().manual_seed(0))
    away = torch.tensor(toy.w).sign().view(1, 1, 3, 3) * (1 - 2 * y).view(-1, 1, 1, 1)
    assert torch.allclose(moved, (x + EPS * away).clamp(0, 1), atol=1e-6)


def test_a_single_default_step_stays_inside_and_starts_at_random(small):
    model = fresh().eval()
    x, y = torch.tensor(small.x_train), torch.tensor(small.y_train)
    adversary = Adversary(EPS, method="single_step")
    assert adversary.step_length == 1.25 * EPS
    assert Adversary(EPS).step_length == pytest.approx(0.25 * EPS)
    before = x.clone()
    moved, again, other = (
        perturbed(model, x, y, adversary, torch.Generator().manual_seed(s)) for s in (0, 0, 1)
    )
    assert torch.equal(moved, again)
    assert not torch.allclose(moved, other)
    assert torch.equal(x, before)
    for images in (moved, other):
        assert (images - x).abs().max() <= EPS + 1e-6
        assert images.min() >= 0
        assert images.max() <= 1
    # less than the full budget where the start was against the step
    inside = (x > EPS) & (x < 1 - EPS)
    change = (moved - x).abs()[inside]
    assert (change < EPS - 1e-3).float().mean() > 0.2
    assert (change > EPS - 1e-3).float().mean() > 0.2


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(64)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(64, 10)
        self.modes = []

    def forward(self, x):
        self.modes.append((self.training, self.drop.training))
        return self.head(self.drop(self.norm(x.flatten(1))))


def test_steps_are_taken_in_eval_mode_and_touch_nothing_of_the_network(small):
    model = Layers().train()
    mean, weights = model.norm.running_mean.clone(), weights_hash(model)
    x, y = torch.tensor(small.x_train), torch.tensor(small.y_train)
    moved = perturbed(model, x, y, Adversary(EPS, steps=3), torch.Generator().manual_seed(0))
    assert model.modes == [(False, False)] * 3
    assert model.training
    assert model.drop.training
    assert torch.equal(model.norm.running_mean, mean)
    assert weights_hash(model) == weights
    assert all(p.grad is None for p in model.parameters())
    assert not moved.requires_grad
    model.modes.clear()
    with torch.random.fork_rng():
        train(
            model, small, epochs=1, batch_size=64, adversary=Adversary(EPS, steps=3), verbose=False
        )
    assert model.modes[:8] == ([(False, False)] * 3 + [(True, True)]) * 2


def test_the_loss_is_that_of_the_perturbed_images(small):
    adversary = Adversary(0.2, steps=3)
    plain, hard = (
        train(fresh(), small, epochs=1, learning_rate=1e-6, adversary=a, verbose=False).loss
        for a in (None, adversary)
    )
    assert hard > plain + 0.01


def test_global_streams_go_on_untouched(small):
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(4), np.random.random(4)
    torch.manual_seed(1)
    np.random.seed(1)
    train(fresh(), small, epochs=1, adversary=Adversary(EPS, steps=1), verbose=False)
    assert torch.equal(torch.rand(4), expected[0])
    assert np.array_equal(np.random.random(4), expected[1])


def test_the_cache_tells_adversaries_apart_(small, tmp_path):
    one = Adversary(EPS, steps=2)
    runs = [
        trained(DigitsNet, small, cache=tmp_path, adversary=adversary, **FAST)
        for adversary in (None, one, Adversary(EPS, steps=3), Adversary(0.2, steps=2))
    ]
    assert len({result.weights for _, result in runs}) == 4
    assert len(list(tmp_path.iterdir())) == 4
    # the same adversary in other words
    same = Adversary(np.float64(EPS), steps=2, step_size=1.25 * EPS)
    model, again = trained(DigitsNet, small, cache=tmp_path, adversary=same, **FAST)
    assert again.cached
    assert again.weights == runs[1][1].weights == weights_hash(model)
    assert again.robust_accuracy == runs[1][1].robust_accuracy is not None
    assert runs[0][1].robust_accuracy is None


def test_an_interrupted_training_leaves_no_file(small, tmp_path, monkeypatch):
    calls = []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return perturbed(*arguments)

    monkeypatch.setattr(objectives, "perturbed", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(DigitsNet, small, cache=tmp_path, adversary=Adversary(EPS, steps=1), **FAST)
    assert len(calls) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"eps": 0}, "eps must be > 0; for natural training leave the adversary out"),
        ({"eps": 8}, r"8/255"),
        ({"eps": -0.1}, "eps must be"),
        ({"eps": 0.1, "method": "fgsm"}, "method must be one of pgd, single_step, got 'fgsm'"),
        ({"eps": 0.1, "steps": 0}, "steps must be a whole number >= 1"),
        ({"eps": 0.1, "step_size": 0}, "step_size must be a number > 0"),
        ({"eps": 0.1, "step_size": float("nan")}, "step_size must be"),
    ],
)
def test_what_does_not_fit_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        Adversary(**options)


def test_an_adversary_is_no_number(small):
    with pytest.raises(InputError, match="adversary must be an Adversary or None, got float"):
        train(fresh(), small, adversary=0.1, **FAST)


def test_it_says_what_it_is():
    assert Adversary(EPS).describe() == "adversarial (PGD-10, eps 0.1, step 0.025)"
    single = Adversary(8 / 255, method="single_step", random_start=False)
    assert (
        single.describe() == "adversarial (single-step, eps 0.03137, step 0.03922, no random start)"
    )
