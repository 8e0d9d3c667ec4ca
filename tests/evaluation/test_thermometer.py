"""Evaluating a network that takes codes: what has no undefended base is told to have none."""

import csv

import numpy as np
import pytest
import torch

from art_disc import (
    ColorDepthReduction,
    LogitSpacePGA,
    SignAdamBPDA,
    Thermometer,
    build_classifier,
    evaluate,
)
from art_disc.attacks import ATTACKS, AttackRequest, attack_table
from art_disc.cli import main
from art_disc.cli.main import make_parser
from art_disc.cli.setup import make_reference
from art_disc.core.errors import InputError
from art_disc.core.records import EvaluationRecord
from art_disc.evaluation.checks import Checks
from art_disc.networks import default_network, save_weights, weights_hash
from art_disc.report import read_run
from art_disc.training import trained

OPTIONS = {"eps": 0.2, "batch_size": 50, "verbose": False}
SHORT = {"pgd.max_iter": 5, "pgd.num_random_init": 1}


@pytest.fixture(scope="module", params=["thermometer", "one_hot"])
def coded(request, digits, tmp_path_factory):
    defence = Thermometer(6, request.param)
    network, result = trained(
        lambda: default_network(defence.encoded_shape(digits.input_shape), 10),
        digits,
        defences=[defence],
        epochs=4,
        learning_rate=5e-3,
        cache=tmp_path_factory.mktemp("weights"),
        verbose=False,
    )
    assert result.accuracy > 0.9
    return build_classifier(network, data=digits, defences=[defence])


def test_the_quick_evaluation_is_whole_and_names_no_base(coded, digits, tmp_path):
    result = evaluate(coded, digits, attacks="quick", n_ex=30, out=tmp_path, **OPTIONS)
    record = result.record
    assert {o.status for o in record.outcomes} == {"done"}
    assert {o.scored_on for o in record.outcomes} == {"defended"}
    assert {o.knowledge for o in record.outcomes} == {"bpda", "none"}
    assert {o.surrogate for o in record.outcomes} == {"soft(alpha=10)", "identity", None}
    assert record.base_correct == ()
    assert {c.id: c.status for c in record.checks} == dict.fromkeys(
        ("C1", "C2", "C3", "C4", "C6", "C7", "C8", "C14", "C16", "C19", "C21"), "pass"
    )
    told = " ".join(c.summary for c in record.checks if c.id in ("C1", "C2"))
    assert told.count("there is no undefended one beside it") == 2
    # the attack works, and the headline is the worst of all
    worst = record.worst(0.2)
    assert worst.value < 0.5 < record.clean().value
    assert worst.count <= min(o.share.count for o in record.outcomes if o.eps == 0.2)
    assert "base" not in str(result)
    assert str(worst) in str(result)
    # what is written says the same
    page = result.report(tmp_path).read_text()
    assert "Undefended network" not in page
    again, pictures = read_run(tmp_path)
    assert again == record
    assert pictures.discretised.shape == pictures.clean.shape
    # six levels, at their middles
    assert set(np.unique(np.round(pictures.discretised * 6 - 0.5, 4))) <= set(range(6))
    rows = csv.DictReader((tmp_path / "examples.csv").read_text().splitlines())
    assert {row["base_correct"] for row in rows} == {""}


def test_the_other_checks_tell_what_cannot_be(coded, digits, digits_net):
    only = ("C5", "C12", "C13", "C17")
    result = evaluate(
        coded,
        digits,
        attacks="pgd",
        n_ex=12,
        checks=Checks("standard", n_ex=12, only=only),
        reference=digits_net,
        settings=SHORT,
        **OPTIONS,
    )
    found = {c.id: c for c in result.record.checks}
    assert {name: found[name].status for name in only} == dict.fromkeys(only, "pass")
    for name in ("identity", "ramp", "smooth", "soft(alpha=2.5)", "soft(alpha=10, leak=1)"):
        assert name in found["C5"].summary
    assert "there is no undefended one beside it" in found["C17"].summary
    assert "over the adversarially trained network" in found["C17"].summary
    assert "inference_cost" not in found["C17"].numbers


def test_planted_examples_are_found_behind_codes(coded, digits):
    checks = Checks("full", only=("C18",))
    result = evaluate(coded, digits, attacks="fgsm", n_ex=12, checks=checks, **OPTIONS)
    (found,) = (c for c in result.record.checks if c.id == "C18")
    assert found.status == "pass", found.summary
    assert found.numbers["planted"] >= 10


def test_codes_that_are_none_are_found_out(coded, digits):
    class Soft(Thermometer):
        def _make_map(self):
            made = super()._make_map()
            made.forward = made.soft
            return made

    defence = coded.defences[0]
    planted = coded.with_defences([Soft(defence.n_levels, defence.encoding)])
    checks = Checks("quick", only=("C2",))
    result = evaluate(planted, digits, attacks="fgsm", n_ex=20, checks=checks, **OPTIONS)
    (found,) = (c for c in result.record.checks if c.id == "C2")
    assert found.status == "fail"
    assert "no codeword on 20" in found.summary


def test_one_word_runs_the_published_break(coded, digits):
    result = evaluate(
        coded,
        digits,
        attacks="thermometer",
        n_ex=20,
        surrogates=("soft",),
        checks=None,
        settings={**SHORT, "square.max_iter": 50},
        **OPTIONS,
    )
    rows = result.record.outcomes
    through = {o.surrogate for o in rows if o.attack in ("sign_adam", "pgd")}
    assert through == {"soft(alpha=10)", "ramp", "identity"}
    assert {o.attack for o in rows} == {"sign_adam", "pgd", "square"}
    broken = next(o for o in rows if (o.attack, o.surrogate) == ("sign_adam", "ramp"))
    assert broken.settings == {"max_iter": 30, "eps_step": 0.0, "steps_per_eps": 8}
    assert broken.share.value < 0.8 * result.record.clean().value
    settings = {s.name: v for s, v in attack_table("thermometer")}["sign_adam"]
    request = AttackRequest(coded, 8 / 255, "inf", targeted=False, batch_size=8)
    attack = ATTACKS["sign_adam"].make(request, settings)
    assert isinstance(attack, SignAdamBPDA)
    assert attack.eps_step == pytest.approx(1 / 255)
    own = attack_table("thermometer", {"sign_adam.eps_step": 0.01, "sign_adam.max_iter": 5})
    attack = ATTACKS["sign_adam"].make(request, {s.name: v for s, v in own}["sign_adam"])
    assert (attack.eps_step, attack.max_iter) == (0.01, 5)


def test_that_word_is_for_level_codes(digits, digits_net):
    classifier = build_classifier(digits_net, data=digits, defences=[ColorDepthReduction(4)])
    with pytest.raises(InputError, match="takes the surrogate 'ramp': ColorDepthReduction takes"):
        evaluate(classifier, digits, attacks="thermometer", n_ex=5, **OPTIONS)


def test_the_papers_own_attack_is_a_weak_white_box_row(coded, digits):
    attack = LogitSpacePGA(coded, eps=0.2, verbose=False)
    result = evaluate(coded, digits, attacks=[attack, "pgd"], n_ex=30, checks=None, **OPTIONS)
    rows = result.record.outcomes
    (weak,) = (o for o in rows if o.attack == "LogitSpacePGA")
    assert (weak.status, weak.knowledge, weak.scored_on) == ("done", "bpda", "defended")
    assert weak.gradients == 7 * 30
    assert max(weak.perturbation) <= 0.2 + 1e-6
    clean = result.record.clean()
    strong = min(o.share.count for o in rows if o.attack == "pgd")
    assert strong <= weak.share.count < clean.count


def test_the_command_trains_through_the_codes(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "weights"))
    words = (
        "evaluate --dataset digits --defence thermometer:n_levels=5,encoding=one_hot --epochs 4 "
        "--n-ex 15 --eps 0.2 --attacks fgsm --checks none --quiet --out"
    )
    assert main([*words.split(), str(tmp_path / "run")]) == 0
    record = EvaluationRecord.load(tmp_path / "run" / "record.json")
    assert record.defences == ("Thermometer(n_levels=5, encoding='one_hot')",)
    assert "through Thermometer(n_levels=5" in record.network["training"]
    assert record.clean().value > 0.6
    assert "defended" in capsys.readouterr().out


def test_the_reference_beside_codes_takes_images(coded, digits, digits_net, tmp_path):
    file = tmp_path / "hardened.npz"
    save_weights(digits_net, file)
    options = make_parser().parse_args(["evaluate", "--reference", str(file)])
    reference = make_reference(options, digits, coded)
    assert weights_hash(reference) == weights_hash(digits_net)
    images = torch.tensor(digits.x_test[:5])
    assert torch.equal(reference(images), digits_net(images))
