"""Gradients over draws where their expectation is known, and what an attack makes of them."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from scipy.special import expit
from scipy.stats import norm

from art_disc import build_classifier
from art_disc.data.toys import linear_problem
from art_disc.defences import GaussianNoise, RandDisc
from art_disc.estimators import RandomizedClassifier

SIGMA, DRAWS = 0.3, 2000
GRADIENTS = ("mean_probability", "mean_loss")


class Flipped(RandomizedClassifier):
    """A planted fault."""

    def loss_gradient(self, x, y, training_mode=False, **options):
        return -super().loss_gradient(x, y, training_mode=training_mode, **options)


def flipped(classifier):
    return Flipped(model=classifier.model, preprocessing_defences=None, **classifier._options())


def linear(w, b):
    layer = torch.nn.Linear(np.size(w), 2)
    with torch.no_grad():
        w = torch.tensor(np.ravel(w), dtype=torch.float32)
        layer.weight.copy_(torch.stack([-w, w]) / 2)
        layer.bias.copy_(torch.tensor([-b, b]) / 2)
    return torch.nn.Sequential(torch.nn.Flatten(), layer)


def noisy(toy, sigma=SIGMA, **options):
    return build_classifier(
        linear(toy.w, toy.b),
        input_shape=toy.x.shape[1:],
        nb_classes=2,
        defences=[GaussianNoise(sigma)],
        **options,
    )


def expected(toy, gradient):
    """Slope along w of the loss of each image, and the standard error of DRAWS draws.

    With p = sigmoid(s (margin + sigma |w| Z)) of the true class and its sign s: E[p - 1] s for the
    mean loss, -E[p (1 - p)] / E[p] s for that of the mean probability (delta method).
    """
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    sign = 2.0 * toy.y - 1
    p = expit(sign[:, None] * (toy.scores(toy.x)[:, None] + SIGMA * np.linalg.norm(toy.w) * points))
    if gradient == "mean_loss":
        mean = (1 - p) @ weights
        deviation = np.sqrt((1 - p) ** 2 @ weights - mean**2)
    else:
        mean = (p * (1 - p)) @ weights / (p @ weights)
        rest = p * (1 - p) - mean[:, None] * p
        deviation = np.sqrt(rest**2 @ weights) / (p @ weights)
    return -sign * mean, deviation / np.sqrt(DRAWS)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_the_gradient_is_the_analytic_expectation_and_a_flipped_sign_is_not(gradient):
    toy = linear_problem(n=60, seed=0, shape=(1, 3, 3))
    classifier = noisy(toy, eot_samples=DRAWS, gradient=gradient)
    mean, error = expected(toy, gradient)
    y = np.eye(2, dtype=np.float32)[toy.y]
    for attacked, right in ((classifier, True), (flipped(classifier), False)):
        # ART's loss is a mean over the images
        got = len(toy.x) * attacked.loss_gradient(toy.x, y).reshape(len(toy.x), -1)
        slope = got @ toy.w / (toy.w @ toy.w)
        assert np.allclose(got, slope[:, None] * toy.w, atol=1e-4)
        off = np.abs(slope - mean) / error
        if right:
            assert np.mean(off < 3) > 0.95
            assert off.max() < 4.5
        else:
            assert np.mean(off < 3) < 0.05
    # the two are told apart at this precision
    other = expected(toy, next(g for g in GRADIENTS if g != gradient))[0]
    assert np.mean(np.abs(mean - other) / error > 3) > 0.2


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_pgd_reaches_the_closed_form_radius_and_a_flipped_sign_does_not(gradient):
    # symmetric noise moves no decision of a linear net
    toy = linear_problem(n=200, seed=1, shape=(1, 3, 3))
    classifier = noisy(toy, sigma=0.05, eot_samples=2, vote_samples=4000, gradient=gradient)
    eps, gap = 0.08, 0.003
    # the votes' own error, as a radius, is far below what is left out
    error = 0.05 * np.linalg.norm(toy.w) / np.abs(toy.w).sum() / np.sqrt(4000)
    assert gap > 5 * error
    clear = np.abs(toy.radius - eps) > gap
    within = (toy.radius < eps)[clear]
    for attacked, size, reached in (
        (classifier, eps, within),
        (classifier, 0.9 * eps, (toy.radius < 0.9 * eps)[clear]),
        (flipped(classifier), eps, within & False),
    ):
        attack = ProjectedGradientDescent(
            attacked, eps=size, eps_step=eps / 4, max_iter=6, verbose=False
        )
        labels = classifier.predict(attack.generate(toy.x, toy.y)).argmax(axis=1)
        hit = (labels != toy.y)[clear]
        # a smaller attack's own limit is among the images that are compared
        near = np.abs(toy.radius - size)[clear] < gap
        assert np.array_equal(hit[~near], reached[~near])
        # and one that falls short of the radius by a tenth is told apart
        assert np.array_equal(hit, within) == (attacked is classifier and size == eps)
    assert within.any()
    assert not within.all()


# one pixel between two codewords: c1 has probability Phi((x - m) / sigma)
LOW, HIGH, WIDTH, ALPHA = 0.2, 0.8, 0.15, 40.0
MIDDLE = (LOW + HIGH) / 2
PIXELS = np.linspace(0.3, 0.7, 9)
SLOPE, BIAS = 6.0, -2.4


def one_pixel(surrogate, draws):
    return build_classifier(
        linear(SLOPE, BIAS),
        input_shape=(1, 1, 1),
        nb_classes=2,
        defences=[RandDisc(centres=[LOW, HIGH], sigma=WIDTH, surrogate=surrogate)],
        eot_samples=draws,
        vote_samples=draws,
        output="probs",
    )


def as_images(pixels):
    return pixels.astype(np.float32).reshape(-1, 1, 1, 1)


def test_a_pixel_between_two_codewords_is_the_upper_one_as_often_as_the_normal_tail_says():
    draws = 4000
    p = expit(SLOPE * np.array([LOW, HIGH]) + BIAS)
    upper = norm.cdf((PIXELS - MIDDLE) / WIDTH)
    got = one_pixel("mix", draws).predict(as_images(PIXELS))[:, 1]
    share = (got - p[0]) / (p[1] - p[0])
    off = np.abs(share - upper) / np.sqrt(upper * (1 - upper) / draws)
    assert off.max() < 3.5


def by_mixture(x):
    """Expectation and variance of the gradient of p through the mixture, by quadrature.

    At the noisy pixel v the value is its codeword and the slope that of the mixture.
    """
    points = np.linspace(-8, 8, 40001)
    weights = norm.pdf(points) * (points[1] - points[0])
    v = x[:, None] + WIDTH * points
    p = expit(SLOPE * np.where(v > MIDDLE, HIGH, LOW) + BIAS)
    rate = 2 * ALPHA * (HIGH - LOW)
    s = expit(rate * (v - MIDDLE))
    slope = SLOPE * p * (1 - p) * (HIGH - LOW) * rate * s * (1 - s)
    mean = slope @ weights
    return mean, slope**2 @ weights - mean**2


def test_the_mixture_gives_its_own_expectation_which_is_not_the_true_derivative():
    got = one_pixel(f"mix:{ALPHA:g}", DRAWS).class_gradient(as_images(PIXELS), label=1)
    mean, variance = by_mixture(PIXELS)
    off = np.abs(got.ravel() - mean) / np.sqrt(variance / DRAWS)
    assert off.max() < 4
    p = expit(SLOPE * np.array([LOW, HIGH]) + BIAS)
    true = (p[1] - p[0]) * norm.pdf((PIXELS - MIDDLE) / WIDTH) / WIDTH
    # every sign is right, the size is biased by more than the draws' error
    assert (got.ravel() > 0).all()
    assert (np.abs(mean - true) > 4 * np.sqrt(variance / DRAWS)).all()
    # the identity has the slope of the network at the codeword, and is biased too
    got = one_pixel("identity", DRAWS).class_gradient(as_images(PIXELS), label=1).ravel()
    upper = norm.cdf((PIXELS - MIDDLE) / WIDTH)
    slopes = SLOPE * p * (1 - p)
    mean = slopes[0] + (slopes[1] - slopes[0]) * upper
    error = np.abs(slopes[1] - slopes[0]) * np.sqrt(upper * (1 - upper) / DRAWS)
    assert (np.abs(got - mean) <= 4 * error + 1e-4).all()
    assert (np.abs(mean - true) > 0.1).all()
