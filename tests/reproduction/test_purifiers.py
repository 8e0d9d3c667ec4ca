"""Tables of purifiers run again, on digits in MNIST's clothes."""

import dataclasses
import hashlib
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from art_disc.cli import main
from art_disc.core.errors import DataNotFoundError, InputError
from art_disc.core.records import base, load_record
from art_disc.core.records.purifiers import (
    BitFlipRecord,
    PurifierCell,
    PurifierRow,
    PurifierTableRecord,
    Share,
)
from art_disc.data import load_dataset
from art_disc.estimators import build_classifier
from art_disc.networks import Stack, classifier_a, classifier_b, classifier_c, lqvae, weights_hash
from art_disc.report import as_markdown, as_text
from art_disc.reproduction import (
    protocols,
    published_purifiers,
    purifier_bench,
    purifier_recipes,
    reproduce_purifiers,
)
from art_disc.reproduction.purifier_end_to_end import EndToEnd, unanimous
from art_disc.reproduction.purifier_recipes import TRAININGS, trained_classifier, trained_lqvae
from art_disc.reproduction.purifier_tables import chosen_purifiers
from art_disc.reproduction.rows import bits_of
from art_disc.reproduction.tables import images_of
from art_disc.training import cache
from art_disc.training.lqvae_settings import PRESETS

SMALL = Stack(down=((8, 1), (12, 2)), up=((8, 2),), hidden=32)
FEW = {"n_ex": 30, "train_steps": 130, "verbose": False}
BRIEF = {"cw_l2.max_iter": 5, "cw_l2.binary_search_steps": 2, "deepfool.max_iter": 10}


@pytest.fixture(scope="module")
def place(tmp_path_factory, digits):
    """mnist.npz that holds digits, a small LQ-VAE, and a cache of its own."""
    folder = tmp_path_factory.mktemp("purifiers")
    levels = {
        f"x_{part}": np.rint(255 * getattr(digits, f"x_{part}")[:, 0]).astype(np.uint8)
        for part in ("train", "test")
    }
    np.savez(folder / "mnist.npz", y_train=digits.y_train, y_test=digits.y_test, **levels)
    patch = pytest.MonkeyPatch()
    patch.setenv("ART_DISC_CACHE", str(folder / "cache"))
    small = {"stack": SMALL, "latent": 24, "learning_rate": 5e-3}
    patch.setitem(PRESETS, "code", PRESETS["code"] | small)
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def table2(place, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    few = {"models": ["C"], "data_dir": place, "attack_settings": BRIEF, **FEW}
    return reproduce_purifiers("kyatham2020-table2", out=out, **few), out, few


def by_hand(network, data, eps=0.3, n=30):
    """FGSM without ART: the images, and the labels."""
    x = torch.tensor(data.x_test[:n], requires_grad=True)
    y = torch.tensor(data.y_test[:n])
    torch.nn.functional.cross_entropy(network(x), y).backward()
    return (x + eps * x.grad.sign()).clamp(0, 1).detach(), y


def right(network, images, y):
    return (network(images).argmax(dim=1) == y).detach().numpy()


def networks_of(place):
    """C by every training, and the LQ-VAE, as the tables take them from the cache."""
    data = load_dataset("mnist", data_dir=place)
    steps = {"train_steps": FEW["train_steps"], "verbose": False}
    made = {name: trained_classifier(data, "C", name, **steps) for name in TRAININGS}
    found = {name: one.classifier.base_network for name, one in made.items()}
    return data, found, trained_lqvae(data, **steps).network


def test_the_printed_figures_are_those_that_were_held_against_the_paper():
    every = [row for number in "1234567" for row in published_purifiers(number)]
    text = "\n".join(repr(dataclasses.astuple(row)) for row in every)
    assert len(every) == 53
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "0102ac0466d7e9b69e469f5d0552577bd249cb73665fb8ea4323498feac99aad"
    )
    # the paper's own averages of its rows
    averages = {"1": 77.40, "2": 93.76, "3": 74.01, "4": 90.10, "5": 79.65, "6": 83.81}
    for number, average in averages.items():
        rows = published_purifiers(number)
        assert sum(row.lqvae for row in rows) / len(rows) == pytest.approx(average, abs=0.011)
    with pytest.raises(InputError, match="kyatham2020 1"):
        published_purifiers("8")


def test_rows_are_chosen_and_what_a_table_lacks_is_refused():
    assert len(chosen_purifiers("kyatham2020-table7")) == 6
    assert [row.setting for row in chosen_purifiers("kyatham2020-table4", models=["C/A"])] == [
        "C/A"
    ]
    for words in ({"datasets": ["cifar10"]}, {"models": ["A/B"]}, {"attacks": ["square"]}):
        with pytest.raises(InputError, match=r"kyatham2020-table2 has no .*; it has"):
            chosen_purifiers("kyatham2020-table2", **words)
    with pytest.raises(InputError, match="unknown table"):
        chosen_purifiers("kyatham2020-table9")


def test_the_classifiers_have_the_printed_layers():
    def shapes(network):
        return [tuple(p.shape) for p in network.parameters() if p.ndim > 1]

    assert shapes(classifier_a()) == [
        (64, 1, 5, 5), (64, 64, 5, 5), (128, 64 * 12 * 12), (10, 128),
    ]  # fmt: skip
    assert shapes(classifier_b()) == [
        (64, 1, 8, 8), (128, 64, 6, 6), (128, 128, 5, 5), (10, 128),
    ]  # fmt: skip
    assert shapes(classifier_c()) == [(200, 784), (200, 200), (10, 200)]
    colour = torch.rand(2, 3, 64, 64)
    for make in (classifier_a, classifier_b, classifier_c):
        assert make((3, 64, 64), 2)(colour).shape == (2, 2)
    with pytest.raises(InputError, match="at least 28x28"):
        classifier_b((1, 8, 8))


def test_the_grey_box_is_made_on_the_classifier_alone_and_the_rest_on_themselves(table2, place):
    record, *_ = table2
    data, found, vae = networks_of(place)
    row = next(row for row in record.rows if row.attack == "fgsm")
    clean, y = by_hand(found["none"], data, eps=0.0)
    images, _ = by_hand(found["none"], data)
    for name, network in found.items():
        own, _ = by_hand(network, data)
        alive = right(network, clean, y) & right(network, own, y)
        assert row.cell(name, "white box").alive == bits_of(alive)
    behind = right(found["none"], vae(clean), y) & right(found["none"], vae(images), y)
    assert row.cell("lqvae", "grey box").alive == bits_of(behind)
    # it does something, and the filter takes some of it away again
    left = [
        row.cell(*column).left.count for column in (("none", "white box"), ("lqvae", "grey box"))
    ]
    assert left[0] < left[1] < 24


def test_attacks_without_a_budget_go_as_far_as_they_must(table2):
    record, *_ = table2
    rows = {row.attack: row for row in record.rows}
    assert [row.eps for row in rows.values()] == [0.3, None, None]
    for name in ("deepfool", "cw_l2"):
        plain, filtered = (
            rows[name].cell(*c) for c in (("none", "white box"), ("lqvae", "grey box"))
        )
        assert plain.left.count < 0.4 * 30
        assert plain.left.count < filtered.left.count
        assert rows[name].cell("pgd_trained", "white box").clean.total == 500


def test_black_box_examples_are_made_on_the_substitute(place, table2):
    _, out, few = table2
    record = reproduce_purifiers(
        "kyatham2020-table4", out=out, **few | {"models": ["C/A"], "attack_settings": {}}
    )
    assert (out / "kyatham2020-table4-C-A.json").is_file()
    (row,) = record.rows
    data, found, _ = networks_of(place)
    steps = {"train_steps": FEW["train_steps"], "verbose": False}
    substitute = trained_classifier(data, "A", **steps).classifier.base_network
    images, y = by_hand(substitute, data)
    target = found["none"]
    alive = right(target, torch.tensor(data.x_test[:30]), y) & right(target, images, y)
    assert row.cell("none", "black box").alive == bits_of(alive)
    assert {cell.knowledge for cell in row.cells} == {"black box"}
    assert (row.model, row.cell("pgd_trained", "black box").printed) == ("C/A", 90.59)


def test_ours_stands_beside_theirs_and_every_column_says_what_is_known(table2):
    record, out, _ = table2
    assert record.complete
    text, page = as_text(record), as_markdown(record)
    for words in (text, page):
        assert "LQ-VAE (grey box): printed" in words
        assert "LQ-VAE (grey box): ours" in words
        assert "Defense-GAN (grey box): printed" in words
        assert "Defense-GAN (grey box): ours" not in words
        assert "someone who does not know of the filter" in words
        assert "83.02%" in words
        # of C alone
        assert f"{(83.02 + 97.42 + 97.36) / 3:.4g}%" in words
        assert "trainings shortened" in words
        assert f"{record.rows[0].cell('lqvae', 'grey box').clean.value:.1%}" in words
    kept = load_record(out / "kyatham2020-table2-C.json")
    assert isinstance(kept, PurifierTableRecord)
    assert kept.rows == record.rows


def test_another_budget_has_no_printed_number(table2):
    _, out, few = table2
    record = reproduce_purifiers(
        "kyatham2020-table2", out=out, attacks=["fgsm"], eps=[0.1], **few | {"attack_settings": {}}
    )
    (row,) = record.rows
    assert row.eps == 0.1
    assert {cell.printed for cell in row.cells} == {None}


def test_what_is_there_is_not_made_again(table2, monkeypatch):
    record, out, few = table2

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(cache, "Training", never)
    monkeypatch.setattr(purifier_bench, "run_trial", never)
    monkeypatch.setattr(purifier_recipes.LQVAE, "fit", never)
    assert reproduce_purifiers("kyatham2020-table2", out=out, **few).rows == record.rows


def test_a_damaged_fit_in_the_cache_costs_a_fit(place, digits, monkeypatch):
    few = {"train_steps": 2, "verbose": False}
    first = trained_lqvae(digits, **few)
    (file,) = (place / "cache").glob(f"{digits.name}-LQVAE-*.npz")
    file.write_bytes(b"PK")
    assert weights_hash(trained_lqvae(digits, **few).network) == weights_hash(first.network)
    assert not list((place / "cache").glob("*.part.npz"))
    assert trained_lqvae(digits, "paper", **few).penalty == "jacobian"


def test_tables_train_the_published_code_for_half_of_its_steps(place, digits, monkeypatch):
    asked = []

    def told(vae, *_, **__):
        asked.append(vae.steps)
        raise InputError

    monkeypatch.setattr(purifier_recipes.LQVAE, "fit", told)
    for preset, few in (("code", None), ("certified", None), ("code", 7)):
        with pytest.raises(InputError):
            trained_lqvae(digits, preset, train_steps=few, verbose=False)
    assert asked == [5_000, 3_000, 7]


def test_end_to_end_the_filter_is_known(place, tmp_path, capsys):
    words = [
        "reproduce", "kyatham2020-table7", "--setting", "C", "--dataset", "mnist", "--eps", "0.15",
        "0.3", "--attacks", "pgd", "--set", "pgd.max_iter=4", "--n-ex", "24", "--train-steps",
        "130", "--data-dir", str(place), "--out", str(tmp_path), "--quiet",
    ]  # fmt: skip
    assert main(words) == 0
    record = load_record(tmp_path / "kyatham2020-table7-mnist-C.json")
    assert record.complete
    assert [row.eps for row in record.rows] == [0.15, 0.3]
    tried = set()
    for row in record.rows:
        step, worst, vote, draw, fixed = (
            row.cell(*column)
            for column in (
                *(("lqvae", f"end to end, {rule}") for rule in ("one step", "worst")),
                *(
                    ("lqvae_sampled", f"end to end, {rule}")
                    for rule in ("majority vote", "worst draw", "fixed draws")
                ),
            )
        )
        assert step.printed == (83.7 if row.eps == 0.15 else None)
        codes = row.cell("lqvae", "end to end, latent codes")
        assert worst.left.count <= min(step.left.count, codes.left.count)
        assert codes.left.count < 0.7 * 24
        assert "LatentCodeAttack" in codes.attacks
        assert draw.left.count <= vote.left.count
        assert fixed.left.count < 0.9 * 24
        assert "softcode; " in f"{fixed.attacks}; "
        for cell in (vote, draw):
            assert {"softcode", "tent", "transfer from the base"} <= {
                words.rpartition(") ")[2] for words in cell.attacks.split("; ")
            }
        tried.update(worst.attacks.split("; "))
    for surrogate in ("softcode(c=1)", "tent", "latent", "identity", "transfer from the base"):
        assert any(words.endswith(surrogate) for words in tried)
    small, large = (row.cell("lqvae", "end to end, worst").left.count for row in record.rows)
    assert large <= small < 0.7 * 24
    # most images that were right are not under an attack that knows the filter
    assert large < 0.3 * 24
    assert "right where every one of fresh draws is" in capsys.readouterr().out


def test_codes_are_aimed_at_on_images_that_stand(place, tmp_path, monkeypatch):
    data, made, seen = load_dataset("mnist", data_dir=place), purifier_bench.run_trial, []

    def watched(trial):
        seen.append((trial.budget.eps, len(trial.x)))
        return made(trial)

    monkeypatch.setattr(purifier_bench, "run_trial", watched)
    bench = purifier_bench.Bench(data, 30, tmp_path, train_steps=130, verbose=False)
    judged = bench.judged("C", "lqvae")
    left = EndToEnd(bench, "C")._aimed(judged, (0.1, 0.02))
    right, small, large = judged.right[:30], left[0.02], left[0.1]
    assert seen == [(0.02, right.sum()), (0.1, small.sum())]
    assert large.sum() < small.sum() <= right.sum() < 30
    assert not (large & ~small).any()
    assert not (small & ~right).any()
    again = purifier_bench.Bench(data, 30, tmp_path, train_steps=130, verbose=False)
    assert np.array_equal(EndToEnd(again, "C")._aimed(judged, (0.02,))[0.02], small)
    assert len(seen) == 2


def test_images_of_other_code_are_made_again(place, tmp_path, monkeypatch):
    bench = purifier_bench.Bench(
        load_dataset("mnist", data_dir=place), 5, tmp_path, train_steps=130, verbose=False
    )
    for commit in ("a", "b", "b"):
        monkeypatch.setattr(base, "commit", lambda commit=commit: commit)
        bench.examples(bench.judged("C"), "fgsm", 0.1)
    assert len(list((tmp_path / "examples").iterdir())) == 2


def test_checks_are_of_the_attacks_beside_fgsm(digits, digits_net, tmp_path, monkeypatch):
    asked = []

    def watched(*_, checks, **__):
        asked.append(checks)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return SimpleNamespace(record=None)

    monkeypatch.setattr(protocols, "evaluate", watched)
    attack = protocols.Attack(5, ["pgd"], surrogates=(), verbose=False, checks="standard")
    classifier = build_classifier(digits_net, data=digits)
    with pytest.raises(KeyboardInterrupt):
        attack.on(classifier, digits, "raw", (0.1,), out=tmp_path)
    assert asked == [None, "standard"]


def test_one_wrong_draw_is_enough():
    def outcome(right, draws):
        return SimpleNamespace(draw_correct=right, draws=draws)

    found = [outcome((3, 3, 2), 3), outcome((3, 2, 3), 3)]
    record = SimpleNamespace(survives=lambda _: (True, True, True), select=lambda **_: found)
    assert unanimous(record, 0.1) == (True, False, False)
    record.survives = lambda _: (False, True, True)
    assert unanimous(record, 0.1) == (False, False, False)


def test_images_are_kept_part_by_part(place, tmp_path, monkeypatch):
    data = load_dataset("mnist", data_dir=place)
    made, calls, seeds = purifier_bench.run_trial, [], set()

    def stopped(trial):
        calls.append(len(trial.x))
        seeds.add(trial.seeds(0))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return made(trial)

    def images(folder):
        bench = purifier_bench.Bench(data, 230, folder, train_steps=130, verbose=False)
        return bench.examples(bench.judged("C"), "pgd", 0.2)[0]

    whole = images(tmp_path / "whole")
    monkeypatch.setattr(purifier_bench, "run_trial", stopped)
    with pytest.raises(KeyboardInterrupt):
        images(tmp_path / "parts")
    assert np.array_equal(images(tmp_path / "parts"), whole)
    assert calls == [100, 100, 30, 30]
    # each part has a seed of its own
    assert len(seeds) == 3
    monkeypatch.setattr(purifier_bench, "run_trial", made)
    changes = np.abs(whole - data.x_test[:230]).max(axis=(1, 2, 3))
    assert changes.max() == pytest.approx(0.2, abs=1e-6)
    assert (changes > 0.1).mean() > 0.9


def test_figure_3_counts_the_bits(place, tmp_path, capsys):
    grey = {"models": ["C"], "attacks": ["fgsm"], "data_dir": place, **FEW | {"n_ex": 24}}
    reproduce_purifiers("kyatham2020-table2", out=tmp_path, **grey)
    assert len(list((tmp_path / "examples").glob("mnist-fgsm-*.npz"))) == len(TRAININGS)
    words = [
        "reproduce", "kyatham2020-figure3", "--setting", "C", "--n-ex", "24", "--train-steps",
        "130", "--set", "cw_l2.max_iter=5", "--set", "cw_l2.binary_search_steps=2",
        "--data-dir", str(place), "--out", str(tmp_path), "--quiet",
    ]  # fmt: skip
    assert main(words) == 0
    record = load_record(tmp_path / "kyatham2020-figure3.json")
    assert isinstance(record, BitFlipRecord)
    data, _, vae = networks_of(place)
    cw, fgsm = record.rows
    assert (cw.knowledge, fgsm.knowledge) == ("grey box", "end to end, one step")
    (file,) = (tmp_path / "examples").glob("mnist-cw_l2-*.npz")
    moved = torch.tensor(np.load(file)["x"])
    codes = [vae.hard(vae.encode(i)[0]) for i in (torch.tensor(data.x_test[:24]), moved)]
    flips = (codes[0] != codes[1]).sum(dim=1).numpy()
    assert list(cw.curve) == [float((flips <= k).mean()) for k in range(25)]
    assert flips.max() > 0
    # 6 % of 24 bits is one
    assert cw.within(0.06) == float((flips <= 1).mean())
    # those of the table know nothing of the filter
    assert len(list((tmp_path / "examples").glob("mnist-fgsm-*.npz"))) == len(TRAININGS) + 1
    # an attack that knows the filter flips more
    assert fgsm.within(0.06) < cw.within(0.06)
    told = capsys.readouterr().out
    assert "at most 6 % flipped, printed" in told
    assert "over 90%" in told
    with pytest.raises(InputError, match="curve must rise to 1"):
        dataclasses.replace(cw, curve=(0.5, 0.25, 1.0))


def test_celeba_is_of_images_of_the_users_own(tmp_path, monkeypatch):
    # table 9's layers have 60 million weights
    monkeypatch.setattr(lqvae, "default_stack", lambda _: SMALL)
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataNotFoundError, match=r"celeba/train/CLASS/.*64x64.*data_dir"):
        reproduce_purifiers("kyatham2020-table3", out=tmp_path, **FEW)
    rng = np.random.default_rng(0)
    for part, name, number in itertools.product(("train", "test"), ("man", "woman"), range(2)):
        folder = tmp_path / "celeba" / part / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    data = images_of("kyatham2020-table3", "celeba", tmp_path)
    assert (data.input_shape, data.nb_classes) == ((3, 64, 64), 2)
    found = reproduce_purifiers(
        "kyatham2020-table3", out=tmp_path / "out", models=["C"], attacks=["fgsm"], n_ex=4,
        train_steps=1, data_dir=tmp_path, verbose=False,
    )  # fmt: skip
    (row,) = found.rows
    assert (row.dataset, row.cell("lqvae", "grey box").printed) == ("celeba", 61.48)
    assert all(cell.left.total == 4 for cell in row.cells if cell.defence != "defense_gan")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["kyatham2020-table2", "--codes", "2"], "--codes has no meaning"),
        (["kyatham2020-table2", "--checks", "quick"], "--checks has no meaning"),
        (["kyatham2020-table2", "--protocol", "raw"], "--protocol has no meaning"),
        (["kyatham2020-figure3", "--eps", "0.1"], "--eps has no meaning"),
        (["panda2019-table5", "--preset", "paper"], "--preset has no meaning"),
        (["kyatham2020-table2", "--attacks", "square"], "no attack 'square'"),
        (["kyatham2020-table2", "--setting", "D"], "no setting 'D'"),
        (["kyatham2020-table4", "--set", "pgd.max_iter=5"], "settings for pgd, which is not run"),
        (["kyatham2020-table7", "--attacks", "pdg"], "unknown attack 'pdg'"),
        (["kyatham2020-figure3", "--set", "pgd.max_iter=5"], "settings for pgd, which is not run"),
    ],
)
def test_what_means_nothing_is_refused(words, told, capsys):
    assert main(["reproduce", *words]) == 2
    assert told in capsys.readouterr().err


def test_records_refuse_what_cannot_be():
    cell = PurifierCell("lqvae", "grey box", 90.0, "01", Share(5, 10))
    with pytest.raises(InputError, match="alive and clean must be given together"):
        dataclasses.replace(cell, clean=None)
    row = PurifierRow("mnist", "fgsm", "A", 0.3, None, (cell,), ())
    with pytest.raises(InputError, match="number of columns"):
        dataclasses.replace(row, cells=(cell, cell))
    other = dataclasses.replace(cell, defence="none", alive="011")
    with pytest.raises(InputError, match="alive must have 2 entries, as alive of lqvae"):
        dataclasses.replace(row, cells=(cell, other))
    # a defence that draws may be attacked on fewer, all by one number
    drawn = dataclasses.replace(other, defence="lqvae_sampled", knowledge="end to end, worst draw")
    assert len(dataclasses.replace(row, cells=(cell, drawn)).cells) == 2
    voted = dataclasses.replace(drawn, knowledge="end to end, majority vote", alive="01")
    with pytest.raises(InputError, match="alive must have 3 entries, as alive of lqvae_sampled"):
        dataclasses.replace(row, cells=(cell, drawn, voted))
    assert row.cell("none", "grey box") is None
    assert PurifierCell("defense_gan", "grey box", 90.0).left is None
