"""Every broken defence turns the report red at its check; an honest one leaves nothing red."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.attacks.evasion import DeepFool, ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier

import art_disc as ad
from art_disc.attacks import ATTACKS
from art_disc.attacks.random_search import RandomSearch
from art_disc.core.errors import InputError
from art_disc.core.records import CertificateRecord, Environment
from art_disc.defences import CodebookMap
from art_disc.evaluation import Checks, Thresholds, run, runner
from art_disc.evaluation.checks import TABLE, base, breadth, running
from art_disc.evaluation.checks.options import IDS
from art_disc.networks import DigitsNet
from art_disc.training import Adversary, trained
from studies.broken_defences import (
    CASES,
    Masked,
    Probabilities,
    foreign,
    noisy,
    two_codes,
)

N = 40


def checked(classifier, data, checks, **options):
    chosen = {"eps": 0.2, "attacks": ["fgsm", "pgd"], "n_ex": N, "checks": checks} | options
    return ad.evaluate(classifier, data, **chosen, verbose=False).record


def only(check, **options):
    return Checks("full", only=(check,), n_ex=N, n_decision=5, n_random=20, **options)


def found(record, check):
    return next(result for result in record.checks if result.id == check)


@pytest.mark.usefixtures("few_queries")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}-{case.name}")
def test_a_broken_defence_turns_red_at_its_check(case, digits, digits_net):
    classifier = case.make(digits_net, digits)
    record = checked(classifier, digits, only(case.check), **case.options_for(classifier))
    check = found(record, case.check)
    assert check.status == "fail", check.summary
    assert record.verdict == "flawed"


@pytest.fixture(scope="module")
def hardened(digits, tmp_path_factory):
    """Two adversarially trained networks: the defence, and the one to compare it with."""
    folder = tmp_path_factory.mktemp("hardened")
    options = {"epochs": 12, "adversary": Adversary(eps=0.1, steps=5), "cache": folder}
    return [trained(DigitsNet, digits, seed=s, verbose=False, **options)[0] for s in (0, 1)]


@pytest.mark.usefixtures("few_queries")
def test_an_honest_defence_has_nothing_red_and_nothing_left_out(digits, hardened):
    classifier = ad.build_classifier(hardened[0], data=digits)
    checks = Checks("full", n_ex=N, n_decision=2, n_random=N)
    record = checked(
        classifier, digits, checks, eps=0.1, attacks="standard", reference=hardened[1],
        settings={"square.max_iter": 200},
    )  # fmt: skip
    told = {c.id: c.summary for c in record.checks if c.status != "pass"}
    assert told == {}
    assert tuple(c.id for c in record.checks) == IDS
    assert record.verdict == "complete"
    assert record.worst(0.1).value > 0.5


def test_the_table_is_whole_and_every_check_has_a_cure():
    assert tuple(check.id for check in TABLE) == IDS
    assert all(check.title and check.cure for check in TABLE)
    tiers = {check.id: check.tier for check in TABLE}
    quick = {"C1", "C2", "C3", "C4", "C6", "C7", "C8", "C14", "C16", "C19", "C21"}
    assert {name for name, tier in tiers.items() if tier == "quick"} == quick
    assert {name for name, tier in tiers.items() if tier == "full"} == {"C11", "C18"}


def test_queries_and_draws_are_as_many_as_the_page_says():
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    assert f"Square with {breadth.SQUARE_QUERIES:,} queries" in page
    assert f"| {breadth.RANDOM_DRAWS:,} draws an image" in page
    assert (breadth.SQUARE_QUERIES, breadth.RANDOM_DRAWS) == (5000, 10_000)


def test_what_was_not_run_blocks_complete(digits, digits_net):
    classifier = two_codes()(digits_net, digits)
    record = checked(classifier, digits, Checks("quick", n_ex=N, only=("C1", "C2")))
    assert {c.status for c in record.checks} == {"pass", "not run"}
    assert record.verdict == "incomplete"
    assert checked(classifier, digits, None, attacks=["fgsm"]).verdict == "unchecked"


def test_without_a_reference_transfer_and_gain_are_not_run(digits, digits_net):
    classifier = ad.build_classifier(digits_net, data=digits)
    for check in ("C12", "C17"):
        result = found(checked(classifier, digits, only(check), attacks=["fgsm"]), check)
        assert (result.status, "adversarially trained" in result.summary) == ("not run", True)


def test_gain_is_told_by_the_paired_interval(digits, digits_net, hardened):
    classifier = two_codes()(digits_net, digits)
    record = checked(
        classifier, digits, only("C17"), attacks=["pgd"], reference=hardened[0], eps=0.1
    )
    numbers = found(record, "C17").numbers
    ours, base = (np.mean(record.survives(0.1, model=m)) for m in ("defended", "base"))
    assert numbers["over_base"] == pytest.approx(ours - base)
    assert numbers["over_base_low"] <= ours - base <= numbers["over_base_high"]
    theirs = np.mean(record.survives(0.1, model="reference"))
    assert numbers["over_reference"] == pytest.approx(ours - theirs)
    low, cost, high = (numbers[f"inference_cost{end}"] for end in ("_low", "", "_high"))
    assert 0 < low <= cost <= high


def test_a_certificate_that_is_too_large_is_caught(monkeypatch, digits, digits_net):
    classifier = two_codes()(digits_net, digits)

    def lie(_, x, y, *, eps, **options):
        n, zeros = len(x), (0,) * len(x)
        claimed = tuple(
            CertificateRecord(
                "enumeration", value, "nothing", {}, ("certified",) * n, ("",) * n, zeros,
                (0.0,) * n, zeros, 0.0, Environment.here(),
            )
            for value in eps
        )  # fmt: skip
        return SimpleNamespace(record=SimpleNamespace(certificates=claimed))

    monkeypatch.setattr(run, "certificate_curve", lie)
    record = checked(classifier, digits, only("C20"), attacks=["pgd"], certify=True)
    result = found(record, "C20")
    assert result.status == "fail"
    broken = [i for i, ok in enumerate(record.survives(0.2)) if not ok]
    assert result.example_ids == tuple(record.example_ids[i] for i in broken)


def test_an_attack_that_gives_up_at_large_budgets_is_caught(monkeypatch, digits, digits_net):
    pgd = ATTACKS["pgd"]

    class Idle:
        def generate(self, x, y):
            return x

    def lazy(request, settings):
        return Idle() if request.eps > 0.25 else pgd.make(request, settings)

    monkeypatch.setitem(ATTACKS, "pgd", dataclasses.replace(pgd, make=lazy))
    record = checked(two_codes()(digits_net, digits), digits, only("C7"), attacks=["fgsm"])
    assert found(record, "C7").status == "fail"


@pytest.mark.parametrize("certify", [True, "bounds", "complete"])
def test_a_true_certificate_passes(digits, digits_net, certify):
    classifier = two_codes()(digits_net, digits)
    record = checked(
        classifier, digits, only("C20"), attacks=["pgd"], certify=certify, max_free=6, eps=0.1
    )
    assert record.certificates[0].method == ("enumeration" if certify is True else certify)
    result = found(record, "C20")
    assert result.status == "pass"
    assert f"certified: {record.certificates[0].count('certified')} at 0.1" in result.summary


class LooksAround(torch.nn.Module):
    """The scores of dark images depend on the batch."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        scores = self.network(x)
        return scores - is_dark(x)[:, None] * scores.mean(dim=0)


def is_dark(x):
    return x.mean((1, 2, 3)) < 0.3


def test_images_that_depend_on_their_batch_are_named(monkeypatch, digits, digits_net):
    # measured in parts
    monkeypatch.setattr("art_disc.estimators.steadiness._AT_ONCE", 15)
    classifier = ad.build_classifier(LooksAround(digits_net), data=digits)
    record = checked(classifier, digits, only("C21"), attacks=["fgsm"])
    check = found(record, "C21")
    assert check.status == "fail"
    dark = is_dark(digits.x_test[:N])
    assert 0 < dark.sum() < N
    assert check.example_ids == tuple(np.array(record.example_ids)[dark].tolist())


def test_random_models_are_checked_for_draws(digits, digits_net):
    classifier = ad.build_classifier(
        digits_net, data=digits, defences=[ad.GaussianNoise(0.1)], eot_samples=4, vote_samples=4
    )
    checks = Checks("standard", only=("C2", "C14", "C15", "C16"), n_ex=N)
    record = checked(classifier, digits, checks, attacks=["pgd"], settings={"pgd.max_iter": 10})
    results = {c.id: c for c in record.checks if c.status != "not run"}
    assert set(results) == {"C2", "C14", "C15", "C16"}
    assert results["C2"].status == results["C14"].status == results["C16"].status == "pass"
    assert results["C14"].numbers["spread"] > 0.01
    assert -1 <= results["C15"].numbers["cosine"] <= 1
    ways = results["C16"].numbers
    assert ways["any"] >= ways["mean"] >= ways["all"]
    assert ways["after_1"] >= ways["after_10"] >= ways["after_100"] >= 0
    assert all(row.draws == 20 for row in record.select(scored_on="defended"))


@pytest.mark.parametrize(("frozen", "status"), [("idle", "fail"), ("broken", "not run")])
def test_a_draw_that_is_frozen_must_be_the_easier_to_attack(
    monkeypatch, digits, digits_net, frozen, status
):
    """PGD does nothing, or fails, on the twin with one draw, where it knows all there is."""
    pgd = ATTACKS["pgd"]

    class Idle:
        def generate(self, x, y):
            if frozen == "broken":
                raise RuntimeError
            return x

    def make(request, settings):
        return pgd.make(request, settings) if request.classifier.is_random else Idle()

    monkeypatch.setitem(ATTACKS, "pgd", dataclasses.replace(pgd, make=make))
    settings = {"pgd.max_iter": 5, "pgd.num_random_init": 1}
    classifier = noisy(digits_net, digits)
    record = checked(classifier, digits, only("C14"), attacks=["pgd"], settings=settings)
    c14 = found(record, "C14")
    assert c14.status == status, c14.summary
    if status == "fail":
        assert c14.numbers["frozen"] == 0
        assert c14.numbers["fresh"] > 0.3


def test_a_check_that_raises_is_not_run_and_loses_nothing(monkeypatch, digits, digits_net):
    from art_disc.evaluation.checks import setup

    def raises(*_):
        msg = "no such luck"
        raise RuntimeError(msg)

    monkeypatch.setattr(setup, "logits_of", raises)
    record = checked(two_codes()(digits_net, digits), digits, only("C2"), attacks=["fgsm"])
    assert found(record, "C2").summary == "RuntimeError: no such luck"
    assert record.verdict == "incomplete"
    assert record.outcomes


def test_what_is_not_finite_is_left_to_the_summary(monkeypatch, digits, digits_net):
    odd = base.passed("nan measured", bad=float("nan"), far=np.inf, good=0.5)
    table = [dataclasses.replace(c, judge=lambda _: odd) if c.id == "C2" else c for c in TABLE]
    monkeypatch.setattr(running, "TABLE", table)
    record = checked(two_codes()(digits_net, digits), digits, only("C2"), attacks=["fgsm"])
    assert found(record, "C2").numbers == {"good": 0.5}


def test_rows_that_were_lost_are_told(monkeypatch, digits, digits_net):
    attack = runner.Runner._attack

    def failing(self, row, *rest):
        if row.surrogate == "identity":
            msg = "out of memory"
            raise RuntimeError(msg)
        return attack(self, row, *rest)

    monkeypatch.setattr(runner.Runner, "_attack", failing)
    classifier = two_codes()(digits_net, digits)
    for check in ("C6", "C7", "C8", "C9", "C13"):
        result = found(checked(classifier, digits, only(check), attacks=["fgsm"]), check)
        assert result.status != "pass"
    assert "out of memory" in result.summary


@pytest.mark.usefixtures("few_queries")
def test_rows_shared_with_the_attacks_still_count(digits, digits_net):
    classifier = foreign(Masked)(digits_net, digits)
    settings = {"square.max_iter": breadth.SQUARE_QUERIES}
    queries = {"attacks": ["fgsm", "square"], "settings": settings, "n_ex": 12}
    record = checked(classifier, digits, only("C10"), surrogates=(), **queries)
    assert found(record, "C10").status == "fail"


def test_a_drop_is_a_share_of_the_images_attacked(digits, digits_net):
    classifier = foreign(Masked)(digits_net, digits)
    drops = []
    for n in (15, 60):
        checks = Checks("standard", only=("C12",), n_ex=15)
        record = checked(
            classifier, digits, checks, attacks=["sign_adam"], surrogates=(), n_ex=n,
            settings={"sign_adam.max_iter": 1}, through="own",
        )  # fmt: skip
        drops.append(found(record, "C12").numbers["drop"])
    assert drops[0] == pytest.approx(drops[1])


def test_a_map_to_what_is_no_codeword_is_seen(monkeypatch, digits, digits_net):
    classifier = two_codes()(digits_net, digits)
    monkeypatch.setattr(CodebookMap, "forward", lambda self, x: torch.round(2 * x) / 2)
    result = found(checked(classifier, digits, only("C2"), attacks=["fgsm"]), "C2")
    assert result.status == "fail"


def test_probabilities_under_noise_are_seen(digits, digits_net):
    classifier = noisy(digits_net, digits)
    classifier.model.base = Probabilities(digits_net).eval()
    assert found(checked(classifier, digits, only("C3"), attacks=["fgsm"]), "C3").status == "fail"


def test_planted_examples_are_attacked_through_objects_too(digits, hardened):
    defence = ad.ColorDepthReduction(16)
    classifier = ad.build_classifier(hardened[0], data=digits, defences=[defence])
    record = checked(
        classifier, digits, only("C18"), attacks=["fgsm"], eps=0.1,
        surrogates=(ad.SoftAssignment(30), "identity"),
    )  # fmt: skip
    assert "Error" not in found(record, "C18").summary


def test_planted_examples_of_a_random_model_are_not_found_by_luck(digits, hardened):
    noise = ad.GaussianNoise(0.05)
    classifier = ad.build_classifier(
        hardened[0], data=digits, defences=[noise], eot_samples=2, vote_samples=2
    )
    checks = Checks("full", only=("C18",), n_ex=N, n_random=N)
    result = found(checked(classifier, digits, checks, attacks=["fgsm"], eps=0.1), "C18")
    assert result.status == "pass", result.summary


def test_two_surrogates_of_one_name_are_refused(digits, digits_net):
    with pytest.raises(InputError, match="two surrogates"):
        checked(
            two_codes()(digits_net, digits), digits, None,
            surrogates=(lambda x: x, lambda x: 1 - x),
        )  # fmt: skip


def test_changed_thresholds_are_told(digits, digits_net):
    soft = dataclasses.replace(Thresholds(), unbounded=0.5)
    classifier = two_codes()(digits_net, digits)
    record = checked(classifier, digits, only("C1", thresholds=soft), attacks=["fgsm"])
    assert "[thresholds changed: unbounded 0.5]" in found(record, "C1").summary


def test_thresholds_decide(digits, digits_net):
    classifier = two_codes()(digits_net, digits)
    strict = dataclasses.replace(Thresholds(), surrogate_step=1.01)
    record = checked(classifier, digits, only("C4", thresholds=strict), attacks=["fgsm"])
    assert found(record, "C4").status == "fail"


def test_rows_that_a_check_asked_for_are_marked_and_count(digits, digits_net):
    classifier = two_codes()(digits_net, digits)
    record = checked(classifier, digits, only("C7"), attacks=["fgsm"], eps=0.2)
    asked = [o for o in record.outcomes if o.asked_by == "C7"]
    assert {round(o.eps, 6) for o in asked} == {0.05, 0.1, 0.15, 0.2, 0.3}
    alone = checked(classifier, digits, None, attacks=["fgsm"], eps=0.2)
    assert record.worst(0.2).count < alone.worst(0.2).count


def test_bad_choices():
    with pytest.raises(InputError, match="checks must be one of"):
        Checks("thorough")
    with pytest.raises(InputError, match="n_ex"):
        Checks(n_ex=0)
    with pytest.raises(InputError, match="only"):
        Checks(only=("C22",))


def test_the_reference_must_fit(digits, digits_net):
    with pytest.raises(InputError, match="reference"):
        checked(two_codes()(digits_net, digits), digits, None, reference=torch.zeros(1))


def test_a_check_counts_every_attack_of_its_kind_whoever_asked_for_it(
    monkeypatch, digits, digits_net
):
    """The suite's own Square beside the check's, and random search by an object of the user's."""
    monkeypatch.setattr(breadth, "SQUARE_QUERIES", 2)
    classifier = foreign(Masked)(digits_net, digits)
    guess = RandomSearch(classifier, 0.2, max_iter=400, seed=0)
    small = {"max_iter": 1, "max_eval": 2, "init_eval": 1, "init_size": 2}
    settings = {f"hop_skip_jump.{name}": value for name, value in small.items()}
    attacks = ["fgsm", "square", "hop_skip_jump", guess]
    settings["square.max_iter"] = 100
    options = {"surrogates": (), "n_ex": 15, "settings": settings, "attacks": attacks}
    record = checked(classifier, digits, only("C10"), **options)
    hit = {"base": set(), "bpda": set(), "none": set()}
    for row in record.select(scored_on="defended"):
        hit[row.knowledge] |= set(row.broken_positions(0.2).tolist())
    right = {i for i, ok in enumerate(record.defended_correct) if ok}
    c10 = found(record, "C10")
    assert c10.numbers["gained"] == len((hit["none"] - hit["bpda"]) & right) > 0
    for name in ("square on 15", "hop_skip_jump on 15", "RandomSearch on 15"):
        assert name in c10.summary


class _Elsewhere(torch.nn.Module):
    """Another network of the same input."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(64, 10)

    def forward(self, x):
        return self.line(x.flatten(1))


def test_examples_that_a_user_made_elsewhere_are_transfers(digits, digits_net):
    with torch.random.fork_rng():
        other = PyTorchClassifier(
            _Elsewhere(), torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1)
        )
    attack = ProjectedGradientDescent(other, eps=0.2, eps_step=0.05, max_iter=5, verbose=False)
    classifier = foreign(Masked)(digits_net, digits)
    record = checked(
        classifier, digits, only("C12"), attacks=["fgsm", attack], surrogates=(), n_ex=20
    )
    assert "ProjectedGradientDescent on 20" in found(record, "C12").summary


def test_an_attack_object_without_a_budget_exceeds_none(digits, digits_net):
    classifier = ad.build_classifier(digits_net, data=digits)
    record = checked(
        classifier, digits, only("C19"), attacks=[DeepFool(classifier, max_iter=5, verbose=False)],
        eps=0.01, n_ex=5,
    )  # fmt: skip
    assert max(record.outcomes[0].perturbation) > 0.01
    assert found(record, "C19").status == "pass"
