"""The attack zoo on classifiers that draw; the study runs the whole of it."""

import dataclasses

import pytest

import art_disc as ad
from art_disc.attacks import ATTACKS
from art_disc.evaluation.zoo.matrix import zoo_matrix
from tests.evaluation.test_zoo import SLOW, able

# one image at a time, or labels alone
ASKING = {"hop_skip_jump", "boundary", "geoda", "simba", "shadow", "square", "spatial"}


# attacks along the gradient's sign
SIGNS = ("fgsm", "pgd_torch", "bim", "mim", "sign_adam")

# RandMix differs from RandDisc in the value alone: a few attacks of each kind
FEW = {*ASKING, *SIGNS, "apgd_dlr", "deepfool", "jsma", "newtonfool"}


@pytest.fixture(scope="module")
def passes():
    """Rows in and out of every pass through the module of each classifier, by its name."""
    return {"randdisc": [], "randmix": []}


@pytest.fixture(scope="module")
def records(digits, digits_net, passes):
    # Wasserstein's steps are exp(3000 gradient). The loss is a mean, and behind centres that of
    # three images is too steep for it; the study has sixteen
    quick = [name for name in ATTACKS if name not in SLOW and name != "wasserstein"]
    plan = {
        "randdisc": (ad.RandDisc.preset("mnist", sigma=0.1), quick),
        "randmix": (ad.RandMix.preset("mnist", sigma=0.1), sorted(FEW)),
    }
    made = {}
    for name, (defence, attacks) in plan.items():
        drawing = ad.build_classifier(
            digits_net, data=digits, defences=[defence], eot_samples=2, vote_samples=4
        )
        drawing.model.register_forward_hook(
            lambda _, given, scores, rows=passes[name]: rows.append((len(given[0]), len(scores)))
        )
        models = {"none": ad.build_classifier(digits_net, data=digits), name: drawing}
        made[name] = zoo_matrix(models, digits, attacks=attacks, n_ex=3, verbose=False)
    return made


@pytest.fixture(params=["randdisc", "randmix"])
def name(request):
    return request.param


@pytest.fixture
def record(records, name):
    return records[name]


def test_no_attack_fails_for_a_reason_on_our_side(record):
    assert record.flaws() == ()
    assert able(record)


def test_gradient_attacks_get_gradients_and_nothing_goes_round_the_draws(record):
    for cell in able(record):
        assert cell.bypassed == 0
        if cell.gradient_attack:
            assert cell.seen_gradients > cell.zero_gradients
            assert cell.gradients > 0
        else:
            assert cell.gradients == cell.seen_gradients == 0


def test_every_pass_has_one_row_an_image(record, passes, name):
    assert len(passes[name]) > 200
    assert all(given == made for given, made in passes[name])
    # attacks that take one image at a time are among them
    assert (1, 1) in passes[name]


def test_attacks_that_ask_for_labels_run(record, name):
    assert {cell.attack for cell in able(record) if cell.defence == name} >= ASKING


def test_attacks_along_the_gradient_break_what_they_attack(record, name):
    cells = [record.cell(attack, name) for attack in SIGNS]
    # a count over attacks: two of three images, each drawn anew, decide nothing alone
    assert sum(c.attacked for c in cells) <= sum(c.clean for c in cells) / 2


def test_what_an_attack_leaves_does_not_depend_on_what_ran_before(digits, digits_net):
    noisy = {
        "noise": ad.build_classifier(digits_net, data=digits, defences=[ad.GaussianNoise(0.4)])
    }

    def pgd(*attacks):
        made = zoo_matrix(noisy, digits, attacks=attacks, n_ex=60, eps=0.1, verbose=False)
        return dataclasses.replace(made.cell("pgd", "noise"), seconds=0)

    alone = pgd("pgd")
    assert 0 < alone.attacked < alone.clean < 60
    assert pgd("fgsm", "pgd") == alone
    noisy["noise"].predict(digits.x_test[:7])
    assert pgd("pgd") == alone
