"""What cannot run is said before the run, with what helps; untrained weights at both ends of it."""

import warnings
from argparse import Namespace

import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.cli import main
from art_disc.cli.setup import make_reference
from art_disc.evaluation import Checks

FEW = {"eps": 0.1, "attacks": "fgsm", "n_ex": 5, "verbose": False}


class Flat(nn.Module):
    """A network without a linear layer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 640).sin().reshape(64, 10))

    def forward(self, x):
        return x.flatten(1) @ self.weight


@pytest.fixture
def classifier(digits):
    return ad.build_classifier(Flat(), data=digits)


def test_checks_without_a_reference_are_named_with_the_cure(classifier, digits):
    said = []
    options = FEW | {"checks": Checks("standard", only=("C12", "C17")), "announce": said.append}
    record = ad.evaluate(classifier, digits, **options).record
    why = "no adversarially trained network was given"
    assert said[0].startswith(f"not run: C12, C17: {why}")
    assert "reference=network (--reference FILE)" in said[0]
    assert "attacks on 5 images" in said[-1]
    found = {c.id: (c.status, c.summary) for c in record.checks}
    assert [found[name][0] for name in ("C12", "C17")] == ["not run"] * 2
    assert all(why in found[name][1] for name in ("C12", "C17"))

    said.clear()
    ad.evaluate(classifier, digits, reference=Flat(), **options)
    assert len(said) == 1, "with one they can run"


def test_attacks_that_the_table_refuses_are_named(classifier, digits, capsys):
    said = []
    options = FEW | {"attacks": "fgsm,sign_adam", "norm": 2, "checks": None}
    ad.evaluate(classifier, digits, announce=said.append, **options)
    assert said[0].startswith("left out: sign_adam ")
    # to a user of Python, who gives nothing to announce with, on stderr
    ad.evaluate(classifier, digits, **options | {"verbose": True})
    assert said[0] in capsys.readouterr().err
    ad.evaluate(classifier, digits, **options)
    assert capsys.readouterr().err == ""


def test_a_network_that_nothing_can_be_planted_in_is_named(classifier, digits):
    said = []
    checks = Checks("full", only=("C18",))
    ad.evaluate(classifier, digits, checks=checks, announce=said.append, **FEW)
    assert said[0].startswith("not run: C18: the network has no linear layer")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": "mine:make"}, "the network is your own"),
        ({"weights": "w.npz"}, "the network is your own"),
        ({"norm": "2"}, "not in the norm of --norm 2"),
        ({}, "digits has no training images"),
    ],
)
def test_why_no_reference_is_trained_is_said(changes, why, classifier, digits, capsys):
    usual = {"reference": "auto", "checks": "standard", "norm": "inf", "quiet": False}
    options = Namespace(**usual | {"model": None, "weights": None, "eps": None} | changes)
    assert make_reference(options, digits.subset(0, 5), classifier) is None
    said = capsys.readouterr().err
    assert why in said
    assert "--reference FILE" in said
    options.checks = "quick"
    assert make_reference(options, digits.subset(0, 5), classifier) is None
    assert capsys.readouterr().err == "", "nothing needs one"


def test_untrained_weights_are_named_at_the_start_and_in_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "untrained.py").write_text("from art_disc.networks import DigitsNet as make\n")
    words = "evaluate --model untrained:make --defence none --attacks fgsm --checks none --n-ex 5"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main([*words.split(), "--quiet", "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("art-disc: untrained:make came without weights: expected a file of them")
    assert "give --weights FILE" in err
    assert "network DigitsNet: the user's own network, untrained weights" in out
    page = (tmp_path / "run" / "report.html").read_text()
    top = page[: page.index('<h2 id="accuracy-over-eps')]
    assert "untrained weights" in top
