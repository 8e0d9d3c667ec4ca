import json
from dataclasses import replace

import numpy as np
import pytest

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.core.intervals import clopper_pearson_lower, wilson_interval
from art_disc.core.records import (
    KNOWLEDGE,
    AttackOutcome,
    CertificateRecord,
    Environment,
    EvaluationRecord,
    Share,
    load_record,
)
from art_disc.core.records.certificate import CertificateCurveRecord

HERE = Environment.here(threads=2)
N = 12
EPS = (0.1, 0.2, 0.3)


def outcome(rng, **changes):
    done = rng.random() < 0.8
    made = AttackOutcome(
        attack=str(rng.choice(["pgd", "fgsm", "square"])),
        scored_on=str(rng.choice(["base", "defended"])),
        knowledge=str(rng.choice(KNOWLEDGE)),
        surrogate=None,
        norm="inf",
        eps=float(rng.choice(EPS)),
        targeted=False,
        settings={"max_iter": 3, "eps_step": 0.5, "name": "x", "flag": True, "none": None},
        seed=int(rng.integers(100)),
        status="done" if done else "failed",
        reason="" if done else "refused",
        correct=tuple(bool(v) for v in rng.random(N) < 0.7) if done else (),
        perturbation=tuple(float(v) for v in rng.uniform(0, 0.35, N)) if done else (),
        gradients=int(rng.integers(50)),
        queries=7,
        seconds=0.25,
    )
    return replace(made, **changes)


def evaluation(seed):
    rng = np.random.default_rng(seed)
    return EvaluationRecord(
        dataset={"name": "toy", "n_test": N},
        example_ids=tuple(range(N)),
        labels=tuple(int(v) for v in rng.integers(0, 3, N)),
        network={"name": "net", "parameters": 10},
        defences=("PixelDiscretization(...)",),
        codebook={"name": "Codebook", "metric": "l_inf", "codewords": [[0.0], [1.0]]},
        histogram=((1, 2, 3), (4, 5, 6)),
        norm="inf",
        eps=EPS,
        clip_values=(0.0, 1.0),
        seed=3,
        base_correct=tuple(bool(v) for v in rng.random(N) < 0.9),
        defended_correct=tuple(bool(v) for v in rng.random(N) < 0.9),
        outcomes=tuple(outcome(rng) for _ in range(8)),
        environment=HERE,
        complete=False,
        settings={"n": 5},
    )


def certificate(**changes):
    made = CertificateRecord(
        method="enumeration",
        eps=0.1,
        assumes="a grid",
        settings={"max_images": 100},
        verdicts=("certified", "certified", "falsified", "undecided"),
        reasons=("", "", "", "too many"),
        free_pixels=(0, 1, 2, 30),
        log2_images=(0.0, 1.0, 2.0, 30.0),
        evaluated=(1, 2, 4, 0),
        seconds=1.5,
        environment=HERE,
    )
    return replace(made, **changes)


@pytest.mark.parametrize("record", [evaluation(0), evaluation(1), certificate()])
def test_what_is_saved_is_what_is_loaded(tmp_path, record):
    path = record.save(tmp_path / "r.json")
    assert load_record(path) == record
    assert type(record).load(path) == record
    assert list(tmp_path.iterdir()) == [path]


def test_each_kind_refuses_the_other(tmp_path):
    path = certificate().save(tmp_path / "c.json")
    with pytest.raises(FileFormatError, match=r"c\.json is no evaluation record"):
        EvaluationRecord.load(path)
    with pytest.raises(DataNotFoundError):
        load_record(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"schema_version": 1}, "schema version 1, this release reads 3"),
        ({"schema_version": None}, "schema version None"),
        ({"kind": "poem"}, "no record of art_disc"),
        ({"kind": None}, "no record of art_disc"),
        ({"environment": 3}, "damaged"),
        ({"environment": {"created": "x"}}, "damaged"),
        ({"outcomes": None}, "damaged"),
        ({"outcomes": [{"attack": "pgd"}]}, "damaged"),
        ({"surplus": 1}, "damaged"),
        ({"histogram": 5}, "damaged"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(tmp_path, change, text):
    path = evaluation(0).save(tmp_path / "r.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FileFormatError, match=text):
        load_record(path)


def test_a_missing_field_and_a_list_are_refused(tmp_path):
    path = evaluation(0).save(tmp_path / "r.json")
    body = json.loads(path.read_text())
    del body["labels"]
    path.write_text(json.dumps(body))
    with pytest.raises(FileFormatError, match=r"damaged.*labels"):
        load_record(path)
    path.write_text("[1, 2]")
    with pytest.raises(FileFormatError, match="no record"):
        load_record(path)


def alive_by_hand(record, eps, model, knowledge, i):
    if not (record.base_correct if model == "base" else record.defended_correct)[i]:
        return False
    return not any(
        o.status == "done"
        and o.scored_on == model
        and o.knowledge in knowledge
        and not o.correct[i]
        and o.perturbation[i] <= eps
        for o in record.outcomes
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("model", ["base", "defended"])
def test_the_worst_case_is_counted_example_by_example(seed, model):
    record = evaluation(seed)
    for eps in (0.05, *EPS, 1.0):
        for knowledge in (KNOWLEDGE, ("none",), ("base", "bpda")):
            expected = [alive_by_hand(record, eps, model, knowledge, i) for i in range(N)]
            assert list(record.survives(eps, model=model, knowledge=knowledge)) == expected
        attacked = any(
            (o.status, o.scored_on, o.eps) == ("done", model, eps) for o in record.outcomes
        )
        count = sum(alive_by_hand(record, eps, model, KNOWLEDGE, i) for i in range(N))
        assert record.worst(eps, model=model) == (Share(count, N) if attacked else None)


def test_a_budget_that_was_not_attacked_has_no_number():
    record = evaluation(0)
    row = next(o for o in record.select(scored_on="defended"))
    alone = replace(record, outcomes=(row,))
    assert alone.worst(row.eps) is not None
    assert alone.worst(row.eps, model="base") is None
    assert alone.worst(row.eps + 0.01) is None
    # an attack on a part of the examples says nothing of the others
    part = replace(row, positions=(2,), correct=row.correct[2:3], perturbation=(0.0,))
    assert replace(alone, outcomes=(part,)).worst(row.eps) is None
    others = tuple(known for known in KNOWLEDGE if known != row.knowledge)
    assert alone.worst(row.eps, knowledge=others) is None


def test_the_synthetic_records_break_some_but_not_all():
    counts = [sum(evaluation(seed).survives(0.3)) for seed in range(12)]
    assert 0 < sum(counts) < 12 * N
    assert any(sum(evaluation(s).survives(0.1)) > counts[s] for s in range(12))


def test_an_attack_at_the_budget_counts_despite_rounding():
    rng = np.random.default_rng(0)
    row = {"scored_on": "defended", "status": "done", "correct": (False,) * N, "knowledge": "none"}
    for size, alive in ((0.1, 0), (0.1 + 5e-7, 0), (0.1 + 2e-6, N)):
        hit = outcome(rng, **row, eps=0.1, perturbation=(size,) * N)
        record = replace(evaluation(0), outcomes=(hit,), defended_correct=(True,) * N)
        assert record.worst(0.1).count == hit.share.count == alive


def test_a_rounded_image_counts_from_its_rows_own_budget_on():
    rng = np.random.default_rng(0)
    row = {"scored_on": "defended", "status": "done", "knowledge": "none", "eps": 0.2}
    # the change was small, rounding may have gone as far as the budget
    found = {"correct": (False,) * N, "grid_correct": (False,) * N, "perturbation": (0.05,) * N}
    hit = outcome(rng, **row, **found)
    record = replace(evaluation(0), outcomes=(hit,), defended_correct=(True,) * N)
    assert not any(record.survives(0.1))
    assert all(record.survives(0.1, grid=True))
    assert not any(record.survives(0.2, grid=True))


@pytest.mark.parametrize("seed", range(12))
def test_breakers_are_those_that_hit_alone(seed):
    record = evaluation(seed)
    for eps in EPS:
        expected = {}
        for i in range(N):
            hits = {
                o.attack
                for o in record.outcomes
                if (o.status, o.scored_on) == ("done", "defended")
                and record.defended_correct[i]
                and not o.correct[i]
                and o.perturbation[i] <= eps
            }
            if len(hits) == 1:
                (name,) = hits
                expected[name] = expected.get(name, 0) + 1
        assert record.breakers(eps) == expected


def test_select_leaves_out_what_did_not_finish():
    record = evaluation(0)
    done = [o for o in record.outcomes if o.status == "done"]
    assert 0 < len(done) < len(record.outcomes)
    assert list(record.select()) == done
    assert list(record.select(attack="pgd")) == [o for o in done if o.attack == "pgd"]


def test_a_share_is_a_count_with_wilsons_interval():
    share = Share(3, 4)
    assert share.value == 0.75
    assert share.interval == wilson_interval(3, 4)
    assert str(share).startswith("75.00% [")
    assert str(share).endswith("of 4")
    assert evaluation(0).clean("base").count == sum(evaluation(0).base_correct)
    assert evaluation(0).clean() == Share(sum(evaluation(0).defended_correct), N)


def test_the_undecided_count_against_a_certificate():
    record = certificate()
    counts = {verdict: record.count(verdict) for verdict in ("certified", "falsified", "undecided")}
    assert counts == {"certified": 2, "falsified": 1, "undecided": 1}
    assert record.certified_accuracy == 0.5
    assert record.lower_limit(0.9) == clopper_pearson_lower(2, 4, 0.9)
    with pytest.raises(InputError, match="got 'maybe'"):
        record.count("maybe")


def test_a_contradiction_is_a_certified_example_that_was_broken_within_its_certificate():
    rng = np.random.default_rng(0)
    found = {"scored_on": "defended", "status": "done", "reason": "", "eps": 0.2}

    def contradictions(size, positions=(), **changes):
        n = len(positions) or N
        fields = {"correct": (False,) * n, "perturbation": (size,) * n, "positions": positions}
        hit = outcome(rng, **(found | fields | changes))
        one = certificate(
            verdicts=("undecided",) * 5 + ("certified",) * 2 + ("falsified",) * 5,
            **dict.fromkeys(("free_pixels", "evaluated"), (0,) * N),
            reasons=("",) * N,
            log2_images=(0.0,) * N,
        )
        record = replace(evaluation(0), outcomes=(hit,), certificates=(one,))
        return record.contradictions()

    assert contradictions(0.1) == contradictions(0.1 + 5e-8) == ((5, 0.1), (6, 0.1))
    assert contradictions(0.1 + 2e-7) == contradictions(0.19) == ()
    # the positions of a part are those of the record
    assert contradictions(0.05, positions=(0, 1, 6)) == ((6, 0.1),)
    assert contradictions(0.05, norm="2") == contradictions(0.05, scored_on="base") == ()
    assert contradictions(0.05, correct=(True,) * N) == ()


def test_certificates_of_other_examples_are_no_curve():
    known = {"verdicts": ("certified",) * 3, "reasons": ("",) * 3, "log2_images": (0.0,) * 3}
    known |= dict.fromkeys(("free_pixels", "evaluated"), (0,) * 3)
    with pytest.raises(InputError, match=r"examples at every budget must be 4 .*got 3"):
        CertificateCurveRecord((certificate(), certificate(eps=0.2, **known)), 1.0, HERE)
