"""Masked pixels do not move, and own attacks look among images with the others moved alone."""

import numpy as np
import pytest
import torch

from art_disc import LogitSpacePGA, SignAdamBPDA, Thermometer, build_classifier
from art_disc.attacks.original_autoattack import OriginalAutoAttack
from art_disc.attacks.random_search import RandomSearch
from art_disc.core.errors import InputError

EPS = 0.1
# the left half may move
FREE = np.array([[1, 1, 0, 0]] * 4, dtype=np.float32)


def worth(first, n_levels=1):
    """A network whose scores are +-(sum of w * (x - .5) + 2 eps): of masked pixels w is -10."""
    weights = np.where(FREE > 0, -1.0, -10.0)
    # in codes of levels a step down lowers the score as much
    weights = np.repeat(weights[None], n_levels, axis=0) / n_levels
    weights = weights if first else np.moveaxis(weights, 0, -1)
    linear = torch.nn.Linear(weights.size, 2)
    half = weights.sum() / 2 - 2 * EPS
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(np.stack([weights.ravel(), -weights.ravel()])))
        linear.bias.copy_(torch.tensor([-half, half]))
    return torch.nn.Sequential(torch.nn.Flatten(), linear)


def built(first, n_levels=1):
    shape = (1, 4, 4) if first else (4, 4, 1)
    defences = [Thermometer(n_levels)] if n_levels > 1 else []
    options = {"input_shape": shape, "nb_classes": 2, "channels_first": first}
    return build_classifier(worth(first, n_levels), defences=defences, **options)


def grey(first, n=12):
    return np.full((n, 1, 4, 4) if first else (n, 4, 4, 1), 0.5, dtype=np.float32)


def masks(first, n=12):
    own = FREE[None] if first else FREE[..., None]
    each = np.repeat(own[None], n, axis=0)
    return [own, own != 0, each] + ([FREE, FREE[:1]] if first else [])


@pytest.mark.parametrize("first", [True, False], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_random_search_finds_what_the_free_pixels_alone_can_do(first, norm):
    classifier, x = built(first), grey(first)
    eps = EPS if norm == np.inf else EPS * np.sqrt(8)
    for mask in masks(first):
        found = RandomSearch(classifier, eps, norm, 400, seed=0).generate(x, mask=mask)
        moved = found != x
        assert not moved[np.broadcast_to(mask == 0, x.shape)].any()
        size = np.linalg.norm((found - x).reshape(len(x), -1).astype(float), norm, axis=1)
        assert size.max() <= eps + 1e-6
        # in l2 the directions are of the free pixels, on the sphere
        assert norm == np.inf or size.min() >= eps - 1e-6
        # a search over all pixels finds images that the masked half alone made wrong
        assert (classifier.predict(found).argmax(1) != 0).all()


@pytest.mark.parametrize("first", [True, False], ids=["NCHW", "NHWC"])
def test_sign_adam_moves_the_free_pixels_by_the_whole_budget(first):
    classifier, x = built(first), grey(first)
    for mask in masks(first):
        attack = SignAdamBPDA(classifier, EPS, EPS / 4, 20, batch_size=5, verbose=False)
        change = attack.generate(x, mask=mask) - x
        free = np.broadcast_to(mask != 0, x.shape)
        assert change[free] == pytest.approx(EPS, abs=1e-6)
        assert not change[~free].any()
        # part of them free in some images alone
        other = free & (np.arange(len(x)) % 2 == 0).reshape(-1, 1, 1, 1)
        assert np.array_equal(attack.generate(x, mask=other) != x, other)


@pytest.mark.parametrize("first", [True, False], ids=["NCHW", "NHWC"])
def test_levels_of_masked_pixels_stay_to_the_last_bit(first):
    classifier = built(first, n_levels=16)
    x = np.random.default_rng(0).uniform(0.3, 0.7, grey(first).shape).astype(np.float32)
    for mask in masks(first):
        found = LogitSpacePGA(classifier, EPS, batch_size=5, verbose=False).generate(x, mask=mask)
        free = np.broadcast_to(mask != 0, x.shape)
        assert np.array_equal(found[~free], x[~free])
        assert (found != x)[free].mean() > 0.5
        assert np.abs(found - x).max() <= EPS + 1e-6


def test_a_mask_of_nothing_and_none_at_all():
    classifier, x = built(first=True), grey(first=True)
    attack = SignAdamBPDA(classifier, EPS, EPS / 4, 5, verbose=False)
    everywhere = attack.generate(x)
    assert np.array_equal(attack.generate(x, mask=np.ones((4, 4))), everywhere)
    assert np.array_equal(attack.generate(x, mask=None), everywhere)
    for norm in (np.inf, 2):
        nothing = RandomSearch(classifier, EPS, norm, 5).generate(x, mask=np.zeros((4, 4)))
        assert np.array_equal(nothing, x)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((5, 4)), r"broadcastable to the images' shape \(12, 1, 4, 4\), got \(5, 4\)"),
        (np.ones((1, 12, 1, 4, 4)), "broadcastable"),
        (np.ones((3, 1, 4, 4)), "broadcastable"),
        (np.full((4, 4), -1.0), "mask must be bool, or 0 where"),
        (np.full((4, 4), np.nan), "mask must be bool, or 0 where"),
        (np.full((4, 4), "yes"), "mask must be bool, or 0 where"),
    ],
)
def test_what_is_no_mask_is_refused(mask, words):
    attack = SignAdamBPDA(built(first=True), EPS, verbose=False)
    with pytest.raises(InputError, match=words):
        attack.generate(grey(first=True), mask=mask)


def test_an_argument_that_nobody_reads_is_refused():
    attack = RandomSearch(built(first=True), EPS)
    with pytest.raises(InputError, match="takes x, y and mask, got masks too"):
        attack.generate(grey(first=True), masks=FREE)


def test_an_attack_that_cannot_keep_a_mask_says_so():
    attack = OriginalAutoAttack(built(first=True), eps=EPS)
    with pytest.raises(InputError, match="knows no mask"):
        attack.generate(grey(first=True), mask=FREE)
