"""`art-disc train`: what it trains is what Python trains, and the file is what commands take."""

from dataclasses import replace

import numpy as np
import pytest

from art_disc.cli import main
from art_disc.core.errors import InputError
from art_disc.data import load_dataset
from art_disc.networks import CertifiedNet, load_weights, named_network, weights_hash
from art_disc.training import certified_preset, trained, watched
from art_disc.training.words import fitted_defences, usual_defence


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_certified_training_is_the_presets_and_certify_takes_its_file(cached, capsys):
    file = cached / "new" / "net.npz"
    words = ["--objective", "certified", "--eps", "0.1", "--epochs", "2", "--held-out", "100"]
    network = ["--network", "certified:small"]
    assert main(["train", *words, *network, "--out", str(file)]) == 0
    printed = capsys.readouterr()
    looks = [line for line in printed.err.splitlines() if "by interval bounds at eps 0.1" in line]
    assert len(looks) == 2
    digits = load_dataset("digits")
    inner = digits.held_out(100)
    # other commands fit it to all training images too
    (defence,) = fitted_defences(usual_defence(digits), digits)
    preset = replace(certified_preset(0.1), network={"size": "small"})
    seen = []
    net, result = preset.trained(
        inner, defence, epochs=2, verbose=False, on_epoch=watched(inner, 0.1, seen.append)
    )
    assert result.cached
    assert not seen
    assert result.weights in printed.out
    loaded = CertifiedNet((1, 8, 8), 10, size="small")
    assert load_weights(loaded, file)["network"] == "certified:small"
    assert weights_hash(loaded) == weights_hash(net)
    certify = ["--weights", str(file), "--eps", "0.02", "--n-ex", "9", "--method", "bounds"]
    assert main(["certify", *network, *certify, "--quiet"]) == 0
    assert "0.02" in capsys.readouterr().out


def test_looks_are_at_held_out_images_after_every_epoch(digits, cached):
    inner = digits.held_out(60)
    preset = replace(certified_preset(0.1), network={"size": "small"})
    (defence,) = fitted_defences(usual_defence(digits), inner)
    seen = []

    def tell(*row):
        seen.append(row)

    options = {"epochs": 2, "verbose": False, "on_epoch": watched(inner, 0.01, tell)}
    net, result = preset.trained(inner, defence, cache=cached, **options)
    assert [epoch for epoch, *_ in seen] == [1, 2]
    # population statistics come after the last look
    assert all(1 / 60 <= clean <= 1 and 0 <= ibp <= clean for _, clean, ibp in seen)
    assert not result.cached
    assert next(net.parameters()).isfinite().all()


def test_a_natural_training_is_that_of_other_commands(cached, capsys):
    file = cached / "net.npz"
    assert main(["train", "--epochs", "1", "--out", str(file), "--quiet"]) == 0
    assert f"use them by --weights {file}" in capsys.readouterr().out
    digits = load_dataset("digits")
    make = lambda: named_network("default")(digits.input_shape, 10)  # noqa: E731 - a factory
    net, result = trained(make, digits, epochs=1, verbose=False)
    assert result.cached
    loaded = make()
    load_weights(loaded, file)
    assert weights_hash(loaded) == weights_hash(net)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--objective", "pgd"], "needs --eps, the budget of its adversary"),
        (["--eps", "0.1"], "--eps is of --objective pgd"),
        (["--held-out", "9"], "--held-out is of --objective certified"),
        (["--objective", "certified"], "needs --eps, the budget that is to be certified"),
        (
            ["--objective", "certified", "--eps", "0.25"],
            "presets for eps 2/255, 0.1, 0.2, 0.3, got 0.25",
        ),
        (
            ["--objective", "certified", "--eps", "0.1", "--network", "fcn2"],
            "network must be certified:small or certified:medium, got 'fcn2'",
        ),
        (
            ["--objective", "certified", "--eps", "0.1", "--network", "certified:large"],
            "the network's size must be one of small, medium",
        ),
        (
            ["--objective", "certified", "--eps", "0.1", "--defence", "density + bitdepth"],
            "needs one codebook as --defence, got 2 defences",
        ),
        (["--objective", "certified", "--eps", "0.1", "--retrain", "2"], "--retrain is of the"),
        (["--objective", "certified", "--eps", "0.1", "--held-out", "9999"], "--held-out must be"),
    ],
)
def test_words_that_do_not_fit_are_refused_before_anything_is_trained(cached, capsys, words, told):
    assert main(["train", *words, "--out", str(cached / "net.npz")]) == 2
    assert told in capsys.readouterr().err
    assert not list(cached.rglob("*.npz"))


def test_the_name_of_the_file_is_looked_at_first(capsys):
    assert main(["train", "--out", "weights.pt"]) == 2
    assert "must be the name of an npz file, got weights.pt" in capsys.readouterr().err


def test_held_out_images_are_training_images_of_all_classes(digits):
    made = digits.held_out(100, seed=3)
    rest = np.setdiff1d(np.arange(len(digits.y_train)), made.test_ids)
    assert np.array_equal(made.x_test, digits.x_train[made.test_ids])
    assert np.array_equal(made.y_test, digits.y_train[made.test_ids])
    assert np.array_equal(made.x_train, digits.x_train[rest])
    assert np.array_equal(made.y_train, digits.y_train[rest])
    share = np.bincount(made.y_test) / 100 - np.bincount(digits.y_train) / len(digits.y_train)
    assert np.abs(share).max() < 0.01
    assert not np.array_equal(made.test_ids, digits.held_out(100).test_ids)
    with pytest.raises(InputError, match="has no training images to hold some out of"):
        digits.subset(n_train=0).held_out(1)
