"""The study of certified training, in its smallest form."""

import json

import pytest

from studies import certified_training, common


def test_it_trains_certifies_and_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "commit", lambda: "here")
    words = ["--smoke", "--eps", "0.1", "--n-ex", "40", "--threads", "1", "--work", str(tmp_path)]
    words += ["--attacked", "10"]
    certified_training.main(words)
    (file,) = tmp_path.rglob("result.json")
    found = json.loads(file.read_text())
    assert [row["epoch"] for row in found["epochs"]] == list(range(1, 9))
    assert found["epochs"][-1]["ibp"] > 0.1
    counts = [found["certificates"][m]["certified"] for m in ("bounds", "complete")]
    assert 40 >= counts[1] >= counts[0] > 4
    left = found["attacks"]
    assert (left["images"], left["certified_and_broken"]) == (10, 0)
    assert left["unbroken"] < 10
    certified_training.main(words)
    again = json.loads(file.read_text())
    assert not found["cached"]
    assert again["cached"]
    assert again["epochs"] == found["epochs"]
    assert again["network"] == found["network"]


def test_another_budget_has_no_preset():
    with pytest.raises(Exception, match=r"presets for eps 2/255, 0.1, 0.2, 0.3, got 0.25"):
        certified_training.certified_preset(0.25)
