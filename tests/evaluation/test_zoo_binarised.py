"""The zoo on a binarised network, alone and behind two bits, beside its twin of full precision."""

from functools import partial

import pytest

import art_disc as ad
from art_disc.attacks import ATTACKS
from art_disc.core.errors import FileFormatError
from art_disc.core.records.zoo import ZooRecord
from art_disc.evaluation.zoo.matrix import zoo_matrix
from art_disc.networks import SignGradient, fcn2
from art_disc.report.page import made_by, render
from art_disc.report.views import view_of
from art_disc.training import trained
from tests.evaluation.test_zoo import SLOW


@pytest.fixture(scope="module")
def twin(digits, tmp_path_factory):
    options = {"cache": tmp_path_factory.mktemp("weights"), "verbose": False}
    make = partial(fcn2, (1, 8, 8), widths=(128, 128), binarization="real")
    return trained(make, digits, epochs=8, **options)[0]


@pytest.fixture(scope="module")
def models(digits, digits_signs, twin):
    made = partial(ad.build_classifier, data=digits)
    bits = made(digits_signs, defences="bitdepth:bits=2")
    return {"real": made(twin), "signs": made(digits_signs), "signs, two bits": bits}


def run(models, digits, attacks):
    lines = {name: f"training of {name}" for name in models}
    return zoo_matrix(models, digits, attacks=attacks, n_ex=4, training=lines, verbose=False)


@pytest.fixture(scope="module")
def record(models, digits):
    return run(models, digits, [name for name in ATTACKS if name not in SLOW])


def test_no_attack_fails_for_a_reason_on_our_side(record):
    assert record.flaws() == ()


def test_gradients_are_alive_where_those_of_the_twin_are(record):
    seen = 0
    for cell in record.cells:
        twin = record.cell(cell.attack, "real")
        if cell.gradient_attack and cell.finished and twin.seen_gradients > twin.zero_gradients:
            if cell.seen_gradients:
                assert cell.zero_gradients < cell.seen_gradients, cell
            if not twin.zero_gradients:
                assert cell.zero_gradients == 0, cell
            seen += cell.defence != "real"
    assert seen > 40


def test_attacks_lower_the_binarised_network(record):
    for name in ("signs", "signs, two bits"):
        lowered = [c.attack for c in record.cells if c.defence == name and c.status == "lowered"]
        assert {"fgsm", "pgd", "apgd_dlr", "sign_adam", "square"} <= set(lowered), name


def test_a_record_of_several_networks_names_each(record, tmp_path):
    assert record.network["training"] == "training of real"
    assert [record.networks[n]["training"] for n in ("signs", "signs, two bits")] == [
        "training of signs",
        "training of signs, two bits",
    ]
    assert len({record.network["weights"], *(n["weights"] for n in record.networks.values())}) == 2
    assert ZooRecord.load(record.save(tmp_path / "zoo.json")) == record
    page = render(view_of(record).document(record), made_by(record))
    assert "Network of signs, two bits" in page
    body = record.to_dict()
    body["networks"]["nobody"] = body["networks"].pop("signs")
    with pytest.raises(FileFormatError, match="networks"):
        ZooRecord.from_dict(body)


def test_a_gradient_that_saturated_logits_hide_is_a_flaw(models, digits, loud_signs):
    # louder still, on images that are right: only these have none
    loud = ad.build_classifier(loud_signs, data=digits)
    mute = loud.with_surrogate(SignGradient(temperature=2**-10))
    right = loud.predict(digits.x_test).argmax(axis=1) == digits.y_test
    data = digits.x_test[right], digits.y_test[right]
    found = run({"real": models["real"], "mute": mute}, data, ["fgsm"]).flaws()
    assert [flaw.partition(", of")[0] for flaw in found] == [
        "fgsm on mute got zero gradients alone"
    ]
    cooled = loud.with_surrogate("ste_hard_tanh:256")
    assert run({"real": models["real"], "cooled": cooled}, data, ["fgsm"]).flaws() == ()
