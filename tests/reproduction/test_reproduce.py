"""Published tables run again, on digits in MNIST's clothes."""

import dataclasses
import re

import numpy as np
import pytest
from torch import nn

from art_disc.certificates.methods import METHODS
from art_disc.cli import main
from art_disc.core.errors import DataNotFoundError, InputError
from art_disc.core.records import load_record
from art_disc.core.records.published import CertificateTableRecord, TableRecord
from art_disc.defences import parse_defences
from art_disc.metrics import free_pixels
from art_disc.report import as_markdown, as_text
from art_disc.reproduction import (
    TABLES,
    figure5,
    published,
    published_certificates,
    recipes,
    reproduce,
    reproduce_certificates,
    reproduce_figure5,
    rows,
)
from art_disc.reproduction.recipes import Stage, experiment
from art_disc.reproduction.tables import chosen_rows
from art_disc.surrogates import SoftAssignment
from art_disc.training import cache
from tests.core.record_examples import RECORDS

SMALL = {
    "n_ex": 20,
    "train_steps": 60,
    "attack_settings": {
        "sign_adam.max_iter": 6,
        "sign_adam.eps_step": 0.1,
        "pgd.max_iter": 6,
        "apgd_ce.max_iter": 5,
        "apgd_dlr.max_iter": 5,
        "square.max_iter": 10,
        "code_space.max_iter": 2,
        "code_space.num_random_init": 1,
    },
    "verbose": False,
}


def tiny(input_shape, nb_classes):
    return nn.Sequential(
        nn.AvgPool2d(4), nn.Flatten(), nn.Linear(49, 32), nn.ReLU(), nn.Linear(32, nb_classes)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """mnist.npz with digits of 28x28, and a cache of its own."""
    place = tmp_path_factory.mktemp("data")

    def large(x):
        levels = np.rint(255 * x[:, 0]).astype(np.uint8)
        return np.pad(np.kron(levels, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))

    np.savez(
        place / "mnist.npz",
        x_train=large(digits.x_train),
        y_train=digits.y_train,
        x_test=large(digits.x_test),
        y_test=digits.y_test,
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("ART_DISC_CACHE", str(place / "cache"))
    own = dataclasses.replace(recipes.EXPERIMENTS["mnist"], network=tiny)
    patch.setitem(recipes.EXPERIMENTS, "mnist", own)
    yield place
    patch.undo()


@pytest.fixture(scope="module")
def table3(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    settings = ["disc_nat_pre", "disc_nat_re"]
    found = reproduce("chen2018-table3", out=out, settings=settings, data_dir=folder, **SMALL)
    return found, out


def test_the_printed_figures_are_the_papers():
    # Chen et al. 2018, Tables 3 and 4; Chen et al. 2019, Tables I to III
    table = {(r.setting, r.n_codes): (r.clean, r.robust) for r in published("chen2018", "3")}
    assert table["disc_adv_pre", 2] == (98.17, 97.24)
    assert table["nat_pre", 0] == (99.17, 0.0)
    assert table["disc_nat_re", 2] == (99.12, 82.02)
    (row,) = [
        r for r in published("chen2018", "4") if (r.setting, r.n_codes) == ("disc_nat_re", 50)
    ]
    assert (row.clean, row.robust, row.eps, row.radius) == (89.7, 37.1, 2 / 255, 48 / 255)
    colour = {(r.dataset, r.setting, r.n_codes): r.robust for r in published("chen2019", "1")}
    assert colour["cifar10", "disc_nat_pre", 8] == 9.12
    medoids = {(r.dataset, r.setting): r.clean for r in published("chen2019", "3") if r.n_codes}
    assert medoids["gtsrb", "disc_nat_pre"] == 97.31
    assert [r.unable for r in published_certificates("chen2019", "4")][3] == 29.18
    for paper, number in (("chen2018", "9"), ("zhang2019", "1")):
        with pytest.raises(InputError, match="there are chen2018"):
            published(paper, number)
    with pytest.raises(InputError, match="chen2018 2"):
        published_certificates("chen2018", "3")


def test_every_table_has_rows_that_can_be_run():
    for name in TABLES:
        for row in chosen_rows(name):
            assert (row.dataset == "imagenet") == (name == "chen2018-table5")
            assert experiment(row.dataset)
            made = parse_defences(row.spec(10.0, 3))
            assert len(made) == (row.defence != "none")
            for defence in made:
                assert defence.surrogate.name == SoftAssignment(10).name
                assert defence.codebook.n_codes == row.n_codes > 1
                assert getattr(defence.codebook, "radius", row.radius) == row.radius
                assert getattr(defence.codebook, "random_state", 3) == 3
    assert {r.n_codes for r in chosen_rows("kmedoids-codes")} == {0, 2, 5, 10, 50, 100, 300}
    assert all(r.clean is None for r in chosen_rows("kmedoids-codes", n_codes=[50]) if r.n_codes)
    with pytest.raises(InputError, match="no experiment for celeba"):
        experiment("celeba")
    with pytest.raises(InputError, match="unknown table"):
        chosen_rows("chen2018-table9")
    for words in ({"datasets": ["svhn"]}, {"settings": ["nat"]}, {"n_codes": [7]}):
        with pytest.raises(InputError, match="it has"):
            chosen_rows("chen2018-table4", **words)


def test_rows_of_imagenet_are_of_images_of_the_users_own(folder, tmp_path, monkeypatch, digits):
    with pytest.raises(DataNotFoundError, match=r"put imagenet\.npz, or .* looked for nothing"):
        reproduce("chen2018-table5", out=tmp_path, **SMALL)
    draw = np.random.default_rng(0)
    images = {f"x_{part}": draw.random((60, 3, 8, 8), np.float32) for part in ("train", "test")}
    labels = {f"y_{part}": getattr(digits, f"y_{part}")[:60] for part in ("train", "test")}
    np.savez(tmp_path / "imagenet.npz", **images, **labels)

    def small(input_shape, nb_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), nb_classes))

    own = dataclasses.replace(recipes.EXPERIMENTS["imagenet"], network=small)
    monkeypatch.setitem(recipes.EXPERIMENTS, "imagenet", own)
    record = reproduce(
        "chen2018-table5", out=tmp_path, settings=["disc_nat_pre"], n_codes=[10],
        data_dir=tmp_path, **(SMALL | {"n_ex": 5, "train_steps": 1}),
    )  # fmt: skip
    assert [(r.dataset, r.setting, r.printed_clean) for r in record.rows] == [
        ("imagenet", "nat_pre", 94.5), ("imagenet", "disc_nat_pre", 53.9)
    ]  # fmt: skip
    assert "theirs: trained networks of others" in " ".join(record.rows[1].differs)


def test_our_pgd_takes_no_step_over_a_quarter_of_the_budget(tmp_path):
    def step(setting, paper, number, dataset):
        every = chosen_rows(f"{paper}-table{number}", datasets=[dataset])
        row = next(r for r in every if r.setting == setting)
        request = rows.RowRequest(n_ex=1, out=tmp_path, eps=(row.eps,))
        return 255 * rows._settings(row, experiment(dataset), request)["pgd.eps_step"]

    assert step("nat_pre", "chen2019", "2", "cifar10") == pytest.approx(2)
    assert step("disc_nat_pre", "chen2019", "2", "cifar10") == pytest.approx(0.5)
    assert step("disc_adv_pre", "chen2019", "2", "gtsrb") == pytest.approx(2)
    assert step("disc_nat_pre", "chen2019", "2", "mnist") == pytest.approx(2.55)


def test_bases_come_first_and_only_those_that_are_needed():
    found = chosen_rows("chen2018-table4", settings=["disc_nat_pre"], n_codes=[10, 300])
    assert [(r.setting, r.n_codes) for r in found] == [
        ("nat_pre", 0), ("disc_nat_pre", 10), ("disc_nat_pre", 300)
    ]  # fmt: skip


def test_ours_stands_beside_theirs(table3):
    record, out = table3
    assert [row.setting for row in record.rows] == ["nat_pre", "disc_nat_pre", "disc_nat_re"]
    assert [row.printed_robust for row in record.rows] == [0.0, 75.3, 82.02]
    assert record.complete
    for row in record.rows:
        assert row.worst.count <= row.papers_attack.count <= row.correct.count("1")
        assert len(row.alive) == len(row.correct) == 20
        assert row.clean.total == 500
        assert row.clean.value > 0.3
        assert row.gradients > 0
        assert row.queries >= 10
        assert any("first 20 of the 500 test images" in phrase for phrase in row.differs)
        assert any("shortened" in phrase for phrase in row.differs)
    base, pre, again = record.rows
    assert base.attack.startswith("pgd (max_iter 6")
    assert "soft(alpha=10)" in pre.attack
    assert pre.attack.startswith("sign_adam (max_iter 6")
    assert (base.codes_found, pre.codes_found) == (0, 2)
    assert "identity" in pre.worst_of
    assert "transfer from the base" in pre.worst_of
    assert "retrained" in again.network
    # our attacks: every one of them, through every surrogate, from the base, and by queries
    for attack in ("sign_adam", "pgd", "apgd_ce", "apgd_dlr"):
        for through in ("soft(alpha=10)", "soft(alpha=10, leak=1)", "identity", "transfer"):
            assert re.search(rf"{attack} \([^)]*\) {re.escape(through)}", pre.worst_of), through
    assert "square (max_iter 10" in pre.worst_of
    # and on the codes themselves, where there are some
    assert "code_space (max_iter 2" in pre.worst_of
    assert "code_space" not in base.worst_of
    # PGD is the papers' on the base; ours takes no step over a quarter of the budget
    assert "eps_step 0.01)" in base.attack
    assert pre.worst.count <= pre.white_box.count
    assert any("max_iter 6" in phrase for phrase in pre.differs)
    name = "chen2018-table3-disc_nat_pre-disc_nat_re.json"
    # another test may have gone on with the finished table, a second later
    kept = TableRecord.load(out / name)
    assert dataclasses.replace(kept, environment=record.environment) == record


def test_what_is_there_is_not_run_again(table3, folder, monkeypatch):
    record, out = table3

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(cache, "Training", never)
    monkeypatch.setattr("art_disc.evaluation.runner.Runner._attack", never)
    again = reproduce(
        "chen2018-table3",
        out=out,
        settings=["disc_nat_pre", "disc_nat_re"],
        data_dir=folder,
        **SMALL,
    )
    assert again.rows == record.rows


def test_a_figure_over_eps_takes_the_same_networks(folder, tmp_path, capsys, monkeypatch):
    words = [
        "reproduce", "chen2018-figure1", "--setting", "disc_nat_pre", "--n-ex", "20",
        "--train-steps", "60", "--data-dir", str(folder), "--out", str(tmp_path), "--quiet",
        "--attacks", "sign_adam,pgd", "--set", "sign_adam.max_iter=3", "--set", "pgd.max_iter=3",
        "--json", str(tmp_path / "copy" / "figure.json"),
    ]  # fmt: skip
    assert main(words) == 0
    told = capsys.readouterr().out
    record = TableRecord.load(tmp_path / "chen2018-figure1-disc_nat_pre.json")
    assert TableRecord.load(tmp_path / "copy" / "figure.json") == record
    assert [row.eps for row in record.rows] == [0.1, 0.2, 0.3] * 2
    worst = [row.worst.count for row in record.rows]
    assert worst[0] >= worst[1] >= worst[2]
    # only the published budget has a printed number
    assert [row.printed_robust for row in record.rows] == [None, None, 0.0, None, None, 75.3]
    assert (tmp_path / "chen2018-figure1-disc_nat_pre-mnist.svg").read_bytes().startswith(b"<?xml")
    assert "differs (mnist): attacked: first 20" in told
    # the papers' attack cannot be left out
    with pytest.raises(InputError, match="pgd, sign_adam is left out"):
        reproduce("chen2018-table3", out=tmp_path, attacks=["square"], data_dir=folder, n_ex=5,
                  settings=["nat_pre"], train_steps=60, verbose=False)  # fmt: skip


def test_a_figure_of_certificates_has_those_that_lie_beside_it(folder, tmp_path, capsys):
    words = [
        "reproduce", "chen2018-figure3", "--setting", "nat_pre", "--n-ex", "10", "--eps", "0.1",
        "0.3", "--train-steps", "60", "--data-dir", str(folder), "--out", str(tmp_path),
        "--attacks", "sign_adam,pgd", "--set", "sign_adam.max_iter=2", "--set", "pgd.max_iter=2",
    ]  # fmt: skip
    picture = tmp_path / "chen2018-figure3-nat_pre-mnist.svg"
    assert main(words) == 0
    assert "art-disc reproduce chen2018-table2 writes" in capsys.readouterr().err
    alone = picture.read_bytes()
    (record,) = (r for r in RECORDS if isinstance(r, CertificateTableRecord))
    record.save(tmp_path / "chen2018-table2.json")
    assert main(words) == 0
    assert "no certificates" not in capsys.readouterr().err
    assert len(picture.read_bytes()) > len(alone)
    for name, of in (("chen2018-figure3", "chen2018"), ("chen2019-figure4", "chen2019")):
        assert {row.paper for row in chosen_rows(name)} == {of}
        assert [row.setting for row in chosen_rows(name)] == ["nat_pre", "adv_pre", "disc_adv_pre"]
        (number,) = (t.removeprefix(f"{of}-table") for t in [TABLES[name].certificates])
        budgets = tuple(row.eps for row in published_certificates(of, number) if row.eps)
        assert TABLES[name].eps == budgets


def test_text_and_markdown_say_the_same(table3):
    record, _ = table3
    text, page = as_text(record), as_markdown(record)
    for row, gain in zip(record.rows[1:], record.gains().values(), strict=True):
        for words in (text, page):
            assert f"{row.clean.value:.1%}" in words
            assert f"{100 * gain.difference:+.1f} [" in words
            assert f"{row.printed_robust:g}%" in words
    cells = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    assert {len(line) for line in cells} == {11}


def test_certificates_beside_the_printed_ones(folder, tmp_path, capsys):
    words = [
        "reproduce", "chen2019-table4", "--n-ex", "6", "--train-steps", "60", "--max-free", "6",
        "--data-dir", str(folder), "--out", str(tmp_path), "--quiet",
    ]  # fmt: skip
    assert main(words) == 0
    record = CertificateTableRecord.load(tmp_path / "chen2019-table4.json")
    assert [row.eps for row in record.rows] == [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
    for row, theirs in zip(record.rows, published_certificates("chen2019", "4"), strict=True):
        assert row.printed_success == theirs.success
        assert row.total == 6
        assert row.images == 500
        assert 0 <= row.limit <= row.certified / 6
        assert row.unable_exact <= row.images
    certified = [row.certified for row in record.rows]
    assert certified == sorted(certified, reverse=True)
    assert record.rows[0].undecided == 0
    assert "lower limit" in capsys.readouterr().out
    with pytest.raises(InputError, match="there are chen2018-table2"):
        reproduce_certificates("chen2018-table3")


def test_certificates_by_search_on_a_random_sample(folder, tmp_path, capsys, monkeypatch):
    words = [
        "reproduce", "chen2019-table4", "--method", "complete", "--sample", "random", "--n-ex", "5",
        "--nodes", "20", "--seconds", "600", "--train-steps", "60", "--data-dir", str(folder),
        "--out", str(tmp_path), "--quiet",
    ]  # fmt: skip
    assert main(words) == 0
    told = capsys.readouterr().out
    record = CertificateTableRecord.load(tmp_path / "chen2019-table4.json")
    wanted = {"method": "complete", "sample": "random", "spend_nodes": 20}
    assert wanted.items() <= record.settings.items()
    assert "a random 5 test images by complete" in told
    rows = record.rows
    assert all(row.total == 5 and row.method == "complete" for row in rows)
    assert [r.certified for r in rows] == sorted((r.certified for r in rows), reverse=True)
    assert [r.falsified for r in rows] == sorted(r.falsified for r in rows)
    assert rows[-1].unable == 5 > rows[0].unable == 0
    assert len({r.wrong_when_clean for r in rows}) == 1
    # all of it is on the disk: nothing is decided again, and the sample is not the first ones
    monkeypatch.setitem(METHODS, "complete", lambda p, _: {}.fromkeys(p.to_decide))
    # nor for the other paper, which prints the same budgets
    assert main([words[0], "chen2018-table2", *words[2:]]) == 0
    other = CertificateTableRecord.load(tmp_path / "chen2018-table2.json").rows
    assert [(r.eps, r.certified, r.falsified) for r in other] == [
        (r.eps, r.certified, r.falsified) for r in rows
    ]
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().out == told


def test_options_of_certificates_are_refused_elsewhere(capsys, tmp_path):
    for words in (["chen2018-table3", "--method", "bounds"], ["chen2019-figure5", "--jobs", "2"]):
        assert main(["reproduce", *words, "--out", str(tmp_path)]) == 2
        assert f"{words[1]} has no meaning for {words[0]}" in capsys.readouterr().err
    assert main(["reproduce", "chen2018-table2", "--nodes", "2", "--out", str(tmp_path)]) == 2
    assert "--nodes is of --method complete" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"sample": "last"}, "sample must be"),
        ({"method": "x"}, "method must"),
        ({"n_jobs": 0}, "n_jobs must"),
        ({"max_free": 41}, "max_free must"),
        ({"spend": {"nodes": 1}}, "spend must"),
        ({"n_ex": 0}, "n_ex must"),
        ({"n_ex": 10**6, "sample": "random"}, "n_ex must"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_training(
    folder, tmp_path, monkeypatch, wrong, match
):
    monkeypatch.setattr(Stage, "trained", None)
    with pytest.raises(InputError, match=match):
        reproduce_certificates("chen2018-table2", out=tmp_path, data_dir=folder, **wrong)


def test_figure_5_counts_free_pixels_for_two_codes(folder, tmp_path, monkeypatch, digits):
    import art_disc as ad

    monkeypatch.setattr(figure5, "_PANELS", (("mnist", 2, 0.6, 0.3, 0.06),))
    record = reproduce_figure5(out=tmp_path, n_ex=50, data_dir=folder)
    (row,) = record.rows
    data = ad.load_dataset("mnist", data_dir=folder)
    book = ad.DensityCodebook(2, radius=0.6).fit(data.x_train)
    free = np.median(free_pixels(data.x_test[:50], book, eps=0.3))
    assert row.exponent == pytest.approx(free)
    assert row.exact == pytest.approx(free / 784)
    assert row.printed == 0.06
    assert load_record(tmp_path / "chen2019-figure5.json") == record
    assert (tmp_path / "chen2019-figure5-mnist.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_table_they_are_listed(capsys, folder, tmp_path):
    assert main(["reproduce"]) == 0
    told = capsys.readouterr().out
    for name in (*TABLES, "chen2018-table2", "chen2019-figure5"):
        assert name in told
    for words in (
        ["chen2018-table9"],
        ["chen2018-table2", "--codes", "2"],
        ["chen2019-figure5", "--max-free", "3"],
        ["chen2018-table3", "--train-steps", "0"],
        ["chen2018-table3", "--max-free", "3"],
        ["chen2018-table3", "--set", "deepfool.max_iter=3"],
    ):
        assert main(["reproduce", *words, "--data-dir", str(folder), "--out", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith("art-disc: ")
    assert main(["reproduce", "chen2018-table9"]) == 2
    told = capsys.readouterr().err
    assert "unknown table" in told
    assert "chen2019-table4" in told
    assert "chen2019-figure5" in told
