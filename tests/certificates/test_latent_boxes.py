"""Boxes of bits behind an LQ-VAE, decided by bounds and search, against all of their codes."""

import itertools
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.bounds.linear import Bounds
from art_disc.certificates.complete import branch
from art_disc.certificates.latent import certify_codes
from art_disc.certificates.latent_boxes import BehindCodes
from art_disc.certificates.spend import Spend
from art_disc.defences import LQVAEFilter
from art_disc.networks import LQVAENet, Stack
from studies.random_cases import small_leaves

LATENT, ETA, EPS = 12, 0.4, 0.05
# no verdict is to depend on the machine
ENOUGH = Spend(nodes=10**6, seconds=10**5)
CODES = np.array(list(itertools.product((-1, 1), repeat=LATENT)), dtype=np.float32)


class Read(nn.Module):
    """Mean i is pixel i, on [-1, 1]: a bit is +1 where that is in [0.3, 0.7] on [0, 1]."""

    def __init__(self, latent, pixels):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten())
        self.mean = nn.Linear(pixels, latent, bias=False)
        self.mean.weight.data = torch.eye(latent, pixels)

    def forward(self, x):
        means = self.mean(self.body(x))
        return means, means


def purifier(seed, shape=(1, 5, 7)):
    """Its decoder has strides, paddings beyond the border, and a tanh that bends."""
    torch.manual_seed(seed)
    stack = Stack(down=((3, 2), (4, 2)), up=((4, 2), (3, 2)), hidden=9)
    net = LQVAENet(shape, latent=LATENT, eta=ETA, stack=stack).eval()
    net.encoder = Read(LATENT, shape[1] * shape[2])
    for layer in net.decoder:
        if getattr(layer, "weight", None) is not None:
            layer.weight.data *= 2.5
    return net


def within(row):
    """Which of all codes are in a box."""
    return ((row == CODES) | (row == 0)).all(axis=1)


def margins(classifier, net, label):
    """The label's margin for every code, in order."""
    with torch.no_grad():
        scores = classifier.base_network(net.decode(torch.tensor(CODES))).double().numpy()
    return scores[:, label] - np.delete(scores, label, axis=1).max(axis=1)


def case(seed, n):
    """A classifier, images with 8 to 12 free bits each, and their codes: +-1, 0 where free."""
    rng, net = np.random.default_rng(seed), purifier(seed)
    head = nn.Sequential(
        nn.Conv2d(1, 3, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 6), nn.ReLU(), nn.Linear(6, 3)
    )
    classifier = ad.build_classifier(
        head, input_shape=net.input_shape, nb_classes=3, defences=[LQVAEFilter(net)]
    )
    x = rng.random((n, *net.input_shape)).astype(np.float32)
    box = rng.choice([-1, 1], (n, LATENT))
    for row in box:
        row[rng.choice(LATENT, rng.integers(8, 13), replace=False)] = 0
    # at a threshold, in the middle, or far from it
    border = rng.choice([0.31, 0.69, 0.3, 0.66], box.shape)
    value = np.where(box == 0, border, np.where(box == 1, 0.5, rng.choice([0.1, 0.9], box.shape)))
    x.reshape(n, -1)[:, :LATENT] = value
    # the first class holds in about half of the boxes, by margins that can be told from 0
    least = np.unique([margins(classifier, net, 0)[within(row)].min() for row in box])
    inner = slice(len(least) // 4, max(2, 3 * len(least) // 4 + 1))
    k = inner.start + np.diff(least[inner]).argmax() if len(least) > 1 else 0
    with torch.no_grad():
        head[-1].bias[0] -= float(least[k : k + 2].mean())
    return classifier, net, x, box


@pytest.mark.parametrize("how", ["as it is", "small leaves", "without tables"])
@pytest.mark.parametrize("seed", range(2))
def test_verdicts_are_those_of_all_codes(seed, how, monkeypatch):
    classifier, net, x, box = case(seed, 80 if how == "as it is" else 12)
    if how == "without tables":
        monkeypatch.setattr(branch, "_MOST_UNITS", 0)
        monkeypatch.setattr(branch, "LEAF", 3)
    y = classifier.predict(x).argmax(axis=1)
    leaves = small_leaves(with_attack=False) if how == "small leaves" else mock.MagicMock()
    with leaves:
        found = certify_codes(classifier, x, y, eps=EPS, max_free=0, spend=ENOUGH, verbose=False)
    assert np.array_equal(found.free, (box == 0).sum(axis=1))
    for i, row in enumerate(box):
        least = margins(classifier, net, y[i])[within(row)].min()
        # what float32 may do to a bound is allowed for
        assert (found.verdicts[i] == "certified") <= (least > 0)
        assert (found.verdicts[i] == "certified") >= (least > 0.01)
    changes = [np.abs(found.witnesses[i] - x[i]).max() for i in found.witnesses]
    assert max(changes, default=0) <= EPS + 1e-6
    assert min(map(found.verdicts.count, ("certified", "falsified"))) > 0


def forty(share):
    """A linear decoder and network over 40 free bits, whose least margin is a sum of sizes."""
    shape, latent = (1, 5, 8), 40
    net = LQVAENet(shape, latent=latent, eta=ETA, stack=Stack(((2, 1),), ((2, 1),), 4)).eval()
    net.encoder = Read(latent, latent)
    show = nn.Linear(latent, latent, bias=False)
    show.weight.data = torch.eye(latent)
    net.decoder = nn.Sequential(show, nn.Unflatten(1, shape))
    head = nn.Sequential(nn.Flatten(), nn.Linear(latent, 2))
    weight = torch.randn(latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        head[1].weight.copy_(torch.stack([weight, 0 * weight]))
        # bits b are shown as (b + 1) / 2
        head[1].bias.copy_(torch.tensor([share * weight.abs().sum() - weight.sum(), 0]) / 2)
    classifier = ad.build_classifier(
        head, input_shape=shape, nb_classes=2, defences=[LQVAEFilter(net)]
    )
    return classifier, np.full((1, *shape), 0.69, np.float32), float(weight.abs().sum())


def test_forty_free_bits_are_decided_to_one_per_cent():
    for share, verdict in ((1.01, "certified"), (0.99, "falsified")):
        classifier, x, _ = forty(share)
        found = certify_codes(classifier, x, [0], eps=EPS, verbose=False)
        assert (found.free[0], found.verdicts) == (40, (verdict,))
    assert classifier.predict(found.witnesses[0][None]).argmax() == 1


def test_a_bound_that_is_one_per_cent_too_large_is_seen(monkeypatch):
    classifier, x, size = forty(0.99)
    whole = Bounds.lower
    monkeypatch.setattr(
        Bounds, "lower", lambda self, rows, value=-1: whole(self, rows, value) + 0.01 * size
    )
    found = certify_codes(classifier, x, [0], eps=EPS, verbose=False)
    assert found.verdicts == ("certified",)


def test_behind_codes_is_what_the_classifier_makes_of_an_image():
    classifier, net, x, _ = case(1, 20)
    behind = BehindCodes(classifier.defences[0].map, classifier.model)
    with torch.no_grad():
        bits = (net.hard(net.encode(torch.tensor(x))[0]) + 1) / 2
        scores = behind(bits[:, None, None])
    assert np.allclose(scores, classifier.predict(x), atol=1e-5)
