"""The evaluation counts what the attacks really did."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent

import art_disc as ad
from art_disc.attacks import ATTACKS
from art_disc.certificates.methods import METHODS
from art_disc.core.errors import CertificateError, InputError
from art_disc.core.records import EvaluationRecord
from art_disc.core.seeds import derive_seed, global_seeds
from art_disc.evaluation import EvaluationInterrupted
from art_disc.metrics import Spend
from art_disc.networks import DigitsNet

N = 40
SMALL = {"pgd.max_iter": 5, "pgd.num_random_init": 1, "sign_adam.max_iter": 5}


class Idle(FastGradientMethod):
    """An attack that does nothing."""

    def generate(self, x, y=None, **_):
        return x


class Overstep(FastGradientMethod):
    """An attack that takes twice its budget."""

    def generate(self, x, y=None, **_):
        return np.clip(x + 2 * (super().generate(x, y) - x), 0, 1)


class Broken(FastGradientMethod):
    def generate(self, x, y=None, **_):
        msg = "no such luck"
        raise RuntimeError(msg)


class CtrlC(FastGradientMethod):
    def generate(self, x, y=None, **_):
        raise KeyboardInterrupt


def run(classifier, data, **options):
    chosen = {"eps": [0.1, 0.3], "attacks": ["fgsm", "pgd"], "n_ex": N, "checks": None} | options
    named = chosen["attacks"] if isinstance(chosen["attacks"], list) else []
    small = {k: v for k, v in SMALL.items() if k.partition(".")[0] in named}
    return ad.evaluate(classifier, data, **({"settings": small} | chosen), verbose=False)


@pytest.fixture(scope="module")
def result(digits, defended):
    return run(defended, digits, attacks=["fgsm", "pgd", "sign_adam"], certify=True, max_free=8)


def test_clean_predictions_are_the_classifiers_own(result, digits, defended):
    x, y = digits.x_test[:N], digits.y_test[:N]
    assert result.record.clean().count == (defended.predict(x).argmax(1) == y).sum()
    assert result.record.clean("base").count == (defended.base.predict(x).argmax(1) == y).sum()
    assert result.record.example_ids == tuple(digits.test_ids[:N])


def test_attacks_break_the_base_and_the_headline_is_the_example_wise_worst(result):
    record = result.record
    assert record.worst(0.3, model="base").value < 0.3 < record.clean("base").value
    for eps in record.eps:
        alive = np.array(record.defended_correct)
        for row in record.outcomes:
            if row.scored_on == "defended" and row.eps <= eps:
                alive &= np.array(row.correct)
        assert record.worst(eps).count == alive.sum()
    assert record.worst(0.3).count < record.worst(0.1).count <= record.clean().count


def test_every_source_of_gradients_is_there(result):
    kinds = {(r.scored_on, r.knowledge, r.surrogate) for r in result.record.outcomes}
    assert kinds == {
        ("base", "base", None),
        ("defended", "base", None),
        ("defended", "bpda", "soft(alpha=10)"),
        ("defended", "bpda", "identity"),
    }


def test_outcomes_equal_art_run_by_hand(digits, defended):
    x, y = digits.x_test[:N], digits.y_test[:N]
    record = run(defended, digits, attacks=["fgsm"], eps=0.2).record
    attack = FastGradientMethod(defended.with_surrogate("identity"), eps=0.2)
    by_hand = attack.generate(x, np.eye(10, dtype=np.float32)[y])
    (row,) = record.select(surrogate="identity")
    clean = defended.predict(x).argmax(1) == y
    right = clean & (defended.predict(by_hand).argmax(1) == y)
    assert row.correct == tuple(right.tolist())
    sizes = np.where(clean, np.abs(by_hand - x).max(axis=(1, 2, 3)), 0)
    assert np.allclose(row.perturbation, sizes, atol=1e-7)


def test_the_ledger_counts_gradients(digits, defended):
    record = run(defended, digits, attacks=["fgsm", "sign_adam"], eps=0.2).record
    spent = {(r.attack, r.surrogate): r.gradients for r in record.outcomes}
    assert spent["fgsm", "identity"] == N
    assert spent["sign_adam", "identity"] == 5 * N


def test_a_second_run_with_the_same_seed_gives_the_same_numbers(result, digits, defended):
    again = run(defended, digits, attacks=["fgsm", "pgd", "sign_adam"])
    pairs = zip(result.record.outcomes, again.record.outcomes, strict=True)
    assert all(a.correct == b.correct and a.perturbation == b.perturbation for a, b in pairs)
    other = run(defended, digits, attacks=["pgd"], seed=1)
    rows = zip(again.record.select(attack="pgd"), other.record.select(attack="pgd"), strict=True)
    assert any(a.perturbation != b.perturbation for a, b in rows)


def test_every_row_and_every_batch_draws_numbers_of_its_own(monkeypatch, digits, defended):
    drawn = []

    class Draws:
        def generate(self, x, y):
            drawn.append(np.random.rand())
            return x

    idle = dataclasses.replace(ATTACKS["pgd"], make=lambda *_: Draws())
    for name in ("pgd", "fgsm"):
        monkeypatch.setitem(ATTACKS, name, dataclasses.replace(idle, name=name))
    for options in ({}, {"targeted": True}, {"norm": "2"}, {"seed": 1}):
        chosen = {"n_ex": 10, "batch_size": 4, "settings": None} | options
        run(defended, digits, **chosen)
    # of each run: two attacks at two budgets through three sources, in three batches
    assert len(drawn) == 4 * 36
    assert len(set(drawn)) == len(drawn)


def test_global_streams_and_arrays_are_left_alone(digits, defended):
    before = digits.x_test.copy()
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    run(defended, digits, attacks=["pgd"], eps=0.1)
    assert np.array_equal(numpy_state, np.random.get_state()[1])
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(before, digits.x_test)


def test_an_idle_attack_changes_nothing_and_is_seen_to(digits, defended):
    record = run(defended, digits, attacks=[Idle(defended, eps=0.3)]).record
    (row,) = record.outcomes
    assert (row.attack, row.knowledge, row.gradients) == ("Idle", "none", 0)
    assert max(row.perturbation) == 0
    assert record.worst(0.3) == record.clean()


def test_an_attack_beyond_its_budget_does_not_count(digits, defended):
    record = run(defended, digits, eps=[0.1, 0.2], attacks=[Overstep(defended, eps=0.1)]).record
    (row,) = record.outcomes
    assert sum(row.correct) < record.clean().count
    assert record.worst(0.1).count == row.share.count > sum(row.correct)
    assert sum(record.survives(0.2)) == sum(row.correct)


class Drawing(ProjectedGradientDescent):
    """It does nothing but draw a number a batch."""

    def generate(self, x, y=None, **_):
        self.drawn = [*getattr(self, "drawn", ()), np.random.rand()]
        return x


def test_two_attack_objects_of_one_class_are_two_tries(digits, defended, tmp_path):
    def drawn(*steps, **options):
        attacks = [Drawing(defended, eps=0.1, max_iter=n, verbose=False) for n in steps]
        run(defended, digits, eps=0.1, attacks=attacks, n_ex=8, batch_size=4, **options)
        return [attack.drawn for attack in attacks]

    (alone,) = drawn(3)
    # of equal settings too; the first draws what it draws alone, and what it always drew
    first, *others = drawn(3, 5, 3, out=tmp_path, export="npz")
    assert first == alone
    assert len({*first, *others[0], *others[1]}) == 6
    assert len(list((tmp_path / "adversarial").glob("*.npz"))) == 3
    seeds = partial(derive_seed, 0, "Drawing", "bpda", None, "inf", 0.1, False)
    with global_seeds(seeds(0)):
        assert alone[0] == np.random.rand()


def test_the_users_own_attacks_run_as_they_are(digits, defended, digits_net):
    own = ad.build_classifier(digits_net, data=digits)
    attacks = [
        ProjectedGradientDescent(model, eps=0.3, eps_step=0.1, max_iter=3, verbose=False)
        for model in (defended, defended.with_surrogate("identity"), own)
    ]
    record = run(defended, digits, eps=0.3, attacks=attacks).record
    assert [r.knowledge for r in record.select(scored_on="defended")] == ["bpda", "bpda", "base"]
    assert record.outcomes[0].settings["max_iter"] == 3
    assert record.worst(0.3).count < record.clean().count


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_knowledge_is_what_the_attack_really_used(digits, defended, digits_net):
    from art.attacks.evasion import AutoAttack, SquareAttack

    other = ad.build_classifier(DigitsNet(), data=digits)
    bits = ad.build_classifier(digits_net, data=digits, defences=[ad.InputBitDepth(3)])
    attacks = [
        SquareAttack(defended, eps=0.3, max_iter=3, verbose=False),
        FastGradientMethod(other, eps=0.3),
        FastGradientMethod(bits, eps=0.3),
        FastGradientMethod(defended, eps=0.3),
        AutoAttack(defended, eps=0.3, attacks=[SquareAttack(defended, max_iter=2, verbose=False)]),
    ]
    record = run(defended, digits, eps=0.3, attacks=attacks, n_ex=10).record
    rows = record.select(scored_on="defended")
    assert [r.knowledge for r in rows][:4] == ["none", "none", "none", "bpda"]
    # AutoAttack needs a package that ART does not declare, so it may fail, as a row of its own
    assert record.outcomes[-1].attack == "AutoAttack"
    json.dumps(record.to_dict(), allow_nan=False)


def test_the_ledger_tells_gradients_from_queries(digits, digits_net):
    from art_disc.trials.ledger import Ledger

    classifier = ad.build_classifier(digits_net, data=digits)
    x, y = digits.x_test[:20], np.eye(10, dtype=np.float32)[digits.y_test[:20]]
    for call, expected in (
        (lambda: classifier.predict(x), (0, 20)),
        (lambda: classifier.compute_loss(x, y), (0, 20)),
        (lambda: classifier.loss_gradient(x, y), (20, 0)),
        (lambda: classifier.class_gradient(x), (200, 0)),
    ):
        ledger = Ledger()
        with ledger.watching(classifier.base_network):
            call()
        assert (ledger.gradients, ledger.queries) == expected
    classifier.predict(x)
    assert ledger.queries == 0


def test_another_norm_is_refused(digits, defended):
    with pytest.raises(InputError, match="norm=2"):
        run(defended, digits, attacks=FastGradientMethod(defended, norm=2, eps=1.0))


def test_the_defences_own_surrogate_is_attacked_through(digits, digits_net):
    def cubic(x):
        return 4 * (x - 0.5) ** 3 + 0.5

    book = ad.DensityCodebook(n_codes=2, radius=0.6)
    defences = [ad.PixelDiscretization(book, cubic), ad.ColorDepthReduction(2, "soft:20")]
    classifier = ad.build_classifier(digits_net, data=digits, defences=defences)
    record = run(classifier, digits, attacks=["fgsm"], eps=0.3).record
    names = {r.surrogate for r in record.select(knowledge="bpda")}
    assert names == {"cubic+soft(alpha=20)", "soft(alpha=10)", "identity"}


def test_a_budget_that_was_not_attacked_says_so(digits, defended):
    result = run(defended, digits, eps=[0.1, 0.3], attacks=FastGradientMethod(defended, eps=0.3))
    assert "eps 0.1   base not attacked   defended, worst of all attacks not attacked" in str(
        result
    )
    assert result.robust_accuracy(0.3).count < result.record.clean().count
    with pytest.raises(InputError, match=r"not attacked at eps 0\.1"):
        result.robust_accuracy(0.1)
    nothing = run(defended, digits, eps=[0.0], attacks=["pgd"])
    assert {r.status for r in nothing.record.outcomes} == {"skipped"}


def test_certificates_that_cannot_be_are_refused_before_any_attack(digits, defended, tmp_path):
    with pytest.raises(CertificateError):
        run(defended.base, digits, certify=True, attacks=[CtrlC(defended)], out=tmp_path)
    with pytest.raises(InputError, match="max_free"):
        run(defended, digits, certify=True, max_free=99, attacks=[CtrlC(defended)])
    with pytest.raises(InputError, match="method must be"):
        run(defended, digits, certify="completely", attacks=[CtrlC(defended)])
    soft = torch.nn.Sequential(torch.nn.Softplus(), defended.base_network)
    unbounded = ad.build_classifier(soft, data=digits, defences=defended.defences)
    with pytest.raises(CertificateError, match="Softplus"):
        run(unbounded, digits, certify="complete", attacks=[CtrlC(defended)])


def test_interrupted_certificates_are_in_the_record_and_gone_on_with(
    digits, defended, tmp_path, monkeypatch
):
    complete, asked = METHODS["complete"], []

    def once(problem, options):
        if len(asked) == 1:
            raise KeyboardInterrupt
        asked.append(len(problem.to_decide))
        return complete(problem, options)

    spend = Spend(nodes=3, seconds=1e6)
    options = {"eps": [0.05, 0.1], "attacks": ["fgsm"], "certify": "complete", "spend": spend}
    monkeypatch.setitem(METHODS, "complete", once)
    with pytest.raises(EvaluationInterrupted) as stop:
        run(defended, digits, out=tmp_path, **options)
    saved = EvaluationRecord.load(tmp_path / "record.json")
    assert saved == stop.value.partial.record
    assert (saved.complete, len(saved.certificates)) == (False, 1)
    assert saved.certificates[0].settings["spend_nodes"] == 3
    monkeypatch.setitem(
        METHODS, "complete", lambda p, o: (asked.append(len(p.to_decide)), complete(p, o))[1]
    )
    result = run(defended, digits, out=tmp_path, resume=True, **options).record
    # nothing of the larger budget is decided again, and less of the smaller one
    assert asked[1] == 0 < asked[2] < asked[0]
    assert [c.eps for c in result.certificates] == [0.05, 0.1]
    assert result.certificates[1].verdicts == saved.certificates[0].verdicts


@pytest.mark.parametrize("spend", [{"nodes": 3}, 7])
def test_a_spend_that_is_none_is_refused(digits, defended, spend):
    with pytest.raises(InputError, match="spend must be a Spend"):
        run(defended, digits, certify="complete", spend=spend, attacks=[CtrlC(defended)])


@pytest.mark.parametrize(
    ("certify", "told"),
    [
        (False, "no certificate is asked for"),
        (True, "method 'enumeration' has none"),
        ("bounds", "method 'bounds' has none"),
    ],
)
def test_a_spend_on_no_search_is_refused(digits, defended, certify, told):
    with pytest.raises(InputError, match=f"spend is what a search may take, and {told}"):
        run(defended, digits, certify=certify, spend=Spend(nodes=3), attacks=[CtrlC(defended)])


def test_a_run_into_a_file_is_refused_before_the_attacks(digits, defended, tmp_path):
    path = tmp_path / "file"
    path.write_text("kept")
    with pytest.raises(InputError, match="expected a folder"):
        run(defended, digits, out=path, attacks=[CtrlC(defended)])
    assert path.read_text() == "kept"


def test_a_new_run_clears_what_an_old_one_left(digits, defended, tmp_path):
    options = {"eps": 0.1, "certify": True, "max_free": 2, "out": tmp_path}
    run(defended, digits, attacks=["fgsm"], **options).report(tmp_path)
    with pytest.raises(EvaluationInterrupted):
        run(defended, digits, eps=0.1, attacks=CtrlC(defended), out=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_eight_bits_can_be_reported(digits, digits_net, tmp_path):
    classifier = ad.build_classifier(digits_net, data=digits, defences=[ad.InputBitDepth(8)])
    result = run(classifier, digits, eps=0.1, attacks=["fgsm"], n_ex=5)
    assert result.report(tmp_path).is_file()


def test_sorted_data_are_told_and_can_be_stratified(digits, defended, tmp_path):
    from dataclasses import replace

    order = np.argsort(digits.y_test, kind="stable")
    data = replace(digits, x_test=digits.x_test[order], y_test=digits.y_test[order])
    first = run(defended, data, eps=0.1, attacks=["fgsm"])
    assert len(set(first.record.labels)) == 1
    assert "sorted by class" in first.report(tmp_path).read_text()
    drawn = run(defended, data, eps=0.1, attacks=["fgsm"], stratified=True)
    assert len(set(drawn.record.labels)) == 10
    assert "sorted by class" not in drawn.report(tmp_path).read_text()


def test_a_failing_attack_is_a_row_and_the_others_go_on(digits, defended):
    record = run(defended, digits, eps=0.3, attacks=[Broken(defended), "fgsm"]).record
    assert record.outcomes[0].status == "failed"
    assert "no such luck" in record.outcomes[0].reason
    assert record.worst(0.3).count < record.clean().count


# ART's Square divides 0 by 0 in l2 where a window of its change is flat
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("attacks", [["fgsm", "pgd"], ["square"]])
def test_l2_attacks_stay_in_the_l2_ball_and_work(digits, defended, attacks):
    settings = {f"{attacks[-1]}.max_iter": 60}
    record = run(
        defended, digits, attacks=attacks, eps=2.0, norm=2, n_ex=20, settings=settings
    ).record
    assert all(max(r.perturbation) <= 2 + 1e-4 for r in record.outcomes)
    assert record.worst(2.0).count < record.clean().count


def test_targeted_attacks_reach_a_wrong_class(digits, defended):
    record = run(defended, digits, eps=0.3, attacks=["pgd", "apgd_dlr"], targeted=True).record
    assert {r.status for r in record.outcomes if r.attack == "apgd_dlr"} == {"skipped"}
    assert "aim" in next(r.reason for r in record.outcomes if r.attack == "apgd_dlr")
    assert record.worst(0.3, model="base").count < record.clean("base").count


def test_norms_that_an_attack_does_not_know_are_skipped_with_the_reason(digits, defended):
    record = run(defended, digits, attacks=["sign_adam"], eps=0.5, norm="l2").record
    assert {r.status for r in record.outcomes} == {"skipped"}
    assert "inf only" in record.outcomes[0].reason


def test_an_undefended_classifier_is_attacked_once_a_budget(digits, defended):
    record = run(defended.base, digits, eps=0.3, attacks=["fgsm"]).record
    assert {(r.scored_on, r.knowledge) for r in record.outcomes} == {
        ("base", "bpda"),
        ("defended", "bpda"),
    }
    assert record.worst(0.3) == record.worst(0.3, model="base")


def test_255_scale_gives_the_same_outcomes(digits, digits_net, result):
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = digits_net

        def forward(self, x):
            return self.net(x / 255)

    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train)
    wide = ad.build_classifier(
        Scaled(), data=digits, defences=[ad.PixelDiscretization(book)], clip_values=(0, 255)
    )
    record = run(wide, digits, eps=0.3 * 255, attacks=["fgsm"]).record
    for row in record.outcomes:
        (twin,) = result.record.select(
            attack="fgsm", eps=0.3, scored_on=row.scored_on, surrogate=row.surrogate
        )
        assert abs(row.share.count - twin.share.count) <= 1
        assert max(row.perturbation) == pytest.approx(0.3 * 255, rel=1e-5)


def test_certificates_bound_the_attacks_from_below(result):
    record = result.record
    assert [c.eps for c in record.certificates] == list(record.eps)
    assert record.certificates[0].count("certified") > 0
    assert record.contradictions() == ()
    for certificate in record.certificates:
        assert certificate.count("certified") <= record.worst(certificate.eps).count


def test_a_wrong_certificate_is_told_from_the_record(result):
    from dataclasses import replace

    record = result.record
    wrong = replace(record.certificates[1], verdicts=("certified",) * N)
    found = replace(record, certificates=(wrong,)).contradictions()
    broken = [i for i, ok in enumerate(record.survives(0.3)) if not ok]
    clean_wrong = [i for i, ok in enumerate(record.defended_correct) if not ok]
    assert {i for i, _ in found} | set(clean_wrong) == set(broken)
    assert found


def test_interrupted_keeps_what_was_finished(digits, defended, tmp_path):
    attacks = [FastGradientMethod(defended, eps=0.3), CtrlC(defended), Broken(defended)]
    with pytest.raises(EvaluationInterrupted) as stop:
        run(defended, digits, eps=0.3, attacks=attacks, out=tmp_path)
    saved = EvaluationRecord.load(tmp_path / "record.json")
    assert saved == stop.value.partial.record
    assert not saved.complete
    assert [r.attack for r in saved.outcomes] == ["FastGradientMethod"]
    assert stop.value.partial.report(tmp_path).is_file()
    assert "ncomplete" in (tmp_path / "report.html").read_text()


def test_report_and_summary_say_what_the_record_says(result, tmp_path):
    page = result.report(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert page.name == "report.html"
    assert [r["count"] for r in summary["robust_acc"]] == [
        result.record.worst(eps).count for eps in result.record.eps
    ]
    assert result.pictures is not None
    assert len(result.pictures.labels) == 8
    assert set(np.unique(result.pictures.discretised)) <= {0, 1}


def test_the_cost_is_told_before_the_start(digits, defended):
    lines = []
    run(defended, digits, attacks=["fgsm"], eps=0.1, announce=lines.append)
    assert "3 attacks" in lines[0]
    assert f"{N} images" in lines[0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"eps": -0.1}, ">= 0"),
        ({"eps": 8}, "8/255"),
        ({"eps": []}, "at least one"),
        ({"eps": float("nan")}, "finite"),
        ({"n_ex": 0}, "n_ex"),
        ({"n_ex": 10**6}, "500"),
        ({"attacks": "everything"}, "known: quick"),
        ({"settings": {"pgd.speed": 3}}, "pgd.max_iter"),
        ({"settings": {"pgd.max_iter": "many"}}, "number"),
        ({"norm": "l0"}, "norm"),
        ({"surrogates": ["hard"]}, "surrogate"),
        ({"batch_size": 0}, "batch_size"),
        ({"norm": 2, "certify": True}, "inf"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(digits, defended, options, match):
    with pytest.raises(InputError, match=match):
        run(defended, digits, **options)


def test_bad_data_and_classifiers_are_refused(digits, defended):
    from dataclasses import replace

    x = digits.x_test.copy()
    x[3, 0, 2, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        run(defended, replace(digits, x_test=x))
    lower = {"x_train": digits.x_train[:, :, 1:], "x_test": digits.x_test[:, :, 1:]}
    with pytest.raises(InputError, match=r"got \(1, 7, 8\)"):
        run(defended, replace(digits, **lower))
    with pytest.raises(InputError, match="build_classifier"):
        run(object(), digits)


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("channels", [8, 12])
def test_images_of_many_channels_are_evaluated_and_shown(channels, channels_first, tmp_path):
    rng = np.random.default_rng(channels)
    x = (rng.integers(0, 256, (12, channels, 4, 4)) / 255).astype(np.float32)
    y = np.arange(12) % 3
    data = ad.data.Dataset("many", x, y, x[:6], y[:6], ("a", "b", "c"), "drawn")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16 * channels, 3))
    classifier = ad.build_classifier(
        net, data=data, defences=[ad.ColorDepthReduction(4)], channels_first=channels_first
    )
    found = ad.evaluate(classifier, data, eps=0.1, attacks="fgsm", checks=None, verbose=False)
    assert np.shape(found.record.histogram) == (channels, 256)
    assert found.report(tmp_path).is_file()
    swapped = ad.data.Dataset(
        "swapped", *(np.moveaxis(x, 1, -1).copy(), y) * 2, ("a", "b", "c"), ""
    )
    with pytest.raises(InputError, match=r"in data\.x_test; the layout is the wrong way round"):
        ad.evaluate(classifier, swapped, eps=0.1, verbose=False)


def test_a_callback_sees_the_record_after_every_attack_and_once_whole(digits, defended):
    seen = []
    result = run(defended, digits, n_ex=10, eps=0.1, attacks=["fgsm"], callback=seen.append)
    assert [record.complete for record in seen] == [False] * (len(seen) - 1) + [True]
    counts = [len(record.outcomes) for record in seen]
    assert counts == sorted(counts)
    assert counts[0] > 0
    assert len(seen) > 2
    assert seen[-1] is result.record


def test_what_a_callback_raises_ends_the_run_and_loses_nothing(digits, defended, tmp_path):
    def refuse(record):
        msg = "no connection"
        raise OSError(msg)

    with pytest.raises(OSError, match="no connection"):
        run(defended, digits, n_ex=10, eps=0.1, attacks=["fgsm"], callback=refuse, out=tmp_path)
    assert len(EvaluationRecord.load(tmp_path / "record.json").outcomes) > 0
