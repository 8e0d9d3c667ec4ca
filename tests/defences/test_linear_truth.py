"""Attacks on linear problems whose exact answer is known, on both sides."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent

from art_disc import SignAdamBPDA, build_classifier
from art_disc.codebooks import Codebook, UniformCodebook
from art_disc.data.toys import linear_problem
from art_disc.defences import PixelDiscretization

EPS = (0.04, 0.08, 0.12)

ATTACKS = {
    "fgsm": lambda c, eps: FastGradientMethod(c, eps=eps),
    "pgd": lambda c, eps: ProjectedGradientDescent(
        c, eps=eps, eps_step=eps / 4, max_iter=8, batch_size=128, verbose=False
    ),
    "sign_adam": lambda c, eps: SignAdamBPDA(
        c, eps=eps, eps_step=eps / 4, max_iter=8, batch_size=128, verbose=False
    ),
}


@pytest.fixture(scope="module", params=[0, 1])
def toy(request):
    return linear_problem(n=120, seed=request.param, shape=(1, 3, 3))


def classifier_of(toy, defences=()):
    linear = torch.nn.Linear(toy.w.size, 2)
    with torch.no_grad():
        w = torch.tensor(toy.w)
        linear.weight.copy_(torch.stack([-w, w]) / 2)
        linear.bias.copy_(torch.tensor([-toy.b, toy.b]) / 2)
    net = torch.nn.Sequential(torch.nn.Flatten(), linear)
    return build_classifier(net, input_shape=toy.x.shape[1:], nb_classes=2, defences=defences)


def fooled_by(classifier, toy, name, eps):
    adversarial = ATTACKS[name](classifier, eps).generate(toy.x, toy.y)
    assert np.abs(adversarial - toy.x).max() <= eps + 1e-6
    return classifier.predict(adversarial).argmax(axis=1) != toy.y


def worst_margin(toy, book, eps):
    """Lowest margin of any image within `eps`, by enumeration of each pixel's codewords.

    The score is a sum over pixels, so its worst case is the sum of each pixel's own worst.
    """
    codes = np.sort(book.codewords_.ravel().astype(np.float64))
    x = toy.x.reshape(len(toy.x), -1).astype(np.float64)
    middles = (codes[1:] + codes[:-1]) / 2
    lowest, highest = np.searchsorted(middles, x - eps), np.searchsorted(middles, x + eps)
    reachable = (np.arange(len(codes)) >= lowest[..., None]) & (
        np.arange(len(codes)) <= highest[..., None]
    )
    sign = np.where(toy.y == 1, 1.0, -1.0)
    margins = sign[:, None, None] * toy.w.astype(np.float64)[:, None] * codes
    lowest_sum = np.where(reachable, margins, np.inf).min(axis=-1).sum(axis=1)
    return lowest_sum + sign * toy.b


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("name", ATTACKS)
def test_without_a_defence_attacks_succeed_within_the_radius_and_never_beyond(toy, name, eps):
    fooled = fooled_by(classifier_of(toy), toy, name, eps)
    clear = np.abs(toy.radius - eps) > 1e-4
    assert np.array_equal(fooled[clear], (toy.radius < eps)[clear])
    assert fooled.any()
    assert not fooled.all()


BOOKS = {
    "uniform": UniformCodebook(6),
    "uneven": Codebook([0, 0.33, 0.38, 0.52, 0.6, 0.61, 1]),
}


@pytest.mark.parametrize("eps", [0.05, 0.1])
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize("surrogate", ["identity", "soft:10"])
def test_behind_a_codebook_attacks_succeed_exactly_where_enumeration_says(
    toy, name, eps, book, surrogate
):
    # Both surrogates have a positive slope between the outer codewords, the network is linear:
    # every step goes to the corner that is worst for each pixel, so success is certain there.
    classifier = classifier_of(toy, [PixelDiscretization(BOOKS[book], surrogate)])
    fooled = fooled_by(classifier, toy, name, eps)
    less, more = (worst_margin(toy, BOOKS[book], e) for e in (eps - 1e-5, eps + 1e-5))
    assert not fooled[more > 1e-5].any()
    assert fooled[less < -1e-5].all()
    sure = (more > 1e-5) | (less < -1e-5)
    assert sure.mean() > 0.95
    assert fooled.any()
    assert not fooled.all()
    # the codebook decides, not the distance to the hyperplane
    assert not np.array_equal(fooled, toy.radius < eps)
