"""Small classifiers behind codebooks, and attacks that know nothing of certificates."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier
from studies.programmes import one_hidden


class TinyNet(nn.Module):
    """A random linear or one-layer network, sharp around `centre`."""

    def __init__(self, shape, nb_classes, seed, hidden, centre, upper):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        sizes = [int(np.prod(shape)), *([hidden] if hidden else []), nb_classes]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        for layer in self.layers:
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
            layer.bias.data = torch.randn(layer.bias.shape, generator=generator)
        self.centre, self.upper = centre, upper

    def forward(self, x):
        x = 12 * (x.flatten(1) / self.upper - self.centre)
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


@pytest.fixture(scope="session")
def tiny():
    """Make a defended random network."""

    def make(codebook, shape, *, seed=0, hidden=8, nb_classes=3, upper=1.0, **options):
        centre = float(codebook.codewords_.mean())
        net = TinyNet(shape, nb_classes, seed, hidden, centre, upper)
        return build_classifier(
            net,
            input_shape=shape,
            nb_classes=nb_classes,
            defences=[PixelDiscretization(codebook)],
            clip_values=(0.0, upper),
            **options,
        )

    return make


def wide(seed, pixels=24, hidden=6, lead=5.0):
    """A random network of one hidden layer, and ten images all of whose pixels are free."""
    rng, shape = np.random.default_rng(seed), (1, 2, pixels // 2)
    x = rng.uniform(0.45, 0.55, (10, *shape)).astype(np.float32)
    net, classifier = one_hidden(seed, rng, words=[0.2, 0.8], shape=shape, hidden=hidden, lead=lead)
    return classifier, net, x


def graded(seed=4, lead=5.5):
    """Ten images with ever more free pixels, 12 to 40: the first certified, the last falsified.

    What lies between takes a search; one of them is undecided after hundreds of nodes.
    """
    classifier, _, x = wide(seed, pixels=40, hidden=30, lead=lead)
    rng = np.random.default_rng(seed)
    flat = x.reshape(len(x), -1)
    for place, row in enumerate(flat):
        fixed = rng.permutation(40)[: max(0, 28 - 3 * place)]
        row[fixed] = rng.choice([0.2, 0.8], len(fixed))
    return classifier, flat.reshape(x.shape), np.zeros(len(x), int)


class Threshold(nn.Module):
    """Class 1 where the mean of the image exceeds `at`; scores differ by `scale` x the excess."""

    def __init__(self, at, scale=10.0):
        super().__init__()
        self.at, self.scale = at, scale

    def forward(self, x):
        excess = self.scale * (x.flatten(1).mean(dim=1) - self.at)
        return torch.stack([torch.zeros_like(excess), excess], dim=1)


@pytest.fixture(scope="session")
def thresholded():
    """Make a defended classifier that says 1 where the mean exceeds `at`."""

    def make(codebook, shape, at, *, scale=10.0, **options):
        return build_classifier(
            Threshold(at, scale),
            input_shape=shape,
            nb_classes=2,
            defences=[PixelDiscretization(codebook)],
            **options,
        )

    return make


def perturbed(x, eps, upper, rng, amount=300):
    """Images (m, ...) within float32's idea of eps of one image, extremes and ties first."""
    size, step = x.size, np.float32(eps)
    flat = x.reshape(-1).astype(np.float32)
    if size <= 5:
        signs = np.array(list(itertools.product((-1, 0, 1), repeat=size)), dtype=np.float32)
    else:
        signs = rng.integers(-1, 2, (amount, size)).astype(np.float32)
    extremes = flat + step * signs
    inside = flat + step * rng.uniform(-1, 1, (amount, size)).astype(np.float32)
    levels = np.rint(255 / upper * inside.astype(np.float64)) * upper / 255
    halves = (np.floor(255 / upper * inside.astype(np.float64)) + 0.5) * upper / 255
    rows = np.concatenate([extremes, inside, levels, halves]).astype(np.float32)
    rows = np.clip(rows, 0, np.float32(upper))
    change = np.abs(rows.astype(np.float64) - flat).max(axis=1)
    return rows[change <= eps + 1e-6 * upper].reshape(-1, *x.shape)


@pytest.fixture(scope="session")
def classes_of():
    """Classes of many small images: ART's own module, without its loader that takes row by row."""

    def classify(classifier, rows):
        with torch.no_grad():
            scores = classifier.model(torch.from_numpy(rows)).numpy()
        assert np.allclose(scores[:9], classifier.predict(rows[:9]), rtol=1e-5, atol=1e-5)
        return scores.argmax(axis=1)

    return classify


@pytest.fixture(scope="session")
def broken_by_search(classes_of):
    """For each image whether any perturbation tried changes its class."""

    def search(classifier, x, labels, eps, seed=0):
        rng = np.random.default_rng(seed)
        upper = float(classifier.clip_values[1].max())
        tried = [perturbed(image, eps, upper, rng) for image in x]
        owner = np.repeat(np.arange(len(x)), [len(rows) for rows in tried])
        wrong = classes_of(classifier, np.concatenate(tried)) != np.asarray(labels)[owner]
        return np.bincount(owner, weights=wrong, minlength=len(x)) > 0

    return search


@pytest.fixture(scope="session")
def assert_witnesses():
    """Check that witnesses are within the budget and misclassified, exactly where falsified."""

    def check(certificate, classifier, x, labels, eps):
        falsified = [i for i, v in enumerate(certificate.verdicts) if v == "falsified"]
        assert sorted(certificate.witnesses) == falsified
        upper = float(classifier.clip_values[1].max())
        for i, witness in certificate.witnesses.items():
            assert witness.dtype == np.float32
            assert witness.shape == x[i].shape
            assert np.abs(witness.astype(np.float64) - x[i]).max() <= eps + 1e-6 * upper
            assert witness.min() >= 0
            assert witness.max() <= upper
            assert classifier.predict(witness[None])[0].argmax() != labels[i]

    return check
