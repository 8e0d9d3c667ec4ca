"""Words to networks and classifiers: commands and plans that say the same get the same."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import art_disc
from art_disc.cli.main import make_parser
from art_disc.cli.setup import network_words
from art_disc.core.errors import InputError
from art_disc.evaluation.sweep.words import parse_training
from art_disc.networks import DigitsNet, save_weights, weights_hash
from art_disc.training import train
from art_disc.training.words import (
    NetworkWords,
    fitted_defences,
    load_part,
    make_classifier,
    make_network,
    make_reference,
    usable_device,
)

QUIET = NetworkWords(epochs=1, verbose=False)


@pytest.fixture
def small(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    return digits.subset(n_train=96, n_test=20, stratified=True)


def expected(words, data):
    options = {"seed": words.seed, "adversary": words.adversary, "epochs": words.epochs}
    return train(initial(words.seed), data, verbose=False, **options).weights


def initial(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitsNet()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--epochs", "2"], "natural:epochs=2"),
        (["--epochs", "2", "--seed", "3"], "natural:epochs=2,seed=3"),
        (
            ["--epochs", "1", "--training", "pgd", "--train-eps", "8/255"],
            "pgd:eps=8/255,epochs=1",
        ),
        (
            ["--epochs", "1", "--training", "single_step", "--train-eps", "0.1"],
            "single_step:eps=0.1,epochs=1",
        ),
    ],
)
def test_a_command_and_a_plan_that_say_the_same_mean_the_same_network(small, options, text):
    said = network_words(make_parser().parse_args(["evaluate", *options, "--quiet"]), small)
    planned = replace(parse_training(text), verbose=False)
    assert replace(planned, name="") == said
    network, line = make_network(said, small)
    again, other = make_network(planned, small)
    assert weights_hash(network) == weights_hash(again)
    # the plan calls its training by its own words
    assert other.startswith(text)
    assert weights_hash(network) == expected(said, small)
    assert line.partition(", ")[2].rpartition("epochs")[2] == other.rpartition("epochs")[2]


def test_only_one_module_makes_the_usual_network():
    package = Path(art_disc.__file__).parent
    calls = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "default_network"
    }
    assert calls == {"training/words.py"}


def test_the_line_of_a_file_says_how_its_network_was_trained(small, tmp_path):
    network = initial(0)
    save_weights(network, tmp_path / "bare.npz")
    save_weights(network, tmp_path / "told.npz", header={"line": "pgd:eps=0.1, 3 epochs"})
    lines = {}
    for name in ("bare", "told"):
        words = replace(QUIET, weights=tmp_path / f"{name}.npz")
        made, lines[name] = make_network(words, small)
        assert weights_hash(made) == weights_hash(network)
        assert not made.training
    assert lines == {"bare": "weights from bare.npz", "told": "pgd:eps=0.1, 3 epochs"}


def test_behind_an_encoder_the_network_takes_codes(small):
    defences = fitted_defences("thermometer:n_levels=4", small)
    classifier, line = make_classifier(QUIET, small, defences)
    assert classifier.predict(small.x_test).shape == (20, 10)
    assert f"through {defences[0].describe()}" in line


def test_a_reference_goes_on_from_the_network_and_is_another(small):
    classifier, _ = make_classifier(QUIET, small, fitted_defences(None, small))
    reference = make_reference(classifier, small, eps=0.1, verbose=False)
    assert weights_hash(reference) != weights_hash(classifier.base_network)
    assert not reference.training


def test_a_part_has_the_images_asked_for():
    assert len(load_part("digits", n_ex=7).x_test) == 7
    first, drawn = (load_part("digits", n_ex=30, stratified=s, seed=1) for s in (False, True))
    assert first.test_ids.tolist() == list(range(30))
    assert drawn.test_ids.tolist() != list(range(30))


def test_what_does_not_fit_is_refused(small):
    bare = replace(small, x_train=small.x_train[:0], y_train=small.y_train[:0])
    for words, text in (
        (replace(QUIET, retrain=1), "retrain needs a defence"),
        (replace(QUIET, device="abacus"), "device abacus cannot be used"),
    ):
        with pytest.raises(InputError, match=text):
            make_classifier(words, small, [])
    with pytest.raises(InputError, match="no training images to train the built-in network on"):
        make_network(QUIET, bare)
    with pytest.raises(InputError, match=r"'density:n_codes=2.*no training images for Pix"):
        fitted_defences(None, bare)
    assert usable_device("cpu") == torch.device("cpu")
