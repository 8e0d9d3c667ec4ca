"""Classifiers that draw: what is luck of the votes is not taken for an attack's success."""

from types import SimpleNamespace

import numpy as np
import pytest
from art.attacks.evasion import FastGradientMethod

import art_disc as ad
from art_disc.evaluation import Checks
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


def outcome(right, draws=20, size=0.0):
    return SimpleNamespace(
        draws=draws,
        draw_correct=tuple(int(r) for r in right),
        perturbation=(size,) * len(right),
        eps=0.1,
        tolerance=1e-6,
        scored_on="defended",
    )


def by_chance(rng, chance):
    return outcome(rng.binomial(20, chance))


def judge(stronger, usual, *, gained=None, is_random=True):
    context = SimpleNamespace(
        classifier=SimpleNamespace(is_random=is_random),
        run=SimpleNamespace(
            clean={"defended": SimpleNamespace(draw_correct=(20,) * 200, draws=20)}
        ),
        eps=0.1,
    )
    context._right_draws = lambda o: Context._right_draws(context, o)
    gained = np.ones(200, bool) if gained is None else gained
    return Context.beyond_luck(context, gained, stronger, usual)


def test_equal_attacks_are_luck_and_a_stronger_one_is_not():
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.3, 0.8, 200)
    usual = [by_chance(rng, chance) for _ in range(3)]
    same = [judge([by_chance(rng, chance)], usual) for _ in range(40)]
    assert sum(same) <= 2
    assert all(judge([by_chance(rng, chance - 0.05)], usual) for _ in range(10))
    # on a part of the images too, and where nothing else was run
    assert judge([by_chance(rng, chance[:40] - 0.2)], usual)
    assert judge([by_chance(rng, chance)], [])
    assert judge([by_chance(rng, chance)], usual, is_random=False)


def test_a_few_masked_images_are_no_luck_although_the_attack_is_weak_elsewhere():
    usual = [outcome([0] * 190 + [20] * 10)]
    weak = outcome([6] * 190 + [0] * 10)
    gained = np.arange(200) >= 190
    assert judge([weak], usual, gained=gained)
    # what the evaluation had broken already is no gain
    assert not judge([outcome([0] * 190 + [20] * 10)], usual, gained=gained)
    assert not judge([outcome([6] * 190 + [17] * 10)], usual, gained=gained)


def test_changes_beyond_the_budget_set_no_bar_and_are_no_gain():
    found = outcome([0] * 50 + [20] * 150)
    usual = outcome([20] * 200)
    far = outcome([0] * 200, size=0.9)
    assert judge([found], [usual, far])
    assert not judge([far], [usual])


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
