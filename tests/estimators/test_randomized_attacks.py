"""ART's attacks, unchanged, against a classifier that draws."""

import numpy as np
import pytest
from art.attacks.evasion import (
    AutoProjectedGradientDescent,
    DeepFool,
    FeatureAdversariesPyTorch,
    HopSkipJump,
    ProjectedGradientDescent,
    SquareAttack,
)

from art_disc import build_classifier
from art_disc.core.seeds import global_seeds
from art_disc.defences import ColorDepthReduction, GaussianNoise

EPS = 0.25


def apgd(classifier, loss):
    return AutoProjectedGradientDescent(
        classifier,
        eps=EPS,
        eps_step=EPS,
        max_iter=8,
        nb_random_init=1,
        batch_size=32,
        loss_type=loss,
        verbose=False,
    )


ATTACKS = {
    "pgd": lambda c: ProjectedGradientDescent(
        c, eps=EPS, eps_step=EPS / 4, max_iter=8, num_random_init=1, verbose=False
    ),
    "apgd_ce": lambda c: apgd(c, "cross_entropy"),
    "apgd_dlr": lambda c: apgd(c, "difference_logits_ratio"),
    "apgd_own_loss": lambda c: apgd(c, None),
    "square": lambda c: SquareAttack(c, eps=EPS, max_iter=60, verbose=False),
    "deep_fool": lambda c: DeepFool(c, max_iter=10, batch_size=32, verbose=False),
    "hop_skip_jump": lambda c: HopSkipJump(
        c, max_iter=2, max_eval=60, init_eval=5, init_size=20, verbose=False
    ),
}


def built(net, **options):
    return build_classifier(
        net,
        input_shape=(1, 8, 8),
        nb_classes=10,
        defences=[GaussianNoise(0.1), ColorDepthReduction(5, "identity")],
        **options,
    )


def mean_probabilities(classifier, x):
    """The mean over fresh draws, shape (images, classes)."""
    return np.exp(classifier.predict_draws(x, 20, seed=1)).mean(axis=0)


def belief(classifier, x, y):
    """The mean probability of the true classes."""
    return mean_probabilities(classifier, x)[np.arange(len(y)), y].mean()


# part of the belief that may be left: these stop at the border, where the noise brings some back
LEFT = {"square": 0.95, "deep_fool": 0.7, "hop_skip_jump": 0.75}


@pytest.fixture(scope="module")
def sample(digits, digits_net):
    """Images that are classified rightly before any attack."""
    x, y = digits.x_test[:40], digits.y_test[:40]
    kept = np.flatnonzero(mean_probabilities(built(digits_net), x).argmax(axis=1) == y)[:24]
    return x[kept], y[kept]


def watched(classifier):
    """Note the rows that go into each prediction of the classifier and come out."""
    rows = []
    classifier.model.register_forward_hook(
        lambda _, inputs, output: rows.append((len(inputs[0]), len(output)))
    )
    return rows


@pytest.mark.parametrize("vote", ["mean", "hard"])
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_run_get_one_row_an_image_and_mislead(digits_net, sample, name, vote):
    x, y = sample if name != "hop_skip_jump" else (sample[0][:6], sample[1][:6])
    classifier = built(digits_net, eot_samples=3, vote_samples=9, vote=vote)
    rows = watched(classifier)
    before = x.copy()
    with global_seeds(0):
        adversarial = ATTACKS[name](classifier).generate(x, y)
    assert adversarial.shape == x.shape
    assert np.array_equal(x, before)
    assert len(rows) > 5
    assert all(given == made for given, made in rows)

    left = belief(classifier, adversarial, y) / belief(classifier, x, y)
    assert left <= LEFT.get(name, 0.5)


def test_more_draws_under_the_gradient_agree_better(digits, digits_net, sample):
    x, y = sample[0], np.eye(10, dtype=np.float32)[sample[1]]

    def agreement(draws):
        classifier = build_classifier(
            digits_net, data=digits, defences=[GaussianNoise(0.3)], eot_samples=draws
        )
        a, b = (classifier.loss_gradient(x, y).reshape(len(x), -1) for _ in range(2))
        return np.median((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))

    few, many = 1 - agreement(2), 1 - agreement(64)
    assert many < few / 4
    assert few > 0.05


def test_an_attack_on_features_finds_one_row_an_image(digits, digits_net, sample):
    x, _ = sample
    classifier = build_classifier(digits_net, data=digits, defences=[GaussianNoise(0.1)])
    attack = FeatureAdversariesPyTorch(
        classifier, delta=EPS, layer=-1, max_iter=4, step_size=0.1, batch_size=8
    )
    with global_seeds(0):
        adversarial = attack.generate(x[:8], x[8:16])
    assert adversarial.shape == x[:8].shape
    assert np.abs(adversarial - x[:8]).max() > 0.05
