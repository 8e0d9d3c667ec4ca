"""The table of all attacks: nothing of ART's is forgotten, and every row says what is so."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from art.attacks.attack import Attack, EvasionAttack
from art.estimators.classification import PyTorchClassifier

from art_disc import ColorDepthReduction, build_classifier
from art_disc.attacks import ATTACKS, SUITES, TIERS, AttackRequest, attack_table
from art_disc.attacks.zoo.discovery import LEFT_OUT, discover

# of these ART's own requirements say no; of the others of LEFT_OUT only their code does
REFUSED_BY_ART = {
    "AdversarialTexturePyTorch", "CarliniWagnerASR", "DPatch", "DecisionTreeAttack",
    "HighConfidenceLowUncertainty", "ImperceptibleASR", "ImperceptibleASRPyTorch", "RobustDPatch",
}  # fmt: skip


def test_every_attack_of_art_is_in_the_table_or_left_out_with_a_reason():
    found = set(discover())
    # an attack whose module needs a package that is absent cannot be found
    hidden = {spec.art for spec in ATTACKS.values() if spec.missing}
    rows = {spec.art for spec in ATTACKS.values() if spec.art}
    assert found - rows == set(LEFT_OUT)
    assert rows - found <= hidden
    assert not rows & set(LEFT_OUT)
    assert len(found) >= 60
    assert all(LEFT_OUT.values())


def test_discovery_sees_a_new_class_and_no_foreign_one(monkeypatch):
    import art.attacks.evasion.fast_gradient as home

    class Brand(home.FastGradientMethod):
        pass

    monkeypatch.setattr(home, "Brand", Brand, raising=False)
    # defined here, only named there
    assert "Brand" not in discover()
    Brand.__module__ = home.__name__
    assert discover()["Brand"] is Brand
    assert "EvasionAttack" not in discover()


def test_reasons_of_art_are_arts():
    found = discover()
    for name in LEFT_OUT:
        wanted = found[name]._estimator_requirements or ()

        class Probe(PyTorchClassifier):
            def __init__(self):
                pass

        refused = not Attack.is_estimator_valid(Probe(), wanted)
        assert refused == (name in REFUSED_BY_ART), name
    for spec in ATTACKS.values():
        if spec.art in found:
            assert Attack.is_estimator_valid(Probe(), found[spec.art]._estimator_requirements)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_row_is_whole(name):
    spec = ATTACKS[name]
    assert spec.name == name
    assert spec.label
    assert set(spec.tiers) == set(TIERS)
    keys = set(spec.settings)
    costs = []
    for tier in TIERS:
        assert set(spec.tiers[tier]) == keys
        kinds = {key: type(value) for key, value in spec.tiers[tier].items()}
        assert kinds == {key: type(value) for key, value in spec.settings.items()}
        gradients, queries = spec.cost(spec.tiers[tier])
        assert (gradients > 0) == spec.gradients
        assert queries >= 0
        costs.append(3 * gradients + queries)
    assert costs == sorted(costs)
    assert costs[2] > costs[0] or name == "fgsm"
    assert set(spec.norms) <= {"inf", "2", "1", "0"}
    assert spec.norms or not spec.bounded


def test_the_suites_are_of_repeatable_rows_but_for_hop_skip_jump():
    for names, tier in SUITES.values():
        assert tier in TIERS
        assert all(name in ATTACKS for name in names)
        loose = {name for name in names if not ATTACKS[name].repeatable}
        assert loose <= {"hop_skip_jump"}
        assert not any(ATTACKS[name].packages for name in names)


def test_a_missing_package_is_named():
    spec = dataclasses.replace(ATTACKS["pgd"], packages=("json", "no_such_package"))
    assert spec.missing == "no_such_package"
    assert "needs the package no_such_package" in spec.refuses("inf", 10, targeted=False)


def test_a_minimal_attack_is_refused_in_no_norm():
    assert not ATTACKS["deepfool"].refuses("inf", 10, targeted=False)
    assert "norms 2 only" in ATTACKS["vat"].refuses("inf", 10, targeted=False)


def test_settings_are_changed_for_any_row():
    ((spec, settings),) = attack_table("cw_l2", {"cw_l2.max_iter": 3})
    assert spec.name == "cw_l2"
    assert settings["max_iter"] == 3


def contents(thing):
    """What an attack was made with, of the attacks and feeding rules inside it too."""
    if isinstance(thing, functools.partial):
        return repr(thing.keywords)
    if isinstance(thing, EvasionAttack):
        return {key: contents(value) for key, value in vars(thing).items()}
    if isinstance(thing, list | tuple):
        return [contents(part) for part in thing]
    return repr(thing) if isinstance(thing, int | float | str | dict) else type(thing)


@pytest.mark.parametrize("name", [name for name, spec in ATTACKS.items() if not spec.packages])
def test_every_setting_of_a_row_reaches_its_attack(name):
    spec = ATTACKS[name]
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 10))
    # an attack behind a map needs one
    defences = [ColorDepthReduction(4)] if spec.behind else []
    classifier = build_classifier(net, input_shape=(1, 16, 16), nb_classes=10, defences=defences)
    request = AttackRequest(classifier, 0.3, (spec.norms or ("inf",))[0], False, batch_size=8)
    for key, value in spec.settings.items():
        other = {**spec.settings, key: value + 1 if isinstance(value, int) else 0.9 * value or 0.01}
        first, again, changed = (
            contents(spec.make(request, settings))
            for settings in (spec.settings, spec.settings, other)
        )
        assert first == again != changed, key


# rows whose kind of change has targets, and that take well under a second
AIMING = ("pgd_torch", "bim", "mim", "cw_l2", "lowprofool", "jsma", "simba", "flickering")


@pytest.mark.parametrize("name", AIMING)
def test_rows_that_aim_raise_the_share_of_the_target(digits, digits_net, name):
    from art_disc.core.seeds import global_seeds

    classifier = build_classifier(digits_net, data=digits)
    x, y = digits.x_test[:8], digits.y_test[:8]
    scores = classifier.predict(x).copy()
    scores[np.arange(8), y] = -np.inf
    target = scores.argmax(axis=1)
    onehot = np.eye(10, dtype=np.float32)[target]
    spec = ATTACKS[name]
    before = x.copy()
    with global_seeds(1):
        request = AttackRequest(classifier, 0.3, "inf", targeted=True, batch_size=8)
        found = spec.make(request, spec.tiers["smoke"]).generate(x, onehot)
    assert np.array_equal(x, before)
    hits = classifier.predict(np.clip(found, 0, 1)).argmax(axis=1) == target
    assert hits.mean() >= (classifier.predict(x).argmax(axis=1) == target).mean() + 0.25
