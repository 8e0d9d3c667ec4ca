"""Blind guessing stays in its ball, finds what is easy, and nothing that is impossible."""

import numpy as np
import pytest

import art_disc as ad
from art_disc.attacks.random_search import RandomSearch
from art_disc.core.errors import InputError


@pytest.fixture(scope="module")
def defended(digits, digits_net):
    return ad.build_classifier(digits_net, data=digits)


@pytest.mark.parametrize(("norm", "order"), [(np.inf, np.inf), (2, 2)])
def test_every_draw_is_in_the_ball_and_what_it_returns_is_adversarial(
    digits, defended, norm, order
):
    x, y = digits.x_test[:30], digits.y_test[:30]
    eps = 0.35 if norm == np.inf else 4.0
    found = RandomSearch(defended, eps, norm, 200, seed=0).generate(x, y)
    change = (found - x).reshape(len(x), -1).astype(float)
    sizes = np.linalg.norm(change, ord=order, axis=1)
    assert (sizes <= eps + 1e-6).all()
    assert found.min() >= 0
    assert found.max() <= 1
    right = defended.predict(x).argmax(1) == y
    broken = right & (sizes > 0)
    assert broken.any()
    assert (defended.predict(found).argmax(1)[broken] != y[broken]).all()


def test_where_nothing_can_be_found_the_image_comes_back(digits, defended):
    x, y = digits.x_test[:40], digits.y_test[:40]
    right = defended.predict(x).argmax(1) == y
    found = RandomSearch(defended, 1e-4, np.inf, 50, seed=0).generate(x, y)
    assert np.array_equal(found[right], x[right])


def test_seeds(digits, defended):
    x, y = digits.x_test[:10], digits.y_test[:10]
    a, b = (RandomSearch(defended, 0.4, np.inf, 100, seed=3).generate(x, y) for _ in range(2))
    assert np.array_equal(a, b)
    # NumPy alone takes no seed below 0
    assert RandomSearch(defended, 0.4, np.inf, 100, seed=-3).generate(x, y).shape == x.shape
    np.random.seed(5)
    c = RandomSearch(defended, 0.4, np.inf, 100).generate(x, y)
    np.random.seed(5)
    assert np.array_equal(c, RandomSearch(defended, 0.4, np.inf, 100).generate(x, y))


def test_one_wrong_vote_does_not_end_the_search(digits, digits_net):
    """What it returns is classified wrongly more often than the image, not by luck once."""
    drawing = ad.build_classifier(
        digits_net, data=digits, defences=[ad.GaussianNoise(0.35)], vote_samples=2
    )
    x, y = digits.x_test[:25], digits.y_test[:25]
    found = RandomSearch(drawing, 0.15, np.inf, 300, seed=0).generate(x, y)
    assert np.abs(found - x).max() <= 0.15 + 1e-6
    before, after = (ad.score_draws(drawing, some, y, n=200).draw_accuracy for some in (x, found))
    # by a tenth alone where the first wrong vote ends it
    assert after < before - 0.14


def test_bad_parameters(defended):
    with pytest.raises(InputError, match="norm must be"):
        RandomSearch(defended, 0.1, norm=1)
    with pytest.raises(InputError, match="max_iter"):
        RandomSearch(defended, 0.1, max_iter=0)
