"""What a row of a table takes from an evaluation, and with what it is run; nothing is trained."""

import dataclasses
import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from art_disc import DensityCodebook, PixelDiscretization, SoftAssignment, build_classifier
from art_disc.core.errors import AttackFailedError, InputError
from art_disc.core.records import AttackOutcome, Share
from art_disc.reproduction import (
    certificates,
    figure5,
    protocols,
    published,
    published_certificates,
    purifier_end_to_end,
    randomised_run,
    rows,
)
from art_disc.reproduction.recipes import EXPERIMENTS, Stage
from tests.core.record_examples import EVALUATION, RECORDS

TABLES = (("chen2018", "3 4 5"), ("chen2019", "1 2 3"))
CLEAN = (True,) * 8 + (False,)


def test_printed_numbers_are_those_that_were_held_against_the_papers():
    # 206 rows were compared with the papers; whoever changes one has the paper at hand
    every = [
        row for paper, numbers in TABLES for n in numbers.split() for row in published(paper, n)
    ]
    every += [r for paper, n in (("chen2018", "2"), ("chen2019", "4"))
              for r in published_certificates(paper, n)]  # fmt: skip
    text = "\n".join(repr(dataclasses.astuple(row)) for row in every)
    assert len(every) == 206 + 14
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "ad6234583646e09e9e90b51cfeb8bf6f2856802b9fdb2bf0c170a0e5828feab7"
    )


def outcome(attack, knowledge, surrogate, broken, **changes):
    """An attack that breaks the examples at these places, and costs what tells it from others."""
    right = tuple(ok and i not in broken for i, ok in enumerate(CLEAN))
    facts = {
        "attack": attack, "scored_on": "defended", "knowledge": knowledge, "surrogate": surrogate,
        "norm": "inf", "eps": 0.3, "targeted": False,
        "settings": {"max_iter": 100, "eps_step": 0.01}, "seed": 0,
        "correct": right, "perturbation": (0.3,) * len(CLEAN),
    }  # fmt: skip
    return AttackOutcome(**facts | changes)


OUTCOMES = (
    outcome("pgd", "base", None, {0, 1}, gradients=90),
    outcome("sign_adam", "bpda", "identity", {2}, gradients=900, queries=9),
    outcome("sign_adam", "bpda", "soft(alpha=10)", {3}, gradients=9000, queries=90),
    outcome("sign_adam", "bpda", "soft(alpha=10)", {3, 4, 5}, eps=0.4, perturbation=(0.4,) * 9),
    outcome("square", "none", None, {6}, queries=900, seconds=4.5),
    outcome("pgd", "base", None, {0, 1, 2, 3, 4}, scored_on="base", gradients=10**6, seconds=99.0),
)
ROW = next(r for r in published("chen2018", "3") if r.setting == "disc_nat_pre")


def ran(row=ROW, defended=True, **changes):
    facts = {
        "labels": (0,) * 9, "example_ids": tuple(range(9)), "base_correct": (True,) * 9,
        "defended_correct": CLEAN, "outcomes": OUTCOMES, "eps": (0.3, 0.4), "certificates": (),
    }  # fmt: skip
    record = dataclasses.replace(EVALUATION, **facts | changes)
    data = SimpleNamespace(x_train=np.zeros((55_000, 1)), x_test=np.zeros((9, 1)))
    defence = SimpleNamespace(codebook=SimpleNamespace(levels=[[0.0], [255.0]]))
    stage = Stage(data, EXPERIMENTS["mnist"])
    setting = SimpleNamespace(training="natural", classifier=None)
    return rows.Ran(row, stage, setting, record, Share(7, 10), defence if defended else None)


def test_the_worst_counts_transfers_and_queries_and_the_white_box_column_neither():
    row = ran().at(0.3)
    # broken: 0 and 1 from the base, 2 and 3 through surrogates, 6 by queries; 8 is wrong as it is
    assert row.alive == "000011010"
    assert row.correct == "111111110"
    assert row.white_box == Share(6, 9)
    assert row.papers_attack == Share(7, 9)
    assert (row.clean, row.worst) == (Share(7, 10), Share(3, 9))
    # at the larger budget all attacks of the smaller count, and its own
    later = ran().at(0.4)
    assert later.alive == "000000010"
    assert later.papers_attack == Share(5, 9)


def test_a_row_costs_what_its_own_attacks_cost_an_image():
    row = ran().at(0.3)
    assert row.gradients == pytest.approx((90 + 900 + 9000) / 9)
    assert row.queries == pytest.approx((9 + 90 + 900) / 9)
    assert row.seconds == 4.5
    for words in ("pgd (max_iter 100, eps_step 0.01) transfer from the base", ") identity",
                  "square (max_iter 100, eps_step 0.01) no gradients"):  # fmt: skip
        assert words in row.worst_of


def test_printed_numbers_stand_at_the_printed_budget_alone():
    row, later = ran().at(0.3), ran().at(0.4)
    assert (row.printed_clean, row.printed_robust, row.printed_steps) == (98.81, 75.3, 100)
    assert (later.printed_clean, later.printed_robust, later.printed_steps) == (98.81, None, 0)
    assert (row.n_codes, row.codes_found, row.eps) == (2, 2, 0.3)


def test_the_papers_attack_is_theirs():
    record = ran().record
    found = rows.papers_outcome(record, 0.3, defended=True)
    assert (found.attack, found.surrogate, found.gradients) == ("sign_adam", "soft(alpha=10)", 9000)
    plain = rows.papers_outcome(record, 0.3, defended=False)
    assert (plain.attack, plain.scored_on) == ("pgd", "defended")
    for missing in (OUTCOMES[:2], OUTCOMES[3:]):
        with pytest.raises(InputError, match=r"did not finish at eps 0\.3"):
            ran(outcomes=missing).at(0.3)


def test_what_differs_from_the_paper_is_said():
    def told(**changes):
        return "; ".join(ran(**changes).at(0.3).differs)

    assert "first 9 of the 9 test images" in told()
    assert "training images, theirs" not in told()
    assert "was run with" not in told()
    assert "retrained" not in told()
    shorter = dataclasses.replace(OUTCOMES[2], settings={"max_iter": 7, "eps_step": 0.1})
    words = told(outcomes=(shorter,))
    assert "with max_iter 7" in words
    assert "with eps_step 0.1" in words
    again = next(r for r in published("chen2018", "3") if r.setting == "disc_nat_re")
    assert "retrained from the base network" in told(row=again)


def test_a_row_is_run_with_the_papers_settings_and_goes_on(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(
        rows, "evaluate", lambda *a, **k: asked.update(k) or SimpleNamespace(record=1)
    )
    classifier = SimpleNamespace(input_shape=(1, 28, 28), defences=[object()])
    setting, stage = SimpleNamespace(classifier=classifier, training="t"), ran().stage
    request = rows.RowRequest(n_ex=20, out=tmp_path, seed=5)
    own = rows._of_row(request, ROW, stage, (0.3,))
    rows._attacked(setting, ROW, stage, own)
    assert (asked["n_ex"], asked["seed"], asked["resume"], asked["eps"]) == (20, 5, True, (0.3,))
    assert asked["out"] == tmp_path / "rows" / "mnist-disc_nat_pre-density-2-n20-seed5-eps0.3"
    assert asked["settings"] == {
        "sign_adam.max_iter": 100, "sign_adam.eps_step": 0.01, "pgd.max_iter": 100,
        "pgd.eps_step": 0.01, "pgd.num_random_init": 1, "apgd_ce.max_iter": 50,
        "apgd_dlr.max_iter": 50, "square.max_iter": 1000,
    }  # fmt: skip
    usual = ["sign_adam", "pgd", "apgd_ce", "apgd_dlr", "square"]
    # where codes are, they are attacked
    assert asked["attacks"] == [*usual, "code_space"]
    assert [getattr(s, "name", s) for s in asked["surrogates"]] == [
        "identity", "soft(alpha=10, leak=1)"
    ]  # fmt: skip
    classifier.defences = []
    rows._attacked(setting, ROW, stage, own)
    # the paper's attack is the first, which has all examples
    assert asked["attacks"] == ["pgd", "sign_adam", *usual[2:]]
    assert asked["sequential"]
    rows._attacked(setting, ROW, stage, dataclasses.replace(own, checks="quick"))
    assert not asked["sequential"]


def test_rows_that_differ_in_anything_have_folders_of_their_own(tmp_path):
    stage, request = ran().stage, rows.RowRequest(n_ex=20, out=tmp_path)
    other = next(r for r in published("chen2018", "3") if r.setting == "disc_nat_re")
    folders = [
        rows._of_row(request, ROW, stage, (0.3,)).out,
        rows._of_row(request, other, stage, (0.3,)).out,
        rows._of_row(request, ROW, stage, (0.2,)).out,
        rows._of_row(request, ROW, dataclasses.replace(stage, steps=9), (0.3,)).out,
        *(
            rows._of_row(dataclasses.replace(request, **changed), ROW, stage, (0.3,)).out
            for changed in ({"n_ex": 21}, {"seed": 1}, {"attacks": ("pgd", "sign_adam")},
                            {"settings": {"pgd.max_iter": 1}}, {"checks": "quick"})
        ),
    ]  # fmt: skip
    assert len(set(folders)) == len(folders) == 9


def test_the_trainings_and_attacks_of_a_data_set_are_those_of_the_page():
    grey, colour = EXPERIMENTS["mnist"], EXPERIMENTS["cifar10"]
    assert (grey.alpha, grey.eps_step, grey.adversary.eps) == (10, 0.01, 0.3)
    assert EXPERIMENTS["fashion_mnist"].adversary.eps == 0.1
    # 0.1 in units of 1/255
    assert (colour.alpha, colour.eps_step, colour.adversary.eps) == (25.5, 2 / 255, 8 / 255)


def test_certificates_are_of_the_papers_codebook_network_and_budgets(monkeypatch, tmp_path):
    seen = []
    data = SimpleNamespace(
        x_test=np.zeros((1500, 1, 2, 2), np.float32), y_test=np.zeros(1500, int), x_train=range(7)
    )
    data.part = lambda n_ex: SimpleNamespace(x_test=data.x_test[:n_ex], y_test=data.y_test[:n_ex])

    class FakeStage(Stage):
        def trained(self, setting, defences, *, seed, verbose):
            seen.append((setting, defences[0], seed))
            return SimpleNamespace(classifier="network", training="t")

    def curve(classifier, x, y, *, eps, max_free, method, **_):
        seen.append((classifier, len(x), *eps, max_free))
        counts = {"certified": 2, "falsified": 1, "undecided": 3}
        found = (
            SimpleNamespace(
                eps=value, count=counts.get, seconds=1.5, method=method, correct=(True, False),
                unable=lambda bits: bits // 10, settings={"max_free": max_free},
            )
            for value in eps
        )  # fmt: skip
        return SimpleNamespace(record=SimpleNamespace(certificates=tuple(found)))

    # 30 is not more than the 30 that the papers enumerate
    free = {"exact": np.r_[np.full(40, 31), np.full(1460, 30)],
            "paper_float": np.r_[np.full(20, 31), np.full(1480, 30)]}  # fmt: skip
    monkeypatch.setattr(certificates, "certificate_curve", curve)
    monkeypatch.setattr(
        certificates, "free_pixels", lambda x, _, *, eps, rule="exact": free[rule][: len(x)]
    )
    monkeypatch.setattr(certificates.Stage, "of", lambda *_: FakeStage(data, EXPERIMENTS["mnist"]))
    record = certificates.reproduce_certificates("chen2018-table2", n_ex=6, out=tmp_path, seed=3)
    (setting, defence, seed), *runs = seen
    assert (setting, seed) == ("disc_adv_pre", 3)
    assert isinstance(defence, PixelDiscretization)
    assert isinstance(defence.codebook, DensityCodebook)
    assert (defence.codebook.n_codes, defence.codebook.radius) == (2, 0.6)
    assert defence.surrogate.name == SoftAssignment(10).name
    # never more than the papers enumerated
    assert runs == [("network", 6, 0.0, 0), ("network", 6, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 12)]
    row = record.rows[1]
    assert (row.images, row.unable_float, row.unable_exact) == (1000, 20, 40)
    assert (row.certified, row.falsified, row.undecided, row.max_bits) == (2, 1, 3, 12)
    assert (row.printed_success, row.printed_limit) == (97.3, 92.6)
    assert (row.method, row.unable, row.wrong_when_clean) == ("enumeration", 3, 1)


def test_the_limit_of_a_row_holds_with_99_percent():
    table = next(r for r in RECORDS if r.kind == "certificate table")
    # all certified: the closed form of Clopper and Pearson
    row = dataclasses.replace(table.rows[0], certified=20, falsified=0, undecided=0)
    assert row.limit == pytest.approx(0.01 ** (1 / 20))


def test_the_panels_of_figure_5_are_the_papers():
    assert figure5._PANELS == (
        ("mnist", 2, 0.6, 0.3, 0.06), ("cifar10", 300, 16 / 255, 8 / 255, 0.27)
    )  # fmt: skip


def test_a_row_of_fewer_attacks_than_it_says_is_none():
    failed = outcome(
        "square", "none", None, set(), status="failed", reason="no memory",
        correct=(), perturbation=(),
    )  # fmt: skip
    whole = dataclasses.replace(EVALUATION, outcomes=EVALUATION.outcomes[:1])
    assert not whole.failed
    assert rows.none_failed(whole) is whole
    broken = SimpleNamespace(failed=(failed,))
    with pytest.raises(AttackFailedError, match=r"square failed at eps 0\.3: no memory"):
        rows.none_failed(broken)


def failing(*_, **__):
    return SimpleNamespace(record=SimpleNamespace(failed=(SimpleNamespace(
        attack="pgd", eps=0.3, reason="no memory"),)))  # fmt: skip


def of_a_row(classifier, data, folder, monkeypatch):
    monkeypatch.setattr(rows, "evaluate", failing)
    setting = SimpleNamespace(classifier=classifier, training="")
    stage = SimpleNamespace(
        data=data, steps=None, experiment=EXPERIMENTS["mnist"], trained=lambda *_, **__: setting
    )
    row = next(r for r in published("chen2018", "3") if r.setting == "nat_pre")
    rows.run_row(row, stage, rows.RowRequest(n_ex=5, out=folder))


def of_a_protocol(classifier, data, folder, monkeypatch):
    monkeypatch.setattr(protocols, "evaluate", failing)
    protocols.Attack(5, ["pgd"], surrogates=()).on(classifier, data, "raw", (0.3,), out=folder)


def of_draws(classifier, data, folder, monkeypatch):
    monkeypatch.setattr(purifier_end_to_end, "evaluate", failing)
    monkeypatch.setattr(purifier_end_to_end.EndToEnd, "_folder", lambda *_: folder)
    bench = SimpleNamespace(part=data, n_ex=5, settings={}, seed=0, verbose=False)
    purifier_end_to_end.EndToEnd(bench, "C")._attacked(classifier, (0.3,), "vote")


def of_a_defence_that_draws(classifier, data, folder, monkeypatch):
    monkeypatch.setattr(randomised_run, "evaluate", failing)
    how = SimpleNamespace(pgd=lambda _: {})
    request = SimpleNamespace(
        settings={}, table=SimpleNamespace(through="own"), n_ex=5, seed=0, verbose=False
    )
    stage = SimpleNamespace(data=data, experiment=EXPERIMENTS["mnist"])
    place = randomised_run._Kept(folder, "")
    try:
        randomised_run._attacked(classifier, 0.3, stage, how, request, place)
    finally:
        # it is no finished one
        assert place.record() is None


@pytest.mark.parametrize("run", [of_a_row, of_a_protocol, of_draws, of_a_defence_that_draws])
def test_no_table_has_a_row_whose_attack_failed(digits, digits_net, tmp_path, monkeypatch, run):
    classifier = build_classifier(digits_net, data=digits)
    with pytest.raises(AttackFailedError, match=r"pgd failed at eps 0\.3: no memory"):
        run(classifier, digits, tmp_path, monkeypatch)
