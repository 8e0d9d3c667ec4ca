"""`--training` and `--train-eps` of the commands that train."""

import copy

import numpy as np
import pytest
import torch

from art_disc import ColorDepthReduction
from art_disc.cli import main, setup
from art_disc.cli.main import make_parser
from art_disc.core.errors import InputError
from art_disc.networks import DigitsNet, weights_hash
from art_disc.training import Adversary, cache, trained
from art_disc.training.words import fitted_defences, make_network

FAST = ["--epochs", "1", "--quiet"]


@pytest.fixture
def small(digits):
    return digits.subset(n_train=96, n_test=20, stratified=True)


def network(words, data):
    options = make_parser().parse_args(["evaluate", *FAST, *words])
    return make_network(setup.network_words(options, data), data)


def shallow():
    return DigitsNet()


@pytest.mark.parametrize(
    ("words", "adversary"),
    [
        ([], None),
        (["--training", "natural"], None),
        (["--training", "pgd"], Adversary(0.1)),
        (["--training", "pgd", "--eps", "0.3", "8/255"], Adversary(8 / 255)),
        (["--training", "pgd", "--train-eps", "0.2", "--eps", "0.3"], Adversary(0.2)),
        (["--training", "single_step", "--train-eps", "0.2"], Adversary(0.2, "single_step")),
        (
            ["--training", "single_step", "--norm", "2", "--train-eps", ".1"],
            Adversary(0.1, "single_step"),
        ),
    ],
)
def test_the_words_train_as_they_say(small, tmp_path, monkeypatch, words, adversary):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path))
    net, line = network(words, small)
    options = {"epochs": 1, "adversary": adversary, "verbose": False}
    expected, result = trained(shallow, small, **options)
    assert result.cached
    assert weights_hash(net) == weights_hash(expected)
    kind = "natural" if adversary is None else adversary.describe()
    assert line == f"{kind}, 1 epochs, Adam, seed 0, weights {result.weights}"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--train-eps", "0.1"], "--train-eps needs --training pgd or single_step"),
        (
            ["--training", "pgd", "--norm", "2", "--eps", "1.5"],
            "needs --train-eps, an l_inf budget",
        ),
        (["--training", "pgd", "--train-eps", "8"], "8/255"),
        (["--training", "pgd", "--model", "own:net"], "is for the built-in network"),
        (["--training", "pgd", "--weights", "own.npz"], "is for the built-in network"),
    ],
)
def test_words_that_do_not_fit_are_refused_before_any_work(small, monkeypatch, words, text):
    monkeypatch.setattr(cache, "Training", None)
    with pytest.raises(InputError, match=text):
        network(words, small)


def test_a_network_is_trained_on_behind_its_defence(small, tmp_path, monkeypatch):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path))
    words = ["evaluate", *FAST, "--defence", "colordepth:n_codes=2", "--retrain", "2"]
    classifier, line = setup.make_classifier(make_parser().parse_args(words), small)
    base, _ = network([], small)
    again, _ = trained(
        lambda: copy.deepcopy(base),
        small,
        epochs=2,
        learning_rate=3e-4,
        defences=[ColorDepthReduction(2)],
        verbose=False,
    )
    assert weights_hash(classifier.base_network) == weights_hash(again) != weights_hash(base)
    assert "trained on behind the defence for 2 epochs" in line
    bare = ["none" if word.startswith("colordepth") else word for word in words]
    with pytest.raises(InputError, match="needs a defence"):
        setup.make_classifier(make_parser().parse_args(bare), small)


def test_unknown_training_is_refused(capsys):
    assert main(["evaluate", "--training", "fgsm"]) == 2
    assert "invalid choice: 'fgsm'" in capsys.readouterr().err


def test_noise_is_a_defence_of_the_command_line(small):
    options = make_parser().parse_args(["evaluate", "--defence", "noise:sigma=0.2"])
    (noise,) = fitted_defences(options.defence, small)
    x = torch.tensor(small.x_test)
    added = (noise.map(x) - x).numpy()
    assert 0.15 < np.std(added) < 0.25
