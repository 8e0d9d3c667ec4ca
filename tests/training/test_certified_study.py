"""The study of certified training, in its smallest form."""

import json

import pytest

from art_disc.training import CodeAdversary
from studies import certified_page, certified_training, common
from studies.varied import varied


def test_it_trains_certifies_and_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "commit", lambda: "here")
    words = ["--smoke", "--eps", "0.1", "--n-ex", "40", "--threads", "1", "--work", str(tmp_path)]
    words += ["--attacked", "10", "--suites", "quick", "--validate", "--vary", "kappa=0.4"]
    certified_training.main(words)
    (file,) = tmp_path.rglob("result.json")
    found = json.loads(file.read_text())
    assert [row["epoch"] for row in found["epochs"]] == list(range(1, 9))
    assert found["epochs"][-1]["ibp"] > 0.1
    counts = [found["certificates"][m]["certified"] for m in ("bounds", "complete")]
    assert 40 >= counts[1] >= counts[0] > 4
    assert found["dataset"]["certified"] == "held out"
    assert "kappa 0.4" in found["objective"]
    (left,) = found["attacks"]
    assert (left["images"], left["certified_and_broken"]) == (10, 0)
    assert left["unbroken"] < 10
    certified_training.main(words)
    again = json.loads(file.read_text())
    assert not found["cached"]
    assert again["cached"]
    assert again["epochs"] == found["epochs"]
    assert again["network"] == found["network"]
    # the training is the same one at another commit, and where other images are certified
    monkeypatch.setattr(common, "commit", lambda: "there")
    words.remove("--validate")
    certified_training.main([*words, "--suites"])
    (later,) = set(tmp_path.rglob("result.json")) - {file}
    later = json.loads(later.read_text())
    assert later["cached"]
    assert later["network"] == found["network"]
    assert later["dataset"]["certified"] == "test"
    assert later["attacks"] == []


def test_a_preset_is_varied_by_names():
    changes = [
        "adversary=codes:5",
        "train_eps=0.2",
        "activation=ramp",
        "epochs=7",
        "l1=0",
        "kappa=.95",
    ]
    preset = varied(certified_training.certified_preset(0.1), changes)
    assert preset.objective.adversary == CodeAdversary(0.2, steps=5)
    assert preset.network["activation"] == "ramp"
    assert (preset.settings["epochs"], preset.settings["l1"]) == (7, 0)
    assert (preset.settings["batch_size"], preset.objective.kappa) == (256, 0.95)
    assert varied(preset, ["adversary=codes"]).objective.adversary == CodeAdversary(0.2)
    assert varied(preset, ["batch_norm=False"]).network["batch_norm"] is False
    with pytest.raises(SystemExit, match=r"each name once, got kappa again"):
        varied(preset, ["kappa=0.4", "kappa=0.5"])
    with pytest.raises(SystemExit, match=r"expected NAME=VALUE of .*kappa.*, got kapa=1"):
        varied(preset, ["kapa=1"])


def test_runs_that_differ_have_other_names():
    names = [
        certified_training.name_of(certified_training.parsed(["--eps", "0.1", *words]))
        for words in (
            [], ["--smoke"], ["--validate"], ["--seed", "1"], ["--n-ex", "10"],
            ["--vary", "kappa=0.9"], ["--vary", "kappa=0.95"], ["--dataset", "fashion_mnist"],
            ["--defence", "margin:eps=0.1"],
        )
    ]  # fmt: skip
    assert len(set(names)) == len(names)


def test_another_budget_has_no_preset():
    with pytest.raises(Exception, match=r"presets for eps 2/255, 0.1, 0.2, 0.3, got 0.25"):
        certified_training.certified_preset(0.25)


def test_the_page_takes_nothing_for_seeds_or_test_images_that_is_not(tmp_path, monkeypatch):
    (path, *_) = sorted((common.RESULTS / certified_page.TRIED).glob("*.json"))
    text = path.read_text()
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(certified_page, "RESULTS", tmp_path)
    for folder in (certified_page.TRIED, certified_page.TESTED):
        (tmp_path / folder).mkdir()
    tried = tmp_path / certified_page.TRIED
    (tried / "a.json").write_text(text)
    other = json.loads(text)
    other["results"]["seed"] = 1
    (tried / "b.json").write_text(json.dumps(other))
    (row,) = certified_page.rows(certified_page.TRIED)
    assert len(row.studies) == 2
    other["results"]["objective_facts"]["certified"]["leak"] = 0.5
    (tried / "b.json").write_text(json.dumps(other))
    assert len(certified_page.rows(certified_page.TRIED)) == 2
    (tried / "b.json").write_text(text)
    with pytest.raises(ValueError, match="that another file tells of too"):
        certified_page.rows(certified_page.TRIED)
    (tmp_path / certified_page.TESTED / "c.json").write_text(text)
    with pytest.raises(ValueError, match="not those of its folder"):
        certified_page.rows(certified_page.TESTED)
