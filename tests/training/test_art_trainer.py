"""ART's own trainers on a built classifier: unchanged, with the defence in the loop."""

import copy
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.trainer import (
    AdversarialTrainer,
    AdversarialTrainerAWPPyTorch,
    AdversarialTrainerFBFPyTorch,
    AdversarialTrainerMadryPGD,
    AdversarialTrainerTRADESPyTorch,
)
from torch import nn

import art_disc as ad
from art_disc.networks import MadryMnistNet, weights_hash

# where two codes bite, a budget of 0.15 changes little
EPS = {"none": 0.15, "density": 0.3, "depth": 0.15, "noise": 0.15}


@contextmanager
def seeded(seed=0):
    """ART shuffles and draws from the global streams; they come back as they were."""
    state = np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)


def made(defence):
    if defence == "density":
        return [ad.PixelDiscretization(ad.DensityCodebook(n_codes=2, radius=0.6))]
    if defence == "depth":
        return [ad.ColorDepthReduction(n_codes=4)]
    if defence == "noise":
        return [ad.GaussianNoise(sigma=0.1)]
    return []


def built(network, data, defence, rule=torch.optim.Adam, rate=2e-3, **options):
    """A classifier with an optimiser, over a copy of the network."""
    net = copy.deepcopy(network)
    optimizer = rule(net.parameters(), lr=rate)
    defences = made(defence) if isinstance(defence, str) else defence
    # two draws: enough for a test
    options = {"eot_samples": 2, "vote_samples": 4, **options}
    return ad.build_classifier(net, data=data, defences=defences, optimizer=optimizer, **options)


def pgd(classifier, eps, steps=3):
    return ProjectedGradientDescent(
        classifier, eps=eps, eps_step=eps / 2, max_iter=steps, verbose=False
    )


def adversarial(classifier, x, y, eps, epochs):
    trainer = AdversarialTrainer(classifier, pgd(classifier, eps), ratio=1.0)
    trainer.fit(x, y, batch_size=128, nb_epochs=epochs)


def madry(classifier, x, y, eps, epochs):
    trainer = AdversarialTrainerMadryPGD(
        classifier, batch_size=128, eps=eps, eps_step=eps / 2, max_iter=3
    )
    trainer.fit(x, y, nb_epochs=epochs)


def trades(classifier, x, y, eps, epochs):
    trainer = AdversarialTrainerTRADESPyTorch(classifier, pgd(classifier, eps), beta=1.0)
    trainer.fit(x, y, batch_size=128, nb_epochs=epochs)


def awp(classifier, x, y, eps, epochs):
    # a deep copy brings its own weights and an optimiser of them
    trainer = AdversarialTrainerAWPPyTorch(
        classifier, copy.deepcopy(classifier), pgd(classifier, eps), "PGD", 0.005, 6.0, 0
    )
    trainer.fit(x, y, batch_size=128, nb_epochs=epochs)


def fast(classifier, x, y, eps, epochs):
    # it sets the learning rate itself, for plain gradient descent
    classifier.set_params(
        optimizer=torch.optim.SGD(classifier.model.parameters(), lr=0.1, momentum=0.9)
    )
    trainer = AdversarialTrainerFBFPyTorch(classifier, eps=eps)
    trainer.fit(x, np.eye(10, dtype=np.float32)[y], batch_size=128, nb_epochs=epochs)


def natural(classifier, x, y, eps, epochs):
    classifier.fit(x, y, batch_size=128, nb_epochs=epochs)


def accuracies(classifier, data, eps):
    """Clean and under 10 steps of PGD through the defence."""
    x, onehot = data.x_test, np.eye(10, dtype=np.float32)[data.y_test]
    attack = ProjectedGradientDescent(
        classifier, eps=eps, eps_step=eps / 5, max_iter=10, verbose=False
    )
    with seeded():
        return [
            float((classifier.predict(images).argmax(axis=1) == data.y_test).mean())
            for images in (x, attack.generate(x, onehot))
        ]


@pytest.fixture(scope="module")
def few(digits):
    return digits.subset(n_train=600, n_test=240, stratified=True)


@pytest.fixture(scope="module")
def arm(few, digits_net):
    """Train from the same natural network; each arm once."""
    arms = {}

    def run(method, defence, epochs):
        key = method.__name__, defence, epochs
        if key not in arms:
            classifier = built(digits_net, few, defence)
            with seeded():
                method(classifier, few.x_train, few.y_train, EPS[defence], epochs)
            arms[key] = accuracies(classifier, few, EPS[defence])
        return arms[key]

    return run


@pytest.mark.parametrize(
    ("trainer", "defence", "epochs"),
    [
        (adversarial, "none", 4),
        (adversarial, "density", 4),
        (adversarial, "depth", 4),
        (adversarial, "noise", 3),
        (madry, "density", 4),
        (trades, "depth", 4),
        (awp, "density", 4),
        (fast, "none", 4),
        (fast, "depth", 4),
    ],
)
def test_accuracy_under_attack_rises_above_that_of_natural_training(arm, trainer, defence, epochs):
    """Both go on from the same natural network, for as many epochs through the same defence."""
    _, plain = arm(natural, defence, epochs)
    clean, hardened = arm(trainer, defence, epochs)
    assert hardened > plain + 0.06
    assert clean > 0.85


class Watched(nn.Module):
    """A network that keeps what it is shown while its weights learn."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen = network, []

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return self.network(x)


def test_the_network_learns_from_discretised_adversarial_images_alone(digits, digits_net):
    few = digits.subset(n_train=128, n_test=10)
    classifier = built(Watched(copy.deepcopy(digits_net)), few, "density")
    levels = np.unique(classifier.defences[0].codebook.codewords_)
    before = weights_hash(classifier.base_network)
    with seeded():
        adversarial(classifier, few.x_train, few.y_train, 0.3, 1)
    (seen,) = classifier.base_network.seen
    assert weights_hash(classifier.base_network) != before
    assert np.array_equal(np.unique(seen.numpy()), levels)
    # every one of them is far from every clean image
    clean = classifier.defences[0](few.x_train)[0]
    assert len(seen) == len(clean)
    apart = np.abs(seen.numpy()[:, None] - clean[None]).sum(axis=(2, 3, 4)).min(axis=1)
    assert (apart > 0).mean() > 0.95


def fitted(network, data, defence, x=None, **options):
    """Weights after two epochs of ART's own fit."""
    # Adam steps by the sign where a gradient is all but 0, so that rounding decides a whole step
    classifier = built(network, data, defence, torch.optim.SGD, 0.05, **options)
    with seeded():
        classifier.fit(data.x_train if x is None else x, data.y_train, nb_epochs=2, batch_size=32)
    return classifier, dict(classifier.base_network.state_dict())


def same(first, second):
    return all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_fit_is_training_on_discretised_images_wherever_the_defence_is(digits, digits_net):
    few = digits.subset(n_train=128, n_test=10)
    inside, weights = fitted(digits_net, few, "density")
    book = inside.defences[0].codebook
    applied = ad.PixelDiscretization(book, apply_fit=True)
    _, listed = fitted(digits_net, few, [applied], placement="preprocessor")
    _, outright = fitted(digits_net, few, "none", x=inside.defences[0](few.x_train)[0])
    _, raw = fitted(digits_net, few, "none")
    assert same(weights, listed)
    assert same(weights, outright)
    assert not same(weights, raw)
    # the one way to train on raw images and to defend afterwards
    defence = ad.PixelDiscretization(book)
    late, spared = fitted(digits_net, few, [defence], placement="preprocessor")
    assert same(spared, raw)
    x = few.x_test
    assert np.array_equal(late.predict(x), late.base.predict(defence(x)[0]))


class Layers(nn.Module):
    """Layers whose mode decides what they return."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(64), nn.Dropout(0.5)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.drop(self.norm(x.flatten(1))))


def fresh():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Layers()


@pytest.mark.parametrize("method", [natural, adversarial, trades])
def test_afterwards_predictions_are_those_of_the_network_in_eval_mode(digits, method):
    few = digits.subset(n_train=256, n_test=40)
    classifier = built(fresh(), few, "density")
    with seeded():
        method(classifier, few.x_train, few.y_train, 0.2, 1)
    assert not any(module.training for module in classifier.model.modules())
    assert classifier.base_network.norm.running_mean.any()
    net = copy.deepcopy(classifier.base_network).eval()
    x = torch.tensor(classifier.defences[0](few.x_test)[0])
    assert np.allclose(classifier.predict(few.x_test), net(x).detach().numpy(), atol=1e-5)
    # nor do attacks meet dropout or change the statistics
    state = weights_hash(classifier.base_network)
    attack = pgd(classifier, 0.2)
    onehot = np.eye(10, dtype=np.float32)[few.y_test]
    assert np.array_equal(*(attack_again(attack, few.x_test, onehot) for _ in range(2)))
    assert weights_hash(classifier.base_network) == state


def attack_again(attack, x, y):
    with seeded():
        return attack.generate(x, y)


def test_two_limits_of_arts_trainers_that_the_docs_tell(digits, digits_net):
    """Should ART change either, the docs want a word less."""
    few = digits.subset(n_train=64, n_test=10)
    # its fast trainer learns in eval mode: batch statistics stay where they were
    classifier = built(fresh(), few, "density")
    with seeded():
        fast(classifier, few.x_train, few.y_train, 0.2, 2)
    assert not classifier.base_network.norm.running_mean.any()
    assert classifier.base_network.norm.num_batches_tracked == 0
    # an attack on another object, a surrogate's classifier too, is made once, before any step
    classifier = built(digits_net, few, "density")
    for source, made_for in ((classifier, 3), (classifier.with_surrogate("identity"), 1)):
        attack, calls = pgd(source, 0.2, steps=1), []
        generate = attack.generate
        attack.generate = lambda x, g=generate, c=calls, **named: c.append(len(x)) or g(x, **named)
        with seeded():
            AdversarialTrainer(classifier, attack, ratio=1.0).fit(
                few.x_train, few.y_train, batch_size=64, nb_epochs=3
            )
        assert len(calls) == made_for


def test_the_python_of_the_page_runs_and_its_counts_hold(tmp_path, monkeypatch):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path))
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    names = {}
    with seeded():
        for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(compile(code, "training.md", "exec"), names)  # noqa: S102 - our own text
    x, y = names["data"].x_test, names["data"].y_test
    assert (names["classifier"].predict(x).argmax(axis=1) == y).mean() > 0.7
    assert not names["classifier"].model.training
    count = sum(p.numel() for p in MadryMnistNet().parameters())
    assert f"{count:,}" in page
