"""Binarised networks in evaluations, checks, sweeps and commands: words of signs, their suite."""

from functools import partial

import numpy as np
import pytest

import art_disc as ad
from art_disc.attacks import ATTACKS
from art_disc.cli.main import main
from art_disc.core.budget import Budget
from art_disc.core.errors import InputError
from art_disc.core.records import load_record
from art_disc.core.seeds import global_seeds
from art_disc.defences.meaning import check_known, meaning
from art_disc.estimators.signs import own_signs
from art_disc.evaluation import Checks
from art_disc.evaluation.checks import planted
from art_disc.evaluation.plan import plan_trials
from art_disc.evaluation.planned import left_out
from art_disc.evaluation.sources import gradient_sources, told_apart, wanted_surrogates
from art_disc.evaluation.sweep import Execution, SweepPlan, plan_cells, run_sweep
from art_disc.networks import SignGradient, fcn2, named, named_network
from art_disc.networks.named import named_signs
from art_disc.networks.sign_gradient import SPREAD

OWN = "ste_hard_tanh(temperature=1)"
TWO_BITS = {"bare": [], "two bits": [ad.InputBitDepth(2)]}


@pytest.fixture(params=TWO_BITS)
def classifier(request, digits, digits_signs):
    return ad.build_classifier(digits_signs, data=digits, defences=TWO_BITS[request.param])


def ran(classifier, data, **options):
    how = {"attacks": ["fgsm"], "eps": 0.2, "n_ex": 20, "checks": None, "verbose": False}
    return ad.evaluate(classifier, data, **how | options).record


def through(record):
    return [row.surrogate for row in record.select(scored_on="defended") if row.surrogate]


def test_a_record_names_how_signs_were_differentiated(classifier, digits):
    words = ["ste_hard_tanh", "ste_identity:16", SignGradient("identity", 16), "ste_hard_tanh:1"]
    found = through(ran(classifier, digits, surrogates=words))
    # what the layers say themselves, and what was asked for before, is not run again
    there = classifier.defences
    before = "identity+" if there else ""
    base = [OWN] if there else []
    names = [f"{before}{OWN}", f"{before}ste_identity(temperature=16)"]
    assert found == [*base, *names]


def test_a_gradient_of_signs_is_no_surrogate_of_codewords(classifier):
    # which are objects with a name that are called with images
    assert meaning([ad.InputBitDepth(2)], SignGradient("identity")) is None
    names = [s.name for s in gradient_sources(classifier, [SignGradient("identity", 4)])]
    assert names == [*["base"] * bool(classifier.defences), "own", "ste_identity(temperature=4)"]


def test_one_source_alone_by_any_word_for_it(classifier, digits):
    words = ["ste_polynomial:4"]
    for word in ("ste_polynomial:4", "ste_polynomial:4.0"):
        (row,) = ran(classifier, digits, surrogates=words, through=word).select(
            scored_on="defended"
        )
        assert row.surrogate.endswith("ste_polynomial(temperature=4)")
    (own,) = ran(classifier, digits, surrogates=(), through="ste_hard_tanh").select(
        scored_on="defended"
    )
    assert own.surrogate.endswith(OWN)
    with pytest.raises(InputError, match="through must be one of"):
        ran(classifier, digits, surrogates=words, through="ste_identity")


def test_words_of_signs_are_known_and_what_nobody_knows_is_refused(
    digits, digits_signs, digits_net
):
    for word in (*SPREAD, "ste_clipped"):
        check_known(word)
    with pytest.raises(InputError, match="binarised networks"):
        check_known("ste_identity:3")
    # without a defence a misspelt word would say nothing, to any network
    for network in (digits_signs, digits_net):
        bare = ad.build_classifier(network, data=digits)
        with pytest.raises(InputError, match="surrogate"):
            wanted_surrogates(bare, ["ste_polynomal"], "quick")


def test_a_margin_has_the_same_gradient_at_every_temperature(classifier, digits):
    x, y = digits.x_test[:30], np.eye(10, dtype=np.float32)[digits.y_test[:30]]
    for name in ("apgd_dlr", "sign_adam"):
        found = []
        for word in ("ste_hard_tanh", "ste_hard_tanh:256"):
            one = ad.build_classifier(
                classifier.base_network, data=digits, defences=classifier.defences
            ).with_surrogate(word)
            settings = {**ATTACKS[name].tiers["smoke"]}
            make = ATTACKS[name].on(one, Budget(0.1), settings, batch_size=30)
            with global_seeds(0):
                found.append(make().generate(x, y))
        assert np.array_equal(*found)
        assert (found[0] != x).any()


def test_what_an_attack_cannot_tell_apart_is_run_once(digits, digits_signs):
    words = [
        "ste_hard_tanh:16",
        "ste_identity:4",
        "ste_identity:16",
        "ste_clipped",
        "ste_clipped:4",
    ]
    classifier = ad.build_classifier(digits_signs, data=digits, defences=TWO_BITS["two bits"])
    sources = gradient_sources(classifier, ["soft:5", *words])
    assert [source.name for source in sources] == ["base", "own", "soft:5", *words]
    names = {name: [s.name for s in told_apart(ATTACKS[name], sources)] for name in ATTACKS}
    assert names["pgd"] == [source.name for source in sources]
    margins = ["own", "soft:5", "ste_identity:4", "ste_clipped", "ste_clipped:4"]
    assert names["apgd_dlr"] == ["base", *margins]
    # behind the map no surrogate of it makes a difference
    assert names["code_space"] == [name for name in margins if name != "soft:5"]
    record = ran(classifier, digits, attacks=["code_space"], surrogates=words[:2], n_ex=4)
    assert through(record) == [OWN, "ste_identity(temperature=4)"]
    assert len({row.correct for row in record.outcomes}) >= 1


def test_a_margin_of_mean_probabilities_has_a_temperature(digits, digits_signs):
    noisy = ad.build_classifier(
        digits_signs, data=digits, defences=[ad.GaussianNoise(sigma=0.2)], eot_samples=3
    ).frozen(0)
    x, y = digits.x_test[:20], np.eye(10, dtype=np.float32)[digits.y_test[:20]]
    words, found = ("ste_identity:1", "ste_identity:16"), []
    for word in words:
        one = noisy.with_surrogate(word)
        make = ATTACKS["apgd_dlr"].on(
            one, Budget(0.1), {"max_iter": 4, "num_random_init": 1}, batch_size=20
        )
        with global_seeds(0):
            found.append(make().generate(x, y))
    assert not np.array_equal(*found)
    sources = gradient_sources(noisy, words)
    assert told_apart(ATTACKS["apgd_dlr"], sources) == sources
    plan = {"attacks": ["apgd_dlr"], "defences": ["noise:sigma=0.2"], "surrogates": list(words)}
    plan |= {"trainings": ["natural:network=fcn2"]}
    asked = [cell.surrogate for cell in plan_cells(SweepPlan.from_dict(PLAN | plan))]
    assert asked == list(words)


def planned(classifier, attacks="binarised"):
    return plan_trials(
        classifier,
        eps=(0.1,),
        attacks=attacks,
        changes={},
        surrogates=wanted_surrogates(classifier, (), attacks),
        norm="inf",
        targeted=False,
    )


def test_the_suite_goes_through_estimators_temperatures_codes_and_queries(classifier):
    trials = planned(classifier)
    mine = [t for t in trials if t.knowledge != "base"]
    signs = [t.surrogate.removeprefix("identity+") for t in mine if t.attack == "pgd"]
    estimators = ("hard_tanh", "identity", "polynomial")
    assert signs == [f"ste_{e}(temperature={t})" for e in estimators for t in (1, 16, 256)]
    assert len([t for t in mine if t.attack == "apgd_ce"]) == len(SPREAD)
    assert len([t for t in mine if t.attack == "apgd_dlr"]) == len(estimators)
    codes = [t for t in mine if t.attack == "code_space"]
    assert len(codes) == len(estimators)
    assert {t.attack for t in mine if t.knowledge == "none"} == {"square", "hop_skip_jump"}
    told = left_out(trials)
    if classifier.defences:
        assert told == []
        assert {t.attack for t in trials if t.knowledge == "base"} == {
            "fgsm", "pgd", "apgd_ce", "apgd_dlr",
        }  # fmt: skip
    else:
        assert all("code_space needs a codebook map" in line for line in told)
        assert len(told) == 1


def test_the_suite_is_refused_where_nothing_is_binarised(digits, digits_net):
    real = fcn2((1, 8, 8), widths=(8,), binarization="binary_weights")
    for network in (digits_net, real):
        with pytest.raises(InputError, match="'binarised' is for networks with binarised act"):
            ran(ad.build_classifier(network, data=digits), digits, attacks="binarised")


FEW = {
    "pgd.max_iter": 5,
    "pgd.num_random_init": 1,
    "apgd_ce.max_iter": 3,
    "apgd_dlr.max_iter": 3,
    "square.max_iter": 10,
    "hop_skip_jump.max_iter": 1,
    "hop_skip_jump.max_eval": 10,
    "hop_skip_jump.init_eval": 5,
}


def test_the_suite_breaks_what_hides_its_gradient_from_one(digits, loud_signs):
    classifier = ad.build_classifier(loud_signs, data=digits)
    record = ran(classifier, digits, attacks="binarised", eps=0.15, n_ex=24, settings=FEW)
    assert not record.failed
    alone = [
        row.share.value
        for row in record.select(scored_on="defended")
        if (row.attack, row.surrogate) == ("fgsm", OWN)
    ]
    assert record.worst(0.15).value < alone[0] - 0.25
    # as on the same decisions with small logits
    assert np.mean(record.defended_correct) > 0.8


def checked(classifier, data, check, **options):
    checks = Checks("full", only=(check,), n_ex=16, n_decision=4, n_random=12)
    how = {"attacks": ["pgd"], "n_ex": 16, "settings": {"pgd.max_iter": 4}} | options
    record = ran(classifier, data, checks=checks, **how)
    return next(one for one in record.checks if one.id == check), record


def test_gradients_that_saturated_logits_hide_are_dead_until_there_is_a_temperature(
    digits, loud_signs
):
    classifier = ad.build_classifier(loud_signs, data=digits)
    dead, _ = checked(classifier, digits, "C3")
    assert dead.status == "fail"
    alive, _ = checked(classifier.with_surrogate("ste_hard_tanh:256"), digits, "C3")
    assert alive.status == "pass"


def test_several_surrogates_are_those_of_signs_too(digits, digits_signs, digits_net):
    finding, record = checked(ad.build_classifier(digits_signs, data=digits), digits, "C5")
    assert finding.status == "pass"
    assert len({row.surrogate for row in record.outcomes if row.attack == "pgd"}) == len(SPREAD)
    real, _ = checked(ad.build_classifier(digits_net, data=digits), digits, "C5")
    assert "nothing is discretised" in real.summary


def test_a_planted_example_is_looked_for_through_the_same_signs(digits, digits_signs, monkeypatch):
    classifier = ad.build_classifier(digits_signs, data=digits).with_surrogate("ste_polynomial:4")
    seen, attacked = [], planted._attacked

    def watch(ctx, model, *rest):
        seen.append(model.model.through)
        return attacked(ctx, model, *rest)

    monkeypatch.setattr(planted, "_attacked", watch)
    checked(classifier, digits, "C18")
    assert set(seen) == {SignGradient("polynomial", 4)}


PLAN = {
    "name": "signs",
    "datasets": ["digits"],
    "n_ex": 8,
    "stratified": True,
    "trainings": ["natural:epochs=1", "natural:epochs=2,network=fcn2"],
    "defences": ["none"],
    "eps": [0.2],
    "attacks": ["fgsm", "sign_adam:max_iter=2", "square:max_iter=3"],
    "surrogates": ["own", "ste_hard_tanh", "ste_identity:16", "ste_identity:256", "soft:5"],
}


def test_a_sweep_crosses_signs_with_networks_that_have_them():
    cells = {(c.training, c.attack.spec.name): [] for c in plan_cells(SweepPlan.from_dict(PLAN))}
    for cell in plan_cells(SweepPlan.from_dict(PLAN)):
        cells[cell.training, cell.attack.spec.name].append(cell.surrogate)
    real, signs = PLAN["trainings"]
    assert cells[real, "fgsm"] == ["own"]
    assert cells[signs, "fgsm"] == ["own", "ste_identity:16", "ste_identity:256"]
    assert cells[signs, "sign_adam"] == ["own", "ste_identity:16"]
    assert cells[signs, "square"] == ["none"]
    suite = SweepPlan.from_dict(PLAN | {"attacks": ["binarised"], "surrogates": ["own"]})
    asked = [c.surrogate for c in plan_cells(suite) if c.attack.spec.name == "pgd"]
    assert asked == ["own", "own", *SPREAD[1:]]
    coded = SweepPlan.from_dict(PLAN | {"attacks": ["code_space"], "defences": ["bitdepth"]})
    asked = [c.surrogate for c in plan_cells(coded)]
    assert asked == ["own", "own", "ste_identity:16"]


@pytest.mark.parametrize(
    "word",
    ["default", "fcn2", "fcn2:real", "fcn2:paper", "fcn2:binary_weights", "verifiable_bnn"],
)
def test_a_word_says_what_signs_its_network_has(word):
    shape = (1, 28, 28)
    network = named_network(word)(shape, 10)
    classifier = ad.build_classifier(network, input_shape=shape, nb_classes=10)
    assert own_signs(classifier) == named_signs(word)


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ("natural:network=fcn9", "network must be one of default, fcn1"),
        ("natural:network=fcn2:half", "binarization must be one of bnn"),
        ("natural:network=default:bnn", "network must be one of"),
    ],
)
def test_a_network_that_there_is_not_is_refused_by_its_key(training, told):
    with pytest.raises(InputError, match=f"'trainings': .*{told}"):
        SweepPlan.from_dict(PLAN | {"trainings": [training]})


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Built-in networks of few units, trained nowhere near the user's own cache."""
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(named.BINARISED, "fcn2", partial(fcn2, widths=(32, 32)))


def test_a_sweep_attacks_through_them(tmp_path, small):
    plan = SweepPlan.from_dict(PLAN | {"attacks": ["fgsm"]})
    alone = {"execution": Execution(jobs=1), "verbose": False}
    record = run_sweep(plan, tmp_path / "run", **alone)
    assert record.count("done") == len(record.cells) == 4
    rows = {(c.training, c.surrogate): c.record.outcomes[0].surrogate for c in record.cells}
    real, signs = PLAN["trainings"]
    assert rows == {
        (real, "own"): None,
        (signs, "own"): OWN,
        (signs, "ste_identity:16"): "ste_identity(temperature=16)",
        (signs, "ste_identity:256"): "ste_identity(temperature=256)",
    }
    names = {c.training: c.record.network["name"] for c in record.cells}
    assert names == {real: "DigitsNet", signs: "BinarizedNet"}
    # from the weights in the folder
    (tmp_path / "run" / "cells.jsonl").unlink()
    again = run_sweep(plan, tmp_path / "run", **alone)
    assert [c.record.outcomes[0].correct for c in again.cells] == [
        c.record.outcomes[0].correct for c in record.cells
    ]


def test_the_command_takes_network_words_and_suite(tmp_path, small, capsys):
    words = ["evaluate", "--dataset", "digits", "--network", "fcn2", "--epochs", "2", "--quiet"]
    words += ["--defence", "none", "--eps", "0.15", "--n-ex", "6", "--checks", "none"]
    words += ["--out", str(tmp_path / "run")]
    few = [word for key, value in FEW.items() for word in ("--set", f"{key}={value}")]
    assert main([*words, "--attacks", "binarised", *few]) == 0
    record = load_record(tmp_path / "run" / "record.json")
    assert record.network["name"] == "BinarizedNet"
    assert record.network["training"].startswith("fcn2, natural, 2 epochs")
    asked = {row.surrogate for row in record.outcomes if row.attack == "pgd"}
    assert len(asked) == len(SPREAD)
    assert any("ste_identity(temperature=256)" in (row.surrogate or "") for row in record.outcomes)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "ste_identity(temperature=256)" in page
    capsys.readouterr()
    only = ["--attacks", "fgsm", "--surrogates", "ste_clipped:4", "--out", str(tmp_path / "two")]
    assert main([*words[:-2], *only]) == 0
    rows = load_record(tmp_path / "two" / "record.json").select(scored_on="defended")
    assert [row.surrogate for row in rows] == [OWN, "ste_clipped(temperature=4)"]
    assert main([*words[:-2], *only[:3], "ste_clip"]) == 2
    assert "ste_clipped" in capsys.readouterr().err
