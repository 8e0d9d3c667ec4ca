"""Tables of randomised defences run again, on digits in the papers' clothes."""

import dataclasses
import hashlib
import re

import numpy as np
import pytest
from torch import nn

from art_disc.cli import main
from art_disc.core.errors import DataNotFoundError, InputError
from art_disc.core.records import Share, load_record
from art_disc.core.records.published import TableRecord
from art_disc.defences import parse_defences
from art_disc.report import as_markdown
from art_disc.reproduction import (
    certified_figures,
    published_randomised,
    randomised_run,
    recipes,
    reproduce_certified,
    reproduce_randomised,
)
from art_disc.reproduction.printed import measures
from art_disc.reproduction.randomised_tables import (
    PROTOCOLS,
    RANDOMISED_TABLES,
    Protocol,
    chosen_defences,
)
from studies.queue_plan import key_of
from tests.core.record_examples import EVALUATION
from tests.reproduction.test_rows import CLEAN, OUTCOMES

FEW = {
    "n_ex": 10, "train_steps": 60, "attack_settings": {"square.max_iter": 5}, "verbose": False,
}  # fmt: skip


def tiny(input_shape, nb_classes):
    inputs = int(np.prod(input_shape)) // 16
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(inputs, nb_classes))


@pytest.fixture
def place(tmp_path, monkeypatch, digits):
    """mnist.npz and cifar10.npz with digits, few steps and few draws."""
    for name, size, channels in (("mnist", 28, 1), ("cifar10", 32, 3)):
        found = {}
        for part in ("train", "test"):
            levels = np.rint(255 * getattr(digits, f"x_{part}")[:300, 0]).astype(np.uint8)
            side = size // 8
            wide = np.kron(levels, np.ones((1, side, side), np.uint8))
            edge = (size - 8 * side) // 2
            grey = np.pad(wide, ((0, 0), (edge, edge), (edge, edge)))
            found[f"x_{part}"] = grey if channels == 1 else np.stack([grey] * 3, axis=-1)
            found[f"y_{part}"] = getattr(digits, f"y_{part}")[:300]
        np.savez(tmp_path / f"{name}.npz", **found)
        fast = {"epochs": 1, "batch_size": 30, "learning_rate": 0.02}
        trainings = dict.fromkeys(recipes.EXPERIMENTS[name].trainings, fast)
        own = dataclasses.replace(recipes.EXPERIMENTS[name], network=tiny, trainings=trainings)
        monkeypatch.setitem(recipes.EXPERIMENTS, name, own)
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PROTOCOLS, "mnist", Protocol(2, 0.5, 3))
    monkeypatch.setattr(randomised_run, "COLOUR", Protocol(2, 0.5, 3))
    monkeypatch.setattr(randomised_run, "VOTES", 5)
    return tmp_path


def test_the_papers_attack_is_on_the_relaxed_defence_and_the_worst_counts_ours(
    place, capsys, monkeypatch
):
    words = [
        "reproduce", "zhang2019-figure2", "--setting", "randdisc", "--eps", "0.1", "0.2", "--n-ex",
        "10", "--train-steps", "60", "--set", "square.max_iter=5", "--data-dir", str(place),
        "--out", str(place), "--quiet",
    ]  # fmt: skip
    assert main(words) == 0
    record = TableRecord.load(place / "zhang2019-figure2-randdisc.json")
    assert [(r.defence, r.eps) for r in record.rows] == [
        ("", 0.1), ("", 0.2), ("randdisc:preset=mnist", 0.1), ("randdisc:preset=mnist", 0.2)
    ]  # fmt: skip
    base, far, row, _ = record.rows
    assert (base.printed_clean, base.printed_robust, row.printed_robust) == (99.2, 12.0, 94.4)
    assert far.printed_robust is None
    assert row.attack.startswith("ProjectedGradientDescent")
    assert base.attack.startswith("pgd")
    for words in ("pgd", "square", "ProjectedGradientDescent", "transfer from the base"):
        assert words in row.worst_of
    for one in record.rows:
        assert one.worst.count <= min(one.papers_attack.count, one.white_box.count)
        assert one.worst.count <= one.correct.count("1")
    # three gradients a step of each white box, one of the base
    assert row.gradients > 2 * base.gradients
    assert record.base_of(row) == base
    assert "94.4%" in as_markdown(record)
    wanted = {("mnist", "disc_nat_pre", "randdisc:preset=mnist", 0, 0.1),
              ("mnist", "nat_pre", "none", 0, None)}  # fmt: skip
    assert wanted <= measures(record)
    # a network that is right of something, which attacks break
    assert base.correct.count("1") > base.worst.count
    # all of it is on the disk
    capsys.readouterr()
    monkeypatch.setattr(randomised_run, "evaluate", None)
    again = reproduce_randomised(
        "zhang2019-figure2", out=place, defences=["randdisc"], eps=[0.1, 0.2], data_dir=place, **FEW
    )
    assert again.rows == record.rows


def test_the_printed_numbers_are_those_that_were_held_against_the_paper():
    # defences, attacks, budgets and values; whoever changes one has the paper at hand
    every = [row for number in ("1", "2a", "2b", "text") for row in published_randomised(number)]
    text = "\n".join(repr(dataclasses.astuple(row)) for row in every)
    assert len(every) == 100
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "c4e3886fb91cf4ae93d37e553eea495cefaaf2dbdee93d77452892dbce21dea9"
    )


def test_the_worst_counts_transfers_and_queries_and_the_white_box_column_neither(
    place, monkeypatch
):
    stage = recipes.Stage.of("mnist", place, 30)
    facts = {
        "labels": (0,) * 9, "example_ids": tuple(range(9)), "base_correct": (True,) * 9,
        "defended_correct": CLEAN, "outcomes": OUTCOMES, "eps": (0.3, 0.4), "certificates": (),
    }  # fmt: skip
    record = dataclasses.replace(EVALUATION, **facts)
    monkeypatch.setattr(randomised_run, "_attacked", lambda *_: record)
    table = RANDOMISED_TABLES["zhang2019-figure2"]
    request = randomised_run._Request(table, 9, place, {}, 0, verbose=False)
    row = randomised_run.run_randomised("noise:sigma=0.15", 0.3, stage, request)
    # broken: 0 and 1 from the base, 2 and 3 through surrogates, 6 by queries; 8 is wrong as it is
    assert row.alive == "000011010"
    assert row.correct == "111111110"
    assert row.white_box == Share(6, 9)


def test_what_stands_in_for_imagenet_has_nothing_printed_beside_it(place):
    record = reproduce_randomised(
        "zhang2019-table2b", out=place, defences=["bitdepth"], data_dir=place, **FEW
    )
    base, row = record.rows
    assert (row.dataset, row.setting, row.defence) == ("cifar10", "disc_adv_pre", "bitdepth:bits=2")
    assert (base.printed_robust, row.printed_robust) == (None, None)
    assert any("cifar10 stands in for imagenet" in words for words in row.differs)
    # made on the undefended network alone
    assert "transfer from the base" in row.worst_of
    assert "square" not in row.worst_of
    assert row.white_box.count == row.correct.count("1")
    with pytest.raises(DataNotFoundError, match=r"put imagenet\.npz"):
        reproduce_randomised("zhang2019-table2a", out=place, datasets=["imagenet"], **FEW)
    table = RANDOMISED_TABLES["zhang2019-table2a"]
    assert table.printed("imagenet", "randmix:preset=imagenet", "robust", 2 / 255) == 48.3
    table = RANDOMISED_TABLES["zhang2019-table2b"]
    assert table.printed("imagenet", "randdisc:preset=competition", "robust", 8 / 255) == 72.4


def test_a_figure_over_gradients_has_a_row_for_each_number(place):
    record = reproduce_randomised(
        "zhang2019-figure4c", out=place, defences=["noise:sigma=32/255"], data_dir=place,
        gradients=[1, 10], **FEW,
    )  # fmt: skip
    assert record.complete
    words = "noise:sigma=32/255, mean of {} gradients"
    assert [row.defence for row in record.rows] == ["", words.format(1), words.format(10)]
    _, one, ten = record.rows
    # as many draws more for each step of PGD; the queries and the base's gradients are the same
    steps, base = 2, record.rows[0].gradients
    assert ten.gradients - one.gradients == pytest.approx(steps * 9, rel=0.5)
    assert one.gradients > base
    assert [key_of(row)[2] for row in record.rows] == ["none", words.format(1), words.format(10)]
    table = RANDOMISED_TABLES["zhang2019-figure4c"]
    assert table.numbers("none") == (0,)
    assert table.numbers("randmix:preset=imagenet") == (1, 10, 100)
    assert RANDOMISED_TABLES["zhang2019-table2a"].numbers("resizepad") == (0,)


def test_swept_figures_hold_the_printed_setting():
    for name in ("zhang2019-figure4a", "zhang2019-figure4b"):
        table = RANDOMISED_TABLES[name]
        assert table.printed("imagenet", "randmix:preset=imagenet", "robust", 1 / 255) == 60.7
        assert "randmix:preset=imagenet" in table.defences
        assert len(set(table.defences)) == len(table.defences)
        for defence in table.defences:
            made = parse_defences(defence)
            assert len(made) == (defence != "none")
    sigmas = [255 * parse_defences(d)[0].sigma for d in
              RANDOMISED_TABLES["zhang2019-figure4a"].defences if d != "none"]  # fmt: skip
    assert sigmas == pytest.approx([8, 16, 32, 48, 64, 0, 8, 16, 32, 48, 64])
    clusters = [parse_defences(d)[0].n_clusters for d in
                RANDOMISED_TABLES["zhang2019-figure4b"].defences if d != "none"]  # fmt: skip
    assert clusters == [2, 3, 5, 10, 20]
    # one of several with the same first word
    (_, only) = chosen_defences("zhang2019-figure4b", defences=["randmix:preset=imagenet"])
    assert only == "randmix:preset=imagenet"
    assert len(chosen_defences("zhang2019-figure4b", defences=["randmix"])) == 6


def test_certificates_stand_beside_the_attack(place, capsys, monkeypatch):
    monkeypatch.setattr(certified_figures, "VOTES", 5)
    words = ["reproduce", "zhang2019-figure3", "--setting", "adaptive", "down-sampled", "--n-ex",
             "6", "--train-steps", "60", "--data-dir", str(place), "--out", str(place)]  # fmt: skip
    assert main([*words, "--quiet"]) == 0
    record = load_record(place / "zhang2019-figure3-adaptive-down-sampled.json")
    assert record.complete
    adaptive = [row for row in record.rows if row.line == "adaptive"]
    pooled = [row for row in record.rows if row.line == "down-sampled"]
    assert [row.eps for row in adaptive] == [0.01, 0.02, 0.05, 0.07, 0.1]
    # table 1 of the paper, down to what each budget's filter and stride are
    found = {}
    for row in pooled:
        found[row.eps] = tuple(int(n) for n in re.findall(r"(?:pool|stride) (\d+)", row.defence))
    assert {eps: pooling_of(eps) for eps in found} == found
    # Proposition 1 proves nothing there, whatever the votes: the centres' own term
    assert all(row.tight.count == row.pinsker.count == 0 for row in adaptive if row.eps >= 0.015)
    assert [row.printed for row in adaptive] == [None, None, None, None, 94.4]
    assert any(row.tight.count for row in pooled)
    for row in record.rows:
        assert row.contradicted == 0
        assert row.pinsker.count <= row.tight.count <= row.attacked.count <= row.clean.count
    assert "94.4%" in capsys.readouterr().out
    assert (place / "zhang2019-figure3-adaptive-down-sampled-mnist.svg").is_file()


def pooling_of(eps):
    """Return filter and stride of table 1 for a budget."""
    rows = published_randomised("1")
    least = min(row.eps for row in rows if row.eps >= eps - 1e-9)
    both = {row.metric: int(row.value) for row in rows if row.eps == least}
    return both["filter"], both["stride"]


def test_what_a_table_lacks_is_refused(tmp_path):
    assert chosen_defences("zhang2019-table2b", defences=["jpeg"]) == ("none", "jpeg:ratio=4")
    for words, match in (
        ({"name": "zhang2019-table9"}, "unknown table"),
        ({"defences": ["lqvae"]}, "has no setting"),
        ({"datasets": ["mnist"]}, "dataset must"),
        ({"attack_settings": {"deepfool.max_iter": 1}}, "deepfool"),
    ):
        with pytest.raises(InputError, match=match):
            reproduce_randomised(**({"name": "zhang2019-table2a", "out": tmp_path} | words))
    for words, match in (
        ({"name": "zhang2019-figure9"}, "name must"),
        ({"lines": ["x"]}, "has no setting"),
    ):
        with pytest.raises(InputError, match=match):
            reproduce_certified(**({"name": "zhang2019-figure3", "out": tmp_path} | words))
