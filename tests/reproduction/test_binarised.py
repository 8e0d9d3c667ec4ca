"""Tables of binarised networks and input bits run again, on digits in MNIST's clothes."""

import dataclasses
import hashlib

import numpy as np
import pytest

from art_disc.attacks import suite_surrogates
from art_disc.cli import main
from art_disc.core.errors import DataNotFoundError, InputError
from art_disc.core.records import load_record
from art_disc.core.records.protocols import ActivationRecord, ProtocolTableRecord
from art_disc.estimators import build_classifier
from art_disc.networks import fcn2
from art_disc.networks.latent import binarised_layers
from art_disc.report import as_markdown, as_text, eps_figures
from art_disc.reproduction import (
    BINARISED_TABLES,
    binarised_recipes,
    published_networks,
    reproduce_binarised,
)
from art_disc.reproduction.binarised_recipes import RECIPES, recipe_for
from art_disc.reproduction.binarised_tables import chosen_networks
from art_disc.reproduction.figure6 import first_layer_norms
from art_disc.reproduction.protocols import ATTACKS, Attack, starts
from art_disc.training import Distilled, RandomStepFGSM, cache


def _narrow(*shape, **options):
    return fcn2(*shape, widths=(64, 64), **options)


# before anything stands in its place
FCN2 = RECIPES["fcn2"]
SMALL = dataclasses.replace(FCN2, network=_narrow)
FEW = {"n_ex": 40, "train_steps": 130, "verbose": False}
EPS = (0.05, 0.1, 0.2)


@pytest.fixture(scope="module")
def place(tmp_path_factory, digits):
    """mnist.npz that holds digits, the small network in place of FCN2, and a cache of its own."""
    folder = tmp_path_factory.mktemp("binarised")
    levels = {
        f"x_{part}": np.rint(255 * getattr(digits, f"x_{part}")[:, 0]).astype(np.uint8)
        for part in ("train", "test")
    }
    np.savez(folder / "mnist.npz", y_train=digits.y_train, y_test=digits.y_test, **levels)
    patch = pytest.MonkeyPatch()
    patch.setenv("ART_DISC_CACHE", str(folder / "cache"))
    patch.setitem(binarised_recipes.RECIPES, "fcn2", SMALL)
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def table5(place, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    brief = {"pgd.max_iter": 3, "code_space.max_iter": 2, "code_space.neighbours": 2}
    few = {"attacks": ["pgd", "code_space"], "attack_settings": brief, "eps": EPS}
    found = reproduce_binarised(
        "panda2019-table5", out=out, models=["BNN-2b", "Full-2b", "BNN-8b"], data_dir=place,
        **few, **FEW,
    )  # fmt: skip
    return found, out, few


def test_the_printed_figures_are_those_that_were_held_against_the_paper():
    every = [row for number in "123456" for row in published_networks(number)]
    text = "\n".join(repr(dataclasses.astuple(row)) for row in every)
    assert len(every) == 26
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "c4292e311c6d170e531a403b6a8929146ddd365410258d6be048afb1c915006c"
    )
    table = {row.model: row for row in published_networks("5")}
    assert (table["BNN-2b"].clean, table["BNN-2b"].robust) == (96.4, (96.4, 60.7, 62.3))
    assert table["BNN-2b"].robust_at(0.2) == 60.7
    assert table["BNN-2b"].robust_at(0.15) is None
    assert published_networks("4")[0].budgets == (8 / 255, 16 / 255, 32 / 255)
    with pytest.raises(InputError, match="panda2019 1"):
        published_networks("7")


def test_every_row_has_a_network_of_its_bits_and_a_recipe():
    for name, table in BINARISED_TABLES.items():
        for row in chosen_networks(name):
            assert row.precision in recipe_for(row.dataset).trainings
            assert row.dataset in table.architecture
            assert row.defence == ("none" if row.bits == 8 else f"bitdepth:bits={row.bits}")
            assert bool(table.budgets(row)) == (name != "panda2019-table1")
    for words in ({"datasets": ["gtsrb"]}, {"models": ["BNN-3b"]}):
        with pytest.raises(InputError, match="it has"):
            chosen_networks("panda2019-table5", **words)
    with pytest.raises(InputError, match="unknown table"):
        chosen_networks("panda2019-table9")
    with pytest.raises(InputError, match="'fcn1' for cifar10; there are cifar_small"):
        recipe_for("cifar10", "fcn1")


def test_the_recipes_are_of_the_published_shapes():
    for recipe, width in ((RECIPES["fcn1"], 6144), (FCN2, 600)):
        layers = binarised_layers(recipe.network((1, 28, 28), 10, binarization="bnn"))
        sizes = [(layer.in_features, layer.out_features) for layer in layers]
        assert sizes == [(784, width), *[(width, width)] * 3, (width, 10)]


def test_a_recipe_trains_a_pair_of_one_width_behind_a_defence(place, digits):
    pair = {
        word: SMALL.trained(
            digits, word, defences="bitdepth:bits=2", train_steps=130, verbose=False
        )
        for word in ("bnn", "real")
    }
    shapes = [
        [p.shape for p in each.classifier.base_network.parameters()] for each in pair.values()
    ]
    assert shapes[0] == shapes[1]
    assert len(binarised_layers(pair["bnn"].classifier.base_network)) == 3
    assert not binarised_layers(pair["real"].classifier.base_network)
    for each in pair.values():
        right = each.classifier.predict(digits.x_test).argmax(axis=1) == digits.y_test
        # what was trained behind the defence predicts behind it
        assert right.mean() == pytest.approx(each.result.accuracy)
        assert right.mean() > 0.6
        assert each.result.weights in each.training
        assert [d.bits for d in each.classifier.defences] == [2]


def test_steps_shorten_a_recipe_first_by_epochs_then_by_images(place, digits):
    def told(steps, adversary=None):
        return SMALL.trained(digits, adversary=adversary, train_steps=steps, verbose=False).training

    # 1297 images are 13 batches of 100
    assert "1 epochs" in told(1)
    assert "2 epochs" in told(26)
    assert "R-FGSM, eps 0.3)" in told(1, SMALL.adversary)
    for wrong in ({"precision": "xnor"}, {"train_steps": 0}):
        with pytest.raises(InputError):
            SMALL.trained(digits, verbose=False, **wrong)


def test_the_papers_attackers_start_from_the_cell_centres_and_raw_ones_from_the_image(digits):
    classifier = build_classifier(_narrow((1, 8, 8), 10), data=digits, defences="bitdepth:bits=2")
    begun = starts(classifier, digits, "paper")
    centres = np.float32([32, 96, 160, 224]) / np.float32(255)
    assert np.isin(begun.x_test, centres).all()
    assert 0.12 < np.abs(begun.x_test - digits.x_test).max() <= 32 / 255 + 1e-6
    assert np.array_equal(begun.y_test, digits.y_test)
    assert starts(classifier, digits, "raw") is digits
    assert np.array_equal(classifier.predict(begun.x_test), classifier.predict(digits.x_test))
    with pytest.raises(InputError, match="protocol must be"):
        starts(classifier, digits, "white")


def test_below_half_a_cell_the_papers_protocol_changes_nothing_and_raw_does(table5):
    record, *_ = table5
    half = 32 / 255
    for model in ("BNN-2b", "Full-2b"):
        rows = {row.eps: row for row in record.rows if row.model == model}
        assert sorted(rows) == [0.05, 0.1, 0.2]
        for eps, row in rows.items():
            paper, raw = row.under("paper"), row.under("raw")
            assert paper.start == pytest.approx(half, abs=1e-6)
            assert raw.start == 0.0
            if eps < half:
                # the plateau: no attack at all could change a code
                assert paper.free == 0
                assert paper.fgsm == row.correct
                assert raw.free > 0.02
            else:
                assert paper.free == 1
        # and the fall
        assert rows[0.1].under("raw").worst.value < rows[0.1].under("paper").worst.value - 0.05
        assert (
            rows[0.2].under("paper").after_fgsm.value < rows[0.1].under("paper").worst.value - 0.3
        )


def test_without_a_discretisation_both_protocols_are_one(table5):
    record, *_ = table5
    rows = [row for row in record.rows if row.bits == 8]
    assert [row.model for row in rows] == ["BNN-8b"] * 3
    for row in rows:
        paper, raw = row.under("paper"), row.under("raw")
        assert paper.fgsm == raw.fgsm
        assert (paper.start, paper.free, raw.free) == (0, None, None)
        assert any("both protocols are one" in phrase for phrase in row.differs)
    assert rows[-1].under("raw").fgsm.count("1") < rows[-1].correct.count("1") - 10


def test_the_worst_case_is_of_all_attacks_and_goes_through_signs(table5):
    record, *_ = table5
    for row in record.rows:
        raw = row.under("raw")
        assert raw.worst.count <= raw.after_fgsm.count <= row.correct.count("1")
        assert len(row.correct) == 40
        assert row.clean.total == 500
        assert raw.gradients > row.under("paper").gradients > 0
        assert raw.worst_of.startswith("fgsm")
        assert "pgd (max_iter 3" in raw.worst_of
    # the attacks after the first have what stands
    stand = [row for row in record.rows if row.under("raw").worst.count]
    assert {(row.precision, row.bits) for row in stand} >= {("bnn", 2), ("real", 2)}
    for row in stand:
        words = row.under("raw").worst_of
        assert ("ste_identity" in words) == (row.precision == "bnn")
        assert ("code_space" in words) == (row.bits == 2)
        assert "in sequence" in words
    assert any(row.under("raw").alive != row.under("raw").fgsm for row in record.rows)


def test_ours_stands_beside_theirs_and_what_differs_is_said(table5):
    record, out, _ = table5
    assert record.complete
    assert len(record.rows) == 9
    by_model = {(row.model, row.eps): row for row in record.rows}
    assert by_model["BNN-2b", 0.1].printed_robust == 96.4
    assert by_model["BNN-2b", 0.05].printed_robust is None
    assert by_model["Full-2b", 0.2].printed_clean == 97.8
    text, page = as_text(record), as_markdown(record)
    for words in (text, page):
        assert "paper: FGSM" in words
        assert "raw: worst of all" in words
        assert "up to 0.1255 from the raw ones" in words
        assert "first 40 of the 500 test images" in words
        assert "theirs: FCN1 (784-6144x4-10), 20 epochs" in words
        assert "training shortened" in words
        assert f"{by_model['BNN-2b', 0.1].clean.value:.1%}" in words
    kept = load_record(out / "panda2019-table5-BNN-2b-Full-2b-BNN-8b.json")
    assert isinstance(kept, ProtocolTableRecord)
    assert kept.rows == record.rows
    assert list(eps_figures(record)) == ["mnist"]


def test_what_is_there_is_not_run_again(table5, place, monkeypatch):
    record, out, few = table5

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(cache, "Training", never)
    monkeypatch.setattr("art_disc.evaluation.runner.Runner._attack", never)
    again = reproduce_binarised(
        "panda2019-table5", out=out, models=["BNN-2b"], data_dir=place, **few, **FEW
    )
    assert again.rows == record.rows[:3]


def test_a_recipe_takes_a_loss_of_its_own_with_and_without_an_adversary(digits):
    data = digits.subset(n_train=200, n_test=50)
    options = {"train_steps": 2, "verbose": False}
    twin = SMALL.trained(data, "real", **options).classifier.model
    found = [
        SMALL.trained(data, objective=objective, adversary=adversary, **options)
        for objective in (None, Distilled(twin))
        for adversary in (None, RandomStepFGSM(0.1))
    ]
    assert len({made.result.weights for made in found}) == 4
    assert ["distilled" in made.training for made in found] == [False, False, True, True]
    assert ["R-FGSM" in made.training for made in found] == [False, True, False, True]


def test_attacks_have_the_tables_settings_and_gradients(digits):
    classifier = build_classifier(_narrow((1, 8, 8), 10), data=digits, defences="bitdepth:bits=2")
    assert Attack(5)._settings(["pgd"]) == {"pgd.max_iter": 20, "pgd.num_random_init": 1}
    changed = Attack(5, settings={"pgd.max_iter": 3, "square.p_init": 0.5})
    assert changed._settings(["pgd"]) == {"pgd.max_iter": 3, "pgd.num_random_init": 1}
    assert Attack(5)._surrogates(classifier) == suite_surrogates("binarised")
    assert set(ATTACKS) == {"pgd", "apgd_ce", "apgd_dlr", "square", "code_space"}
    real = build_classifier(_narrow((1, 8, 8), 10, binarization="real"), data=digits)
    assert Attack(5)._surrogates(real) == ()


def test_commands_run_tables_protocol_by_protocol(place, tmp_path, capsys):
    words = [
        "reproduce", "panda2019-figure5", "--dataset", "mnist", "--setting", "BNN", "--protocol",
        "paper", "--n-ex", "10", "--train-steps", "130", "--data-dir", str(place), "--out",
        str(tmp_path), "--quiet", "--json", str(tmp_path / "copy.json"),
    ]  # fmt: skip
    assert main(words) == 0
    told = capsys.readouterr().out
    record = ProtocolTableRecord.load(tmp_path / "copy.json")
    assert [row.eps for row in record.rows] == [0.05, 0.1, 0.12, 0.13, 0.2, 0.3]
    assert {one.protocol for row in record.rows for one in row.outcomes} == {"paper"}
    assert "raw: FGSM" not in told
    assert (tmp_path / "panda2019-figure5-mnist-BNN.md").is_file()
    for wrong in (
        ["panda2019-table5", "--codes", "2"],
        ["panda2019-table5", "--network", "fcn3"],
        ["panda2019-table5", "--setting", "BNN-3b"],
        ["panda2019-table5", "--set", "deepfool.max_iter=3"],
        ["chen2018-table3", "--protocol", "raw"],
        ["panda2019-figure6", "--protocol", "raw"],
    ):
        assert main(["reproduce", *wrong, "--data-dir", str(place), "--out", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith("art-disc: ")


def test_tables_of_clean_accuracy_attack_nothing(place, tmp_path, monkeypatch):
    monkeypatch.setattr(Attack, "on", None)
    mnist = tuple(
        dataclasses.replace(row, dataset="mnist")
        for row in published_networks("1")
        if row.bits == 3
    )
    table = dataclasses.replace(
        BINARISED_TABLES["panda2019-table1"], rows=lambda: mnist, architecture={"mnist": "theirs"}
    )
    monkeypatch.setitem(BINARISED_TABLES, "panda2019-table1", table)
    (row,) = reproduce_binarised("panda2019-table1", out=tmp_path, data_dir=place, **FEW).rows
    assert (row.eps, row.outcomes, row.printed_clean) == (0.0, (), 86.64)
    assert row.clean.value > 0.6
    assert "FGSM" not in as_text(load_record(tmp_path / "panda2019-table1.json"))


def test_figures_that_need_images_of_the_users_own_say_so_and_take_them(
    place, tmp_path, capsys, monkeypatch, digits
):
    assert main(["reproduce"]) == 0
    told = capsys.readouterr().out
    for name in ("panda2019-figure7", "panda2019-figure8"):
        (line,) = (row for row in told.splitlines() if name in row)
        assert "not run here" in line
    with pytest.raises(DataNotFoundError, match=r"put cifar100\.npz with .* looked for nothing"):
        reproduce_binarised("panda2019-figure7", out=tmp_path, **FEW)
    colour = {
        f"x_{part}": np.repeat(getattr(digits, f"x_{part}")[:60], 3, axis=1)
        for part in ("train", "test")
    }
    np.savez(
        tmp_path / "cifar100.npz", y_train=digits.y_train[:60], y_test=digits.y_test[:60], **colour
    )
    own = dataclasses.replace(RECIPES["resnet20"], network=_narrow)
    monkeypatch.setitem(binarised_recipes.RECIPES, "resnet20", own)
    record = reproduce_binarised(
        "panda2019-figure7", out=tmp_path, models=["XNOR-2b"], eps=[0.1], attacks=(), n_ex=5,
        train_steps=1, data_dir=tmp_path, verbose=False,
    )  # fmt: skip
    (row,) = record.rows
    assert (row.precision, row.dataset, row.eps) == ("xnor", "cifar100", 0.1)


def test_the_norms_of_figure_6_are_of_the_first_products(place, tmp_path, capsys, digits):
    network = _narrow((1, 8, 8), 10).eval()
    signs = binarised_layers(network)[0].signs.detach().numpy()
    flat = digits.x_test[:9].reshape(9, -1)
    wanted = np.abs(flat @ signs.T).mean(axis=1)
    assert np.allclose(first_layer_norms(network, digits.x_test[:9]), wanted, rtol=1e-5)
    assert not network.layers[1]._forward_hooks
    words = [
        "reproduce", "panda2019-figure6", "--n-ex", "20", "--train-steps", "130", "--data-dir",
        str(place), "--out", str(tmp_path), "--quiet",
    ]  # fmt: skip
    assert main(words) == 0
    record = ActivationRecord.load(tmp_path / "panda2019-figure6.json")
    assert [(r.precision, r.eps) for r in record.rows] == [
        (p, eps) for p in ("bnn", "real") for eps in (0.0, 0.1, 0.3)
    ]
    for row in record.rows:
        assert list(row.norms) == sorted(row.norms)
        assert record.scale(row) > 0
    clean, _, far = record.rows[:3]
    assert far.accuracy.count < clean.accuracy.count
    assert far.norms != clean.norms
    # weights of -1 and +1 are larger than real ones
    assert record.scale(record.rows[0]) > record.scale(record.rows[3])
    assert "1.000" in capsys.readouterr().out
    with pytest.raises(InputError, match="a row at eps 0 with norms is missing"):
        dataclasses.replace(record, rows=record.rows[1:])
