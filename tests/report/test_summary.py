import dataclasses
import json

import pytest

from art_disc.core.intervals import clopper_pearson_lower
from art_disc.report import write_report

pytestmark = pytest.mark.usefixtures("unpainted")


def summary_of(record, folder):
    write_report(record, folder)
    return json.loads((folder / "summary.json").read_text())


def test_robustbench_s_fields_have_robustbench_s_form(tmp_path, record):
    summary = summary_of(record, tmp_path)
    assert summary["dataset"] == "mnist"
    assert summary["architecture"] == "cnn_small"
    assert summary["clean_acc"] == "97.50"
    assert summary["base_clean_acc"] == "100.00"
    assert summary["eps"] == "0.3"
    assert summary["autoattack_acc"] is None
    assert (summary["complete"], summary["seed"], summary["schema_version"]) == (True, 7, 3)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"eps": (8 / 255,)}, "8/255"),
        ({"eps": (4.0, 8.0), "clip_values": (0.0, 255.0)}, "8/255"),
        ({"eps": (0.5,), "norm": "2"}, "0.5"),
        ({"eps": ()}, None),
    ],
)
def test_eps_is_written_for_inputs_in_the_unit_range(tmp_path, make, changes, text):
    assert summary_of(make.record(**changes, outcomes=()), tmp_path)["eps"] == text


def test_the_curve_holds_the_record_s_counts(tmp_path, record, make):
    low, high = summary_of(record, tmp_path)["robust_acc"]
    for entry, eps in ((low, make.small), (high, make.large)):
        share = record.worst(eps)
        assert (entry["eps"], entry["count"], entry["total"]) == (eps, share.count, 40)
        assert entry["value"] == share.value
        assert tuple(entry["interval"]) == share.interval
        assert entry["base"]["count"] == record.worst(eps, model="base").count
        for known in ("bpda", "base"):
            alive = record.survives(eps, knowledge=(known,))
            assert entry["knowledge"][known]["count"] == sum(alive)
    assert low["knowledge"]["none"]["count"] is None, "no query attack ran at the small eps"
    assert high["knowledge"]["none"]["count"] == 35
    assert low["white_box"]
    assert high["white_box"]


def test_a_budget_that_was_never_attacked_has_no_number(tmp_path, interrupted):
    summary = summary_of(interrupted, tmp_path)
    assert summary["complete"] is False
    assert [entry["count"] for entry in summary["robust_acc"]] == [31, None]
    assert [entry["white_box"] for entry in summary["robust_acc"]] == [True, False]


def test_gradients_of_an_undefended_network_are_white_box(tmp_path, make):
    rows = (make.outcome("pgd", (1,), knowledge="base"),)
    record = make.record(eps=(make.large,), outcomes=rows)
    assert not summary_of(record, tmp_path)["robust_acc"][0]["white_box"]
    record = dataclasses.replace(record, defences=())
    assert summary_of(record, tmp_path)["robust_acc"][0]["white_box"]


def test_a_certificate_s_counts_and_exact_limit(tmp_path, certificate):
    summary = summary_of(certificate, tmp_path)
    assert [summary[v] for v in ("certified", "falsified", "undecided")] == [30, 4, 6]
    assert summary["certified_acc"] == 0.75
    assert summary["lower_limit_99"] == clopper_pearson_lower(30, 40, 0.99)
    assert summary["reasons"] == {"too many images": 4, "out of time": 2}


def test_certificates_of_an_evaluation_are_in_its_summary(tmp_path, make):
    record = make.record(certificates=(make.certificate(eps=make.large),))
    summary = summary_of(record, tmp_path)
    assert [row["certified"] for row in summary["certificates"]] == [30]
    assert summary["contradictions"] == len(record.contradictions()) > 0


def test_the_verdict_and_every_check_are_in_the_summary(tmp_path, everything, record):
    summary = summary_of(everything, tmp_path)
    assert (summary["verdict"], summary["checks_tier"]) == ("flawed", "standard")
    assert summary["verdict_words"] == "Flawed: C3 failed (of 4 standard checks)"
    assert summary["checks"] == {"C1": "pass", "C3": "fail", "C5": "not run", "C10": "pass"}
    assert summary_of(record, tmp_path)["verdict"] == "unchecked"


def test_the_grid_and_the_reference_are_in_the_summary(tmp_path, everything):
    summary = summary_of(everything, tmp_path)
    small, large = summary["robust_acc"]
    assert (small["grid"]["count"], large["grid"]["count"]) == (None, 22)
    assert (small["reference"]["count"], large["reference"]["count"]) == (None, 10)
    assert summary["clean_counts"]["reference"]["count"] == 35
