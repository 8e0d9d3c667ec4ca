"""Preprocessors for training alone (`apply_predict=False`) have no hand in what is predicted."""

from dataclasses import replace

import numpy as np
import pytest
from art.attacks.evasion import FastGradientMethod
from art.defences.preprocessor import GaussianAugmentation, LabelSmoothing
from art.estimators.classification import PyTorchClassifier
from torch import nn

import art_disc as ad
from art_disc.attacks import CodeSpaceAttack
from art_disc.core.errors import InputError
from art_disc.estimators import encoded_shape
from art_disc.estimators.applied import behind
from art_disc.estimators.steadiness import steadiness_of
from art_disc.evaluation import Checks
from art_disc.metrics import certify, kl_certify

QUIET = {"verbose": False}
# more rows than images, labels that are asked for, other images
ALONE = [
    GaussianAugmentation(sigma=0.1),
    LabelSmoothing(max_value=0.9),
    GaussianAugmentation(sigma=0.5, augmentation=False),
]


def plain(network, *steps):
    """An ART classifier of the digits."""
    return PyTorchClassifier(
        network,
        nn.CrossEntropyLoss(),
        (1, 8, 8),
        10,
        clip_values=(0.0, 1.0),
        device_type="cpu",
        preprocessing_defences=list(steps),
    )


@pytest.fixture(params=ALONE, ids=["rows", "labels", "images"])
def alone(request):
    return request.param


def test_they_are_no_defences_but_stay_where_art_fits_with_them(alone, digits_net):
    noisy = ad.defend(plain(digits_net, alone), [ad.GaussianNoise(0.3)])
    assert [type(defence) for defence in noisy.defences] == [ad.GaussianNoise]
    for kept in (noisy, noisy.frozen(0), noisy.with_seed(3)):
        assert kept.preprocessing_defences == [alone]
    assert noisy.placement == "module"


def test_steadiness_and_certificates_of_draws_are_as_without_them(alone, digits, digits_net):
    x = digits.x_test[:3]
    with_it, without = (
        ad.defend(plain(digits_net, *steps), [ad.GaussianNoise(0.3)]) for steps in ([alone], [])
    )
    assert steadiness_of(with_it, x, rows=8) == steadiness_of(without, x, rows=8)
    options = {"eps": 0.01, "draws": 20, **QUIET}
    found, wanted = (kl_certify(c, x, None, **options) for c in (with_it, without))
    assert found.verdicts == wanted.verdicts


@pytest.mark.parametrize("defences", [[], [ad.ColorDepthReduction(2)]], ids=["bare", "codes"])
def test_evaluations_are_as_without_them(alone, defences, digits, digits_net):
    few = digits.subset(100, 20, seed=0)
    checks = Checks("quick", only=("C1", "C2", "C21"))
    options = {"eps": 0.1, "attacks": "fgsm", "checks": checks, **QUIET}
    found, wanted = (
        ad.evaluate(ad.defend(plain(digits_net, *steps), defences), few, **options)
        for steps in ([alone], [])
    )
    for mine, theirs in zip(found.record.checks, wanted.record.checks, strict=True):
        assert (mine.id, mine.status, mine.summary) == (theirs.id, theirs.status, theirs.summary)
    assert {c.status for c in found.record.checks} <= {"pass", "not run"}
    for mine, theirs in zip(found.record.outcomes, wanted.record.outcomes, strict=True):
        assert replace(mine, seconds=0.0) == replace(theirs, seconds=0.0)
    assert np.array_equal(found.pictures.discretised, wanted.pictures.discretised)


def test_codes_are_attacked_and_certified_behind_them(alone, digits, digits_net):
    classifier = ad.defend(plain(digits_net, alone), [ad.ColorDepthReduction(2)])
    x = digits.x_test[:3]
    made = CodeSpaceAttack(classifier, eps=0.2, seed=0, verbose=False).generate(x)
    assert np.abs(made - x).max() > 0
    assert certify(classifier, x, eps=0.01, **QUIET).verdicts


def test_an_encoder_for_training_alone_leaves_the_shape():
    assert encoded_shape([ad.Thermometer(4, apply_predict=False)], (1, 8, 8)) == (1, 8, 8)


def test_what_makes_other_rows_is_refused(digits):
    x = digits.x_test[:3]
    with pytest.raises(InputError, match="GaussianAugmentation must make one image of each, got 6"):
        behind([GaussianAugmentation(sigma=0.1)], x)


def test_an_attack_that_works_still_works_through_them(alone, digits, digits_net):
    x, y = digits.x_test[:40], digits.y_test[:40]
    classifier = ad.defend(plain(digits_net, alone), [ad.ColorDepthReduction(2)])
    found = FastGradientMethod(classifier, eps=0.3).generate(x, y)
    right, left = (classifier.predict(z).argmax(axis=1) == y for z in (x, found))
    assert left.sum() < right.sum()
