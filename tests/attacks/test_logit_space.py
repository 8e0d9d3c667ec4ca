"""LS-PGA on linear scores of codes, where the best codes are known."""

import numpy as np
import pytest
import torch

from art_disc import ColorDepthReduction, LogitSpacePGA, Thermometer, build_classifier
from art_disc.core.errors import InputError
from art_disc.core.seeds import global_seeds

LEVELS = 8


def level(x):
    return np.clip(np.ceil(x.astype(np.float64) * LEVELS - 1e-9) - 1, 0, LEVELS - 1).astype(int)


def toy(encoding, upper=1.0, seed=0):
    """Return a linear classifier of codes, images and what a level of each pixel is worth."""
    rng = np.random.default_rng(seed)
    worth = np.cumsum(rng.uniform(0.2, 1, (LEVELS, 4, 4)), axis=0) * rng.choice([-1, 1], (4, 4))
    steps = np.diff(worth, axis=0, prepend=0)
    weights = torch.tensor((worth if encoding == "one_hot" else steps).ravel())
    linear = torch.nn.Linear(len(weights), 2)
    with torch.no_grad():
        linear.weight.copy_(torch.stack([-weights, weights]) / 2)
        linear.bias.zero_()
    x = rng.uniform(0, 1, (30, 1, 4, 4)).astype(np.float32)
    classifier = build_classifier(
        torch.nn.Sequential(torch.nn.Flatten(), linear),
        input_shape=(1, 4, 4),
        nb_classes=2,
        clip_values=(0, upper),
        defences=[Thermometer(LEVELS, encoding)],
    )
    return classifier, x, worth


def score(worth, x):
    rows, cols = np.indices((4, 4))
    return worth[level(x)[:, 0], rows, cols].sum(axis=(1, 2))


def extreme(worth, x, eps, sign):
    """Highest (1) or lowest (-1) score of codes within `eps`, by enumeration."""
    low, high = level(np.clip(x - eps, 0, 1)), level(np.clip(x + eps, 0, 1))
    index = np.arange(LEVELS)
    inside = (index >= low[..., None]) & (index <= high[..., None])
    value = sign * np.moveaxis(worth, 0, -1)[None, None]
    return sign * np.where(inside, value, -np.inf).max(axis=-1).sum(axis=(1, 2, 3))


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("encoding", ["thermometer", "one_hot"])
def test_it_goes_most_of_the_way_to_the_worst_codes(encoding, upper, targeted):
    classifier, x, worth = toy(encoding, upper)
    eps = 0.15
    images = x * np.float32(upper)
    before = images.copy()
    # class 1 is the class of high scores: away from it, or towards it
    labels = np.ones(len(x), dtype=np.int64)
    attack = LogitSpacePGA(classifier, eps * upper, max_iter=30, targeted=targeted, verbose=False)
    with global_seeds(0):
        found = attack.generate(images, labels) / np.float32(upper)
    assert np.array_equal(images, before)
    assert found.dtype == np.float32
    assert np.abs(found - x).max() <= eps + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    sign = 1 if targeted else -1
    best = extreme(worth, x, eps, sign) - score(worth, x)
    moved = score(worth, found) - score(worth, x)
    assert (sign * moved <= sign * best + 1e-6).all()
    assert moved.sum() >= 0.9 * best.sum() if targeted else moved.sum() <= 0.9 * best.sum()


def test_one_level_is_all_that_it_needs_and_no_more():
    # a budget within every value's level leaves the codes alone
    classifier, x, _ = toy("thermometer")
    middle = ((level(x) + 0.5) / LEVELS).astype(np.float32)
    for eps, moves in ((0.4 / LEVELS, False), (0.6 / LEVELS, True)):
        found = LogitSpacePGA(classifier, eps, verbose=False).generate(middle)
        assert np.array_equal(level(found), level(middle)) != moves


def test_the_same_seed_finds_the_same():
    classifier, x, _ = toy("one_hot")
    found = []
    for seed in (1, 1, 2):
        with global_seeds(seed):
            attack = LogitSpacePGA(classifier, 0.2, max_iter=2, batch_size=7, verbose=False)
            found.append(attack.generate(x))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_what_does_not_fit_is_refused():
    classifier, x, _ = toy("one_hot")
    plain = classifier.model.base
    taken = torch.nn.Sequential(Thermometer(LEVELS, "one_hot").map, plain)
    other = build_classifier(
        taken, input_shape=(1, 4, 4), nb_classes=2, defences=[ColorDepthReduction(4)]
    )
    with pytest.raises(InputError, match="needs a classifier with one defence, a Thermometer"):
        LogitSpacePGA(other)
    with pytest.raises(InputError, match="anneal_rate must be positive, got 0"):
        LogitSpacePGA(classifier, anneal_rate=0)
    with pytest.raises(InputError, match="a targeted attack needs y"):
        LogitSpacePGA(classifier, targeted=True).generate(x)
