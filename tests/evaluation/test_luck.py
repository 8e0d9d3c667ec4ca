"""Classifiers that draw: what is luck of the votes is not told as an attack's success."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod

import art_disc as ad
from art_disc.evaluation import Checks, score
from art_disc.evaluation.checks.context import Context

NOTHING = {"eps": 1e-6, "attacks": ["fgsm", "pgd"], "n_ex": 60, "verbose": False}


def drawing(digits_net, digits, defence=None, **options):
    defences = [defence or ad.GaussianNoise(0.35)]
    return ad.build_classifier(digits_net, data=digits, defences=defences, eot_samples=2, **options)


@pytest.mark.parametrize("votes", [1, 4, 16])
@pytest.mark.parametrize("defence", [ad.GaussianNoise(0.35), ad.RandDisc(2)], ids=["noise", "disc"])
def test_an_attack_that_does_nothing_breaks_nothing(digits, digits_net, defence, votes):
    classifier = drawing(digits_net, digits, defence, vote_samples=votes)
    settings = {"pgd.max_iter": 2, "pgd.num_random_init": 1}
    record = ad.evaluate(classifier, digits, **NOTHING, settings=settings, checks=None).record
    # what lies a millionth away is classified as the image itself, on the same draws
    assert record.worst(1e-6).count == record.clean().count
    if votes == 1:
        # a single draw of a noisy classifier errs: there was luck to be had
        assert record.clean().count < 60


def test_a_model_is_scored_by_as_many_draws_as_it_votes_over(digits, digits_net):
    classifier = drawing(digits_net, digits, vote_samples=45)
    x, y = digits.x_test[:20], digits.y_test[:20]
    told = score.score(classifier, x, y, draws=20, seed=3)
    assert told.draws == 45
    votes = classifier.voting.count(torch.from_numpy(classifier.predict_draws(x, 45, seed=3)))
    assert np.array_equal(told.correct, votes.argmax(dim=1).numpy() == y)
    assert score.score(classifier.with_samples(vote=5), x, y, draws=20, seed=3).draws == 20


def outcome(rng, chance, n=200, draws=20):
    right = rng.binomial(draws, chance, size=n)
    return SimpleNamespace(draws=draws, draw_correct=tuple(right.tolist()))


def judge(stronger, usual, *, is_random=True):
    context = SimpleNamespace(classifier=SimpleNamespace(is_random=is_random))
    return Context.beyond_luck(context, stronger, usual)


def test_equal_attacks_are_luck_and_a_stronger_one_is_not():
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.3, 0.8, 200)
    usual = [outcome(rng, chance) for _ in range(3)]
    same = [judge([outcome(rng, chance)], usual) for _ in range(40)]
    assert sum(same) <= 2
    assert all(judge([outcome(rng, chance - 0.05)], usual) for _ in range(10))
    # on a part of the images too, and where nothing else was run
    assert judge([outcome(rng, chance[:40] - 0.2, n=40)], usual)
    assert judge([outcome(rng, chance)], [])
    assert judge([outcome(rng, chance)], usual, is_random=False)


def test_an_honest_network_that_draws_is_not_red_by_luck(digits, tmp_path):
    from art_disc.networks import DigitsNet
    from art_disc.training import trained

    noise = ad.GaussianNoise(0.3)
    options = {"epochs": 10, "defences": [noise], "cache": tmp_path, "verbose": False}
    network, _ = trained(DigitsNet, digits, **options)
    classifier = ad.build_classifier(network, data=digits, defences=[noise], eot_samples=16)
    record = ad.evaluate(
        classifier,
        digits,
        eps=0.1,
        attacks=["pgd"],
        settings={"pgd.max_iter": 15, "pgd.num_random_init": 1},
        n_ex=60,
        checks=Checks("full", only=("C9", "C12", "C14", "C15", "C16")),
        verbose=False,
    ).record
    assert not [c for c in record.checks if c.status == "fail"]
    assert record.worst(0.1).count < record.clean().count


def test_gradients_of_another_defence_are_no_white_box(digits, digits_net):
    classifier = drawing(digits_net, digits, ad.RandDisc(2), vote_samples=4)
    other = drawing(digits_net, digits, ad.RandDisc(5), vote_samples=4)
    mixed = ad.transfer_sources(classifier)["randmix"]
    bare = ad.build_classifier(digits_net, data=digits)
    attacks = [FastGradientMethod(c, eps=0.1) for c in (other, mixed, bare, classifier)]
    record = ad.evaluate(
        classifier, digits, eps=0.1, attacks=attacks, n_ex=6, checks=None, verbose=False
    ).record
    told = [(o.scored_on, o.knowledge) for o in record.outcomes]
    white = ("defended", "bpda+eot")
    assert told == [("defended", "none"), white, ("base", "base"), ("defended", "base"), white]
