"""Latent weights stay within their bounds, whoever takes the steps."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.networks import clamp_latent_, fcn2, load_weights, weights_hash
from art_disc.networks.latent import binarised_layers
from art_disc.training import checkpoint, loop, train, trained

FAST = {"epochs": 2, "learning_rate": 0.5, "verbose": False}

LONG = {"epochs": 3, "learning_rate": 0.01, "verbose": False}


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=192, n_test=60, stratified=True)


def make(word="bnn", **options):
    return fcn2((1, 8, 8), 10, widths=(24, 24), binarization=word, **options)


def fresh(word="bnn"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(word)


def largest(net):
    layers = [one for one in binarised_layers(net) if one.binarization.weights != "real"]
    return max(float(layer.weight.detach().abs().max()) for layer in layers)


class Watch(nn.Module):
    """Looks at the latent weights wherever the loop asks for logits."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.seen = inner, []

    def forward(self, x):
        self.seen.append(largest(self.inner))
        return self.inner(x)


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.5), ("sgd", 20.0)])
@pytest.mark.parametrize("word", ["bnn", "xnor"])
def test_latent_weights_are_clamped_after_every_step(small, word, optimizer, rate):
    net = Watch(fresh(word))
    train(net, small, optimizer=optimizer, **{**FAST, "learning_rate": rate})
    # steps of this rate leave them otherwise
    assert max(net.seen) == largest(net) == 1
    assert len(net.seen) > 8


def test_without_the_clamp_they_leave(small, monkeypatch):
    monkeypatch.setattr("art_disc.training.recipe.clamp_after_steps", lambda *_: None)
    net = Watch(fresh())
    train(net, small, **FAST)
    assert largest(net) > 1


class StoppedError(Exception):
    pass


def test_a_stopped_training_ends_with_the_same_latent_weights(small, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    whole = fresh()
    train(whole, small, **LONG)
    file, halves = tmp_path / "part.npz", fresh()

    def stop(epoch, _):
        if epoch == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(halves, small, checkpoint=file, on_epoch=stop, **LONG)
    assert checkpoint.facts_of(file) is not None
    with np.load(file) as kept:
        latent = kept["model/layers.3.weight"]
    # real numbers, not their signs
    assert np.abs(latent).max() <= 1
    assert len(np.unique(latent)) > 100
    again = fresh()
    train(again, small, checkpoint=file, **LONG)
    assert weights_hash(again) == weights_hash(whole)


def test_the_cache_keeps_latent_weights_and_tells_binarisations_apart(small, tmp_path):
    options = {"cache": tmp_path, **FAST}
    net, result = trained(make, small, **options)
    kept, again = trained(make, small, **options)
    assert again.cached
    assert not result.cached
    assert weights_hash(kept) == weights_hash(net)
    before = weights_hash(kept)
    clamp_latent_(kept)
    assert weights_hash(kept) == before
    (file,) = tmp_path.glob("*.npz")
    assert load_weights(fresh(), file)["training"]["weights"] == result.weights
    # the same initial weights, another sign of 0
    assert not trained(partial(make, "paper"), small, **options)[1].cached


def test_the_digits_are_learned_by_signs(digits, tmp_path):
    net, result = trained(
        partial(fcn2, (1, 8, 8), widths=(256, 256)), digits, epochs=8, learning_rate=1e-2,
        cache=tmp_path, verbose=False,
    )  # fmt: skip
    assert result.accuracy >= 0.9
    assert largest(net) <= 1
