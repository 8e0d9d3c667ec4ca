"""The attack that drives an LQ-VAE's means across the thresholds of H."""

import numpy as np
import pytest
import torch
from torch import nn

from art_disc import build_classifier, evaluate
from art_disc.attacks import LatentCodeAttack
from art_disc.attacks.latent_code import LatentHunt, _map_of, _view
from art_disc.core.errors import InputError
from art_disc.defences import LQVAEFilter
from art_disc.networks import LQVAENet, Stack
from tests.lqvae_file import lqvae_net

SHAPE = (1, 4, 4)
ETA = 0.4


class Linear(nn.Module):
    """Means that are linear in the image."""

    def __init__(self, weight, bias):
        super().__init__()
        self.body = nn.Flatten()
        self.mean = nn.Linear(16, len(bias))
        self.mean.weight.data, self.mean.bias.data = weight, bias

    def forward(self, x):
        means = self.mean(self.body(x))
        return means, torch.zeros_like(means)


def by_bits(latent, classes=2, seed=0):
    """An LQ-VAE of linear means, and a network that reads its bits off what it makes."""
    rng = torch.Generator().manual_seed(seed)
    net = LQVAENet(
        SHAPE, latent=latent, eta=ETA, stack=Stack(((2, 1),), ((2, 1),), hidden=4)
    ).eval()
    weight = torch.randn(latent, 16, generator=rng) / 4
    net.encoder = Linear(weight, torch.randn(latent, generator=rng) / 4)
    # the image shows the bits, -0.9 and 0.9, and nothing else
    show = nn.Linear(latent, 16, bias=False)
    show.weight.data = torch.zeros(16, latent)
    show.weight.data[:latent] = 0.9 * torch.eye(latent)
    net.decoder = nn.Sequential(show, nn.Unflatten(1, SHAPE))
    head = nn.Linear(16, classes)
    head.weight.data = torch.zeros(classes, 16)
    head.bias.data = torch.zeros(classes)
    return net, nn.Sequential(nn.Flatten(), head), weight


@pytest.fixture
def x():
    return np.random.default_rng(0).random((60, *SHAPE)).astype(np.float32)


def classifier_of(net, head, **options):
    shape = {"input_shape": SHAPE, "nb_classes": head[-1].out_features}
    return build_classifier(head, defences=[LQVAEFilter(net)], **shape | options)


def test_one_linear_bit_is_flipped_where_the_budget_reaches_its_threshold_and_only_there(x):
    net, head, weight = by_bits(1)
    # class 1 where the bit is +1
    head[-1].weight.data[1, 0], head[-1].bias.data[0] = 2.0, 1.0
    classifier = classifier_of(net, head)
    y = classifier.predict(x).argmax(axis=1)
    assert 0 < y.mean() < 1
    # pixels stay in [0, 1], so the means move as far as they let them
    eps, rows, w = 0.03, torch.tensor(x).flatten(1), 2 * weight[0]
    up = torch.where(w > 0, (rows + eps).clamp(0, 1), (rows - eps).clamp(0, 1)) @ w
    down = torch.where(w > 0, (rows - eps).clamp(0, 1), (rows + eps).clamp(0, 1)) @ w
    off = net.encoder.mean.bias[0] - weight[0].sum()
    high, low = (up + off).detach().numpy(), (down + off).detach().numpy()
    reached = np.where(y == 1, (high > ETA) | (low < -ETA), (high > -ETA) & (low < ETA))
    edge = np.minimum.reduce([abs(abs(end) - ETA) for end in (high, low)]) < 0.02
    made = LatentCodeAttack(classifier, eps=eps, verbose=False).generate(x, y)
    broken = classifier.predict(made).argmax(axis=1) != y
    assert np.array_equal(broken[~edge], reached[~edge])
    assert 5 < broken.sum() < 55
    assert edge.sum() < 30


def test_codes_that_are_reached_are_driven_at(x):
    """A code of an image in the budget is met from the clean image."""
    net, head, _ = by_bits(8)
    classifier = classifier_of(net, head)
    step = _map_of(classifier)
    view = _view(classifier, step, 64)
    images = torch.tensor(x)
    eps = 0.15
    near = (images + eps * (2 * torch.rand(images.shape) - 1).sign()).clamp(0, 1)
    goals = (net.hard(net.encode(near)[0]) > 0).long().numpy()
    before = (net.hard(net.encode(images)[0]) > 0).long().numpy()
    # a label that nothing is: every image stays open
    hunt = LatentHunt(
        step.network, view, images, torch.full_like(images, eps), np.zeros(60, int), targeted=False
    )
    hunt.leads[:] = -1.0
    head[-1].bias.data[0] = 100.0
    hunt.drive(np.arange(60), goals, 30)
    after = (net.hard(net.encode(hunt._at)[0]) > 0).long().numpy()
    assert (hunt._at - images).abs().max() <= eps + 1e-6
    assert (before == goals).all(axis=1).mean() < 0.5
    assert (after == goals).all(axis=1).mean() > 0.8


def test_codes_that_are_known_to_be_wrong_are_aimed_at_before_any_search(x, monkeypatch):
    net, head, _ = by_bits(8)
    classifier = classifier_of(net, head)
    # the first bit alone is read, and the goals flip it: codes of images within the budget
    head[-1].weight.data[1, 0], head[-1].bias.data[0] = 2.0, 1.0
    images, eps = torch.tensor(x), 0.15
    moved = (images + eps * (2 * torch.rand(images.shape) - 1).sign()).clamp(0, 1)
    with torch.no_grad():
        goals, own = (net.hard(net.encode(each)[0]) for each in (moved, images))
    flipped = (goals != own)[:, 0]
    x, goals = x[flipped.numpy()], goals[flipped]
    assert len(x) > 4
    y = classifier.predict(x).argmax(axis=1)
    monkeypatch.setattr(LatentHunt, "wanted", lambda self, _: (np.zeros(0, int), own[:0].numpy()))
    options = {"eps": eps, "max_iter": 30, "seed": 0, "verbose": False}
    broken = [
        classifier.predict(LatentCodeAttack(classifier, aims=aims, **options).generate(x, y))
        for aims in (None, goals.numpy())
    ]
    before, after = ((scores.argmax(axis=1) != y).mean() for scores in broken)
    assert before == 0
    assert after > 0.7
    for aims, told in (
        (goals[:, :3], r"shape \(n, 8\), got"),
        (goals[:4], "one code an image"),
    ):
        with pytest.raises(InputError, match=told):
            LatentCodeAttack(classifier, aims=aims.numpy(), **options).generate(x, y)


def test_it_breaks_what_the_filter_holds_and_keeps_the_budget(digits, digits_net, digits_lqvae):
    x, y = digits.x_test[:60], digits.y_test[:60]
    classifier = build_classifier(digits_net, data=digits, defences=[LQVAEFilter(digits_lqvae)])
    right = classifier.predict(x).argmax(axis=1) == y
    kept = x.copy()
    left = {}
    for eps in (0.02, 0.2):
        made = LatentCodeAttack(classifier, eps=eps, n_codes=4, seed=0, verbose=False).generate(
            x, y
        )
        assert np.abs(made - x).max() <= eps + 1e-6
        assert 0 <= made.min() <= made.max() <= 1
        left[eps] = (right & (classifier.predict(made).argmax(axis=1) == y)).sum()
        noise = np.clip(x + eps * np.sign(np.random.default_rng(1).normal(size=x.shape)), 0, 1)
        random = (right & (classifier.predict(noise.astype("f4")).argmax(axis=1) == y)).sum()
        assert left[eps] < random
    assert np.array_equal(x, kept)
    assert left[0.2] < 0.3 * right.sum()
    assert left[0.2] < left[0.02]


def test_every_second_code_is_aimed_at_from_a_random_point_within_the_budget(
    digits, digits_net, digits_lqvae, monkeypatch
):
    x, y, eps = digits.x_test[:40], digits.y_test[:40], 0.03
    classifier = build_classifier(digits_net, data=digits, defences=[LQVAEFilter(digits_lqvae)])
    begun, drive = [], LatentHunt.drive

    def watched(self, of, goals, max_iter):
        begun.append((of, self._at[of].numpy() - x[of]))
        drive(self, of, goals, max_iter)

    monkeypatch.setattr(LatentHunt, "drive", watched)
    attack = LatentCodeAttack(classifier, eps=eps, n_codes=4, max_iter=3, seed=0, verbose=False)
    made = attack.generate(x, y)
    assert len(begun) == 4
    assert not begun[0][1].any()
    for of, moved in (begun[1], begun[3]):
        inside = ((x[of] + eps) < 1) & ((x[of] - eps) > 0)
        assert len(of) > 10
        assert np.abs(moved).max() <= eps + 1e-6
        # evenly: their mean size is half the budget, where steps end at its border
        assert np.abs(moved[inside]).mean() == pytest.approx(eps / 2, rel=0.1)
    assert np.array_equal(made, attack.generate(x, y))


def test_layouts_ranges_masks_and_targets():
    net = lqvae_net(SHAPE)
    head = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    torch.manual_seed(0)
    head[-1].weight.data = torch.randn(3, 16) / 255
    shape = {"input_shape": (4, 4, 1), "nb_classes": 3}
    classifier = build_classifier(
        head, defences=[LQVAEFilter(net)], clip_values=(0, 255), channels_first=False, **shape
    )
    x = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1)).astype(np.float32)
    y = classifier.predict(x).argmax(axis=1)
    options = {"eps": 60.0, "n_codes": 3, "max_iter": 8, "seed": 1, "verbose": False}
    made = LatentCodeAttack(classifier, **options).generate(x)
    assert np.abs(made - x).max() <= 60 + 1e-4
    broken = classifier.predict(made).argmax(axis=1) != y
    assert broken.mean() > 0.3
    mask = np.zeros((40, 4, 4, 1), bool)
    mask[:, :2] = True
    half = LatentCodeAttack(classifier, **options).generate(x, mask=mask)
    assert np.array_equal(half[:, 2:], x[:, 2:])
    assert 0 < (classifier.predict(half).argmax(axis=1) != y).mean() < broken.mean()
    goal = (y + 1) % 3
    there = LatentCodeAttack(classifier, targeted=True, **options).generate(x, goal)
    hit = classifier.predict(there).argmax(axis=1) == goal
    assert hit.mean() > 0.2
    again = LatentCodeAttack(classifier, **options).generate(x)
    assert np.array_equal(again, made)


def test_an_evaluation_counts_it_as_a_white_box(digits, digits_net, digits_lqvae):
    classifier = build_classifier(digits_net, data=digits, defences=[LQVAEFilter(digits_lqvae)])
    attack = LatentCodeAttack(classifier, eps=0.2, n_codes=2, max_iter=5, verbose=False)
    record = evaluate(
        classifier, digits, eps=0.2, attacks=[attack], checks=None, n_ex=10, verbose=False
    ).record
    (outcome,) = record.select(scored_on="defended", eps=0.2)
    assert (outcome.attack, outcome.knowledge) == ("LatentCodeAttack", "bpda")
    assert outcome.gradients > 0


def test_other_classifiers_are_refused(digits, digits_net, digits_lqvae):
    for defences in ([], ["bitdepth"], [LQVAEFilter(digits_lqvae), "bitdepth"]):
        plain = build_classifier(digits_net, data=digits, defences=defences)
        with pytest.raises(InputError, match="one defence is an LQVAEFilter"):
            LatentCodeAttack(plain)
    drawing = LQVAEFilter(digits_lqvae, inference="sampled")
    with pytest.raises(InputError, match="inference='mean', got LQVAEFilter"):
        LatentCodeAttack(build_classifier(digits_net, data=digits, defences=[drawing]))
    fine = build_classifier(digits_net, data=digits, defences=[LQVAEFilter(digits_lqvae)])
    for odd in ({"n_codes": 0}, {"max_iter": 0}, {"eps": 2.0}):
        with pytest.raises(InputError):
            LatentCodeAttack(fine, **odd)
