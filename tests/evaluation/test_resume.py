"""An interrupted run goes on where it stopped and ends as if nothing had happened."""

import json

import numpy as np
import pytest
import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.evaluation import Checks, EvaluationInterrupted, runner
from art_disc.surrogates import straight_through

OPTIONS = {
    "eps": [0.1, 0.2], "attacks": ["fgsm", "pgd"], "n_ex": 20, "checks": "quick",
    "settings": {"pgd.max_iter": 5, "pgd.num_random_init": 1}, "verbose": False,
}  # fmt: skip


def plain(record):
    """A record without when and how long."""
    body = json.loads(json.dumps(record.to_dict()))
    body.pop("environment")
    for row in [*body["outcomes"], *body["checks"]]:
        row.pop("seconds")
    return body


def interrupt_after(monkeypatch, rows):
    attack = runner.Runner._attack
    left = [rows]

    def counted(self, *args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return attack(self, *args)

    monkeypatch.setattr(runner.Runner, "_attack", counted)
    return left


@pytest.mark.parametrize("done", [0, 3, 9])
def test_an_interrupted_run_equals_an_uninterrupted_one(
    monkeypatch, tmp_path, digits, defended, done
):
    whole = ad.evaluate(defended, digits, **OPTIONS, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, done)
        with pytest.raises(EvaluationInterrupted):
            ad.evaluate(defended, digits, **OPTIONS, out=tmp_path / "cut")
    with monkeypatch.context() as patch:
        ran = interrupt_after(patch, 1000)
        again = ad.evaluate(defended, digits, **OPTIONS, out=tmp_path / "cut", resume=True)
        fresh = 1000 - ran[0]
    rows = {
        (o.attack, o.surrogate, o.knowledge, o.eps, str(o.settings)) for o in whole.record.outcomes
    }
    assert fresh == len(rows) - done
    assert plain(again.record) == plain(whole.record)
    if whole.pictures is not None:
        assert again.pictures.attack == whole.pictures.attack
        assert np.array_equal(again.pictures.adversarial, whole.pictures.adversarial)


def test_a_finished_run_runs_nothing_again(monkeypatch, tmp_path, digits, defended):
    first = ad.evaluate(defended, digits, **OPTIONS, out=tmp_path)
    interrupt_after(monkeypatch, 0)
    again = ad.evaluate(defended, digits, **OPTIONS, out=tmp_path, resume=True)
    assert plain(again.record) == plain(first.record)
    assert again.pictures is not None


def test_a_run_of_other_code_is_not_gone_on_with(monkeypatch, tmp_path, digits, defended):
    small = OPTIONS | {"attacks": ["fgsm"], "checks": None, "settings": None, "out": tmp_path}
    monkeypatch.setattr("art_disc.core.records.base.commit", lambda: "a" * 40)
    assert ad.evaluate(defended, digits, **small).record.environment.commit == "a" * 40
    monkeypatch.setattr("art_disc.core.records.base.commit", lambda: "b" * 40)
    with pytest.raises(InputError, match="with other commit"):
        ad.evaluate(defended, digits, **small, resume=True)


@pytest.mark.parametrize("announce", [None, str])
def test_a_random_model_goes_on_as_if_nothing_had_happened(
    monkeypatch, tmp_path, digits, digits_net, announce
):
    def run(name, **more):
        model = ad.build_classifier(
            digits_net, data=digits, defences=[ad.GaussianNoise(0.3)], eot_samples=2,
            vote_samples=3,
        )  # fmt: skip
        options = OPTIONS | {"checks": Checks("quick", only=("C14",))} | more
        return ad.evaluate(model, digits, **options, out=tmp_path / name)

    whole = run("whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(EvaluationInterrupted):
            run("cut", announce=announce)
    again = run("cut", resume=True, announce=announce)
    assert plain(again.record) == plain(whole.record)
    # scored as the classifier predicts: by its own number of votes
    assert {o.draws for o in whole.record.select(scored_on="defended")} == {20}


def test_another_defence_of_the_same_class_is_another_run(tmp_path, digits, digits_net):
    class Levels(PreprocessorPyTorch):
        params = ("levels",)

        def __init__(self, levels):
            super().__init__(device_type="cpu")
            self.levels = levels

        def forward(self, x, y=None):
            return straight_through(x, self.hard, torch.clone, len(x)), y

        def hard(self, x):
            return torch.round(x * self.levels) / self.levels

    def run(levels, **more):
        model = ad.build_classifier(
            digits_net, data=digits, defences=[Levels(levels)], placement="preprocessor"
        )
        small = OPTIONS | {"attacks": ["fgsm"], "checks": None, "settings": None}
        return ad.evaluate(model, digits, **small, out=tmp_path, **more)

    assert run(1).record.defences == ("Levels(levels=1)",)
    with pytest.raises(InputError, match="another defences"):
        run(15, resume=True)


def test_other_draws_are_another_run(tmp_path, digits, digits_net):
    def run(draws, **more):
        model = ad.build_classifier(
            digits_net, data=digits, defences=[ad.GaussianNoise(0.1)], eot_samples=draws,
            vote_samples=2,
        )  # fmt: skip
        small = OPTIONS | {"attacks": ["fgsm"], "checks": None, "settings": None, "n_ex": 5}
        return ad.evaluate(model, digits, **small, out=tmp_path, **more)

    assert run(1).record.settings["eot_samples"] == 1
    with pytest.raises(InputError, match="another settings"):
        run(2, resume=True)


def test_pictures_of_an_earlier_run_go(tmp_path, digits, defended):
    small = OPTIONS | {"attacks": ["fgsm"], "checks": None, "settings": None, "out": tmp_path}
    ad.evaluate(defended, digits, **small, export="png")
    ad.evaluate(defended, digits, **small | {"eps": [0.1], "n_ex": 3}, export="npz")
    assert not list(tmp_path.glob("adversarial/*/*.png"))


def test_another_run_is_not_gone_on_with(tmp_path, digits, defended):
    small = OPTIONS | {"attacks": ["fgsm"], "checks": None, "settings": None}
    ad.evaluate(defended, digits, **small, out=tmp_path)
    before = (tmp_path / "record.json").read_bytes()
    with pytest.raises(InputError, match="another seed"):
        ad.evaluate(defended, digits, **small | {"seed": 1}, out=tmp_path, resume=True)
    with pytest.raises(InputError, match="another defences"):
        ad.evaluate(defended.base, digits, **small, out=tmp_path, resume=True)
    assert (tmp_path / "record.json").read_bytes() == before


SMALL = OPTIONS | {"attacks": ["fgsm"], "checks": None, "settings": None, "n_ex": 8}


def test_the_second_codebook_of_a_chain_is_part_of_the_run(tmp_path, digits, digits_net):
    def run(level, **more):
        books = [ad.Codebook(np.array([[0.0], [0.5], [1.0]])), ad.Codebook([[0.0], [level]])]
        chain = [ad.PixelDiscretization(book) for book in books]
        model = ad.build_classifier(digits_net, data=digits, defences=chain)
        return ad.evaluate(model, digits, **SMALL, out=tmp_path, **more)

    record = run(1.0).record
    assert [entry["codewords"] for entry in record.codebook["then"]] == [[[0.0], [1.0]]]
    with pytest.raises(InputError, match="another defences"):
        run(0.99, resume=True)


@pytest.mark.parametrize(
    ("name", "value"), [("art_disc", "0.0.1"), ("device", "cuda:0"), ("threads", 64)]
)
def test_what_was_made_elsewhere_is_not_gone_on_with(tmp_path, digits, defended, name, value):
    ad.evaluate(defended, digits, **SMALL, out=tmp_path)
    path = tmp_path / "record.json"
    body = json.loads(path.read_text())
    body["environment"][name] = value
    path.write_text(json.dumps(body))
    with pytest.raises(InputError, match=f"other {name}"):
        ad.evaluate(defended, digits, **SMALL, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("less", "told"),
    [
        ({"attacks": ["fgsm"], "settings": None}, "pgd at eps 0.1, pgd at eps 0.2"),
        ({"eps": [0.1]}, "fgsm at eps 0.2"),
        ({"settings": {"pgd.max_iter": 6}}, "pgd at eps 0.1"),
        ({"checks": None}, "checks='quick'"),
    ],
)
def test_no_finished_work_is_dropped(tmp_path, digits, defended, less, told):
    few = OPTIONS | {"n_ex": 8, "checks": Checks("quick", only=("C3",)), "out": tmp_path}
    first = ad.evaluate(defended, digits, **few)
    with pytest.raises(InputError, match=told):
        ad.evaluate(defended, digits, **few | less, resume=True)
    assert plain(type(first.record).load(tmp_path / "record.json")) == plain(first.record)
    # more of everything goes on with it
    more = few | {"eps": [0.1, 0.2, 0.3], "attacks": ["fgsm", "pgd", "square"]}
    settings = few["settings"] | {"square.max_iter": 3}
    again = ad.evaluate(defended, digits, **more | {"settings": settings}, resume=True)
    assert len(again.record.outcomes) > len(first.record.outcomes)


@pytest.mark.parametrize("before", [None, "npz"])
def test_sets_that_were_not_written_are_made_anew(tmp_path, digits, defended, before):
    first = ad.evaluate(defended, digits, **SMALL, out=tmp_path / "a", export="png")
    ad.evaluate(defended, digits, **SMALL, out=tmp_path / "b", export=before)
    again = ad.evaluate(defended, digits, **SMALL, out=tmp_path / "b", export="png", resume=True)
    assert plain(again.record) == plain(first.record)
    made, wanted = (
        sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name).glob("adversarial/**/*"))
        for name in "ba"
    )
    assert made == wanted
    assert any(path.suffix == ".png" for path in made)


def names(record):
    return {(o.attack, o.surrogate, o.scored_on, o.eps) for o in record.outcomes}


def test_stopping_a_resumed_run_keeps_what_stood_later(monkeypatch, tmp_path, digits, defended):
    options = SMALL | {"out": tmp_path, "settings": {"square.max_iter": 3}}
    before = ad.evaluate(defended, digits, **options | {"attacks": ["fgsm", "square"]})
    more = options | {"attacks": ["fgsm", "pgd", "square"]}
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        with pytest.raises(EvaluationInterrupted) as stop:
            ad.evaluate(defended, digits, **more, resume=True)
    kept = type(before.record).load(tmp_path / "record.json")
    assert names(kept) > names(before.record)
    assert names(stop.value.partial.record) == names(kept)
    whole = ad.evaluate(defended, digits, **more, resume=True)
    fresh = ad.evaluate(defended, digits, **more | {"out": tmp_path / "fresh"})
    assert plain(whole.record) == plain(fresh.record)


def test_the_users_own_attacks_are_told_apart_by_their_settings(tmp_path, digits, defended):
    from art.attacks.evasion import FastGradientMethod

    one, two = (FastGradientMethod(defended, eps=eps) for eps in (0.1, 0.2))
    options = SMALL | {"out": tmp_path, "eps": 0.2}
    ad.evaluate(defended, digits, **options | {"attacks": [one, two]})
    with pytest.raises(InputError, match=r"FastGradientMethod at eps 0\.2"):
        ad.evaluate(defended, digits, **options | {"attacks": [one]}, resume=True)
    again = ad.evaluate(defended, digits, **options | {"attacks": [two, one]}, resume=True)
    # each once: they run again
    assert len(again.record.outcomes) == len(names(again.record)) == 2


def test_other_checks_keep_the_attacks_of_earlier_ones_and_certificates(tmp_path, digits, defended):
    options = SMALL | {"out": tmp_path, "eps": [0.1], "max_free": 4}
    few = Checks("quick", only=("C6",), n_ex=6)
    before = ad.evaluate(defended, digits, **options | {"checks": few}, certify=True)
    fewer = Checks("quick", only=("C6",), n_ex=5)
    after = ad.evaluate(defended, digits, **options | {"checks": fewer}, resume=True)
    parts = {len(o.positions) for o in after.record.outcomes}
    assert {5, 6} <= parts
    assert after.record.worst(0.1).count <= before.record.worst(0.1).count
    assert after.record.certificates == before.record.certificates


def test_a_set_is_named_by_its_attack_not_by_its_place(tmp_path, digits, defended):
    options = SMALL | {"out": tmp_path, "export": "npz"}
    ad.evaluate(defended, digits, **options | {"eps": [0.2]})
    first = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("adversarial/*.npz")}
    ad.evaluate(defended, digits, **options | {"eps": [0.1, 0.2]}, resume=True)
    second = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("adversarial/*.npz")}
    # the old ones are where they were, untouched, and the new ones beside them
    assert first.items() < second.items()
    assert len(second) == 2 * len(first)
