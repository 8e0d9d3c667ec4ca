from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.networks import DigitsNet, weights_hash
from art_disc.training import cache, cache_dir, train, trained

FAST = {"epochs": 1, "verbose": False}


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=192, n_test=60, stratified=True)


def fresh(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitsNet()


def test_the_digits_are_learned(digits, digits_training):
    model, result = digits_training
    logits = model(torch.from_numpy(digits.x_test))
    accuracy = np.mean(logits.argmax(dim=1).numpy() == digits.y_test)
    assert result.accuracy == accuracy >= 0.95
    assert not result.cached
    assert result.weights == weights_hash(model)
    assert not model.training


def test_the_same_seed_gives_the_same_weights_and_another_does_not(small):
    results = [train(fresh(), small, seed=seed, **FAST) for seed in (3, 3, 4)]
    assert results[0] == results[1]
    assert results[2].weights != results[0].weights
    assert results[0].weights != weights_hash(fresh())


@pytest.mark.parametrize("setting", [{"learning_rate": 0.01}, {"batch_size": 32}, {"epochs": 2}])
def test_every_setting_takes_effect(small, setting):
    plain = train(fresh(), small, **FAST)
    changed = train(fresh(), small, **{**FAST, **setting})
    assert changed.weights != plain.weights


def test_more_epochs_lower_the_loss(small):
    options = {"learning_rate": 5e-3, "verbose": False}
    losses = [train(fresh(), small, epochs=n, **options).loss for n in (1, 8)]
    assert losses[1] < 0.8 * losses[0]


def streams():
    return torch.rand(4), np.random.random(4)


@pytest.mark.parametrize("which", ["train", "trained"])
def test_the_global_streams_go_on_untouched(small, which, tmp_path):
    def run():
        if which == "train":
            return train(fresh(), small, **FAST)
        return trained(DigitsNet, small, cache=tmp_path, **FAST)

    with torch.random.fork_rng():
        torch.manual_seed(1)
        np.random.seed(1)
        expected = streams()
        torch.manual_seed(1)
        np.random.seed(1)
        run()
        got = streams()
    assert torch.equal(got[0], expected[0])
    assert np.array_equal(got[1], expected[1])


def no_training(*_, **__):
    text = "trained again"
    raise AssertionError(text)


def test_a_second_call_with_the_same_content_does_not_train(small, tmp_path, monkeypatch):
    first, report = trained(DigitsNet, small, cache=tmp_path, **FAST)
    monkeypatch.setattr(cache, "Training", no_training)
    second, again = trained(DigitsNet, small, cache=tmp_path, **FAST)
    assert weights_hash(second) == weights_hash(first)
    assert again == replace(report, cached=True)
    assert not second.training


def wide():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.parametrize("change", ["seed", "epochs", "learning_rate", "data", "network"])
def test_other_content_trains_again(small, tmp_path, monkeypatch, change):
    trained(DigitsNet, small, cache=tmp_path, **FAST)
    monkeypatch.setattr(cache, "Training", no_training)
    x = small.x_train.copy()
    x[0, 0, 0, 0] = 1 - x[0, 0, 0, 0]
    options = {
        "seed": {"seed": 1},
        "epochs": {"epochs": 2},
        "learning_rate": {"learning_rate": 0.1},
    }.get(change, {})
    data = replace(small, x_train=x) if change == "data" else small
    factory = wide if change == "network" else DigitsNet
    with pytest.raises(AssertionError, match="trained again"):
        trained(factory, data, cache=tmp_path, **{**FAST, **options})


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "no report"])
def test_a_damaged_cache_entry_costs_a_training_not_the_run(small, tmp_path, damage):
    _, report = trained(DigitsNet, small, cache=tmp_path, **FAST)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    if damage == "foreign":
        np.savez(file, a=np.zeros(3))
    elif damage == "no report":
        with np.load(file) as arrays:
            kept = {k: arrays[k] for k in arrays.files if k != "art_disc_header"}
        np.savez(file, **kept)
    else:
        file.write_bytes(content[: 0 if damage == "empty" else 500])
    model, again = trained(DigitsNet, small, cache=tmp_path, **FAST)
    assert again == report
    assert weights_hash(model) == report.weights
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    assert trained(DigitsNet, small, cache=tmp_path, **FAST)[1].cached


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path, small):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    trained(DigitsNet, small, **FAST)
    assert len(list((tmp_path / "own").iterdir())) == 1
    monkeypatch.delenv("ART_DISC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "art_disc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "art_disc"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"epochs": 0}, "epochs must be"),
        ({"epochs": 1.5}, "epochs must be"),
        ({"learning_rate": 0}, "learning_rate must be a number > 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"batch_size": 0}, "batch_size must be"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_any_step(small, setting, text):
    model = fresh()
    with pytest.raises(InputError, match=text):
        train(model, small, **{**FAST, **setting})
    assert weights_hash(model) == weights_hash(fresh())


def test_a_data_set_without_training_images_is_refused(digits):
    with pytest.raises(InputError, match="no training images"):
        train(fresh(), digits.subset(n_train=0), **FAST)


def test_the_images_are_not_written_to(small):
    before = small.x_train.copy(), small.x_test.copy()
    train(fresh(), small, **FAST)
    assert np.array_equal(small.x_train, before[0])
    assert np.array_equal(small.x_test, before[1])
