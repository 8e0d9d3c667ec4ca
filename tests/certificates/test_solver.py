"""Certificates by CP-SAT: verdicts of enumeration, faults that are caught, what is refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.certificates.problem import Finding, Problem
from art_disc.certificates.solver import method as solver_method
from art_disc.certificates.solver import twin as twin_module
from art_disc.certificates.solver.method import Stage
from art_disc.certificates.solver.programme import Programme
from art_disc.certificates.solver.rows import Rows
from art_disc.certificates.target import find_target
from art_disc.codebooks import Codebook
from art_disc.codebox import Threat
from art_disc.core.errors import CertificateError, InputError, MissingExtraError
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier
from art_disc.metrics import (
    Spend,
    certificate_curve,
    certify,
    check_certifiable,
    integer_classifier,
)
from art_disc.metrics import rounded_classifier as rounded
from art_disc.networks import BinarizedNet, fcn2
from art_disc.networks.integer import IntegerNetwork, Sums, Thresholds
from art_disc.networks.integer.crossing import Rule
from art_disc.networks.sign_gradient import has_signs
from tests.certificates.sign_networks import KINDS, SHAPE, case, shaken

pytest.importorskip("ortools", reason="the extra verify is not installed")
SEEDS = 4


def both(kind, seed, **options):
    """Certify by enumeration and by the solver, in whole numbers both times."""
    classifier, x, eps = case(kind, seed, **options)
    twin = integer_classifier(classifier)
    labels = twin.predict(x).argmax(axis=1)
    labels[0] = (labels[0] + 1) % 3
    settings = {"eps": eps, "verbose": False}
    exact = certify(twin, x, labels, max_free=18, **settings)
    found = certify(classifier, x, labels, method="solver", **settings)
    return exact, found, (twin, x, labels, eps)


@pytest.fixture(autouse=True)
def no_attack(monkeypatch):
    """Leave all that bounds leave to the solver."""
    monkeypatch.setattr(solver_method, "broken", lambda *_: {})


@pytest.mark.parametrize("kind", KINDS)
def test_verdicts_are_those_of_enumeration(assert_witnesses, kind):
    seen = []
    for seed in range(SEEDS):
        exact, found, given = both(kind, seed, fine=seed == 1)
        assert found.verdicts == exact.verdicts
        assert found.record.settings["arithmetic"] == "exact"
        assert_witnesses(found, *given)
        seen += exact.verdicts
    assert len(seen) == 20 * SEEDS
    assert {"certified", "falsified"} <= set(seen)


def test_codes_that_only_ties_reach_are_told_apart():
    reasons = set()
    for seed in range(2):
        exact, found, _ = both("dense", seed)
        assert found.record.reasons == exact.record.reasons
        reasons |= set(found.record.reasons)
    assert reasons == {"", "reachable only by a tie or rounding"}


COLOURS = Codebook([[0.1, 0.2, 0.8], [0.5, 0.6, 0.3], [0.9, 0.1, 0.2]])
CHANNELS = Codebook([0.1, 0.45, 0.8], per_channel=True)


@pytest.mark.parametrize(
    ("shape", "upper", "codebook", "settings"),
    [
        ((3, 2, 3), 1.0, COLOURS, {}),
        ((3, 2, 3), 255.0, COLOURS, {"domain": "8bit"}),
        ((3, 2, 2), 1.0, CHANNELS, {"rule": "paper"}),
        ((2, 3, 1), 255.0, Codebook([0.2, 0.7]), {"domain": "8bit"}),
    ],
)
def test_colours_ranges_layouts_and_domains(assert_witnesses, shape, upper, codebook, settings):
    last, seen = shape[-1] == 1, set()
    words = codebook.codewords_.mean(axis=1) * upper
    by = (np.float32(0.4 * upper), np.float32(0.3 * upper))
    if shape[0] == 3:
        by = tuple(each * np.array([1.0, 0.8, 1.2], np.float32) for each in by)
    for seed in range(2):
        torch.manual_seed(seed)
        network = BinarizedNet(shape, 3, widths=(7, 5), last="binary")
        each = tuple(float(np.mean(b)) for b in by)
        classifier = build_classifier(
            shaken(network, seed, shape, words, each),
            input_shape=shape,
            nb_classes=3,
            defences=[PixelDiscretization(codebook)],
            clip_values=(0.0, upper),
            channels_first=not last,
            preprocessing=by,
        )
        twin = integer_classifier(classifier)
        x = np.random.default_rng(seed).uniform(0, upper, (20, *shape)).astype(np.float32)
        labels = twin.predict(x).argmax(axis=1)
        options = {"eps": 0.12 * upper, "verbose": False, **settings}
        exact = certify(twin, x, labels, max_free=18, **options)
        found = certify(classifier, x, labels, method="solver", **options)
        assert found.record.verdicts == exact.record.verdicts
        assert found.record.reasons == exact.record.reasons
        assert_witnesses(found, twin, x, labels, 0.12 * upper)
        seen |= set(found.verdicts)
    assert {"certified", "falsified"} <= seen


def tie_is_safe(monkeypatch):
    margins = Rows.margins

    def without(self, label):
        rows, ahead = margins(self, label)
        return rows, ahead - (np.arange(len(rows)) < label)

    monkeypatch.setattr(Rows, "margins", without)


def code_dropped(monkeypatch):
    answer = Stage._answer

    def arrays(self, found, choices, stop):
        kept = [codes[:-1] if len(codes) > 1 else codes for codes in choices]
        return answer(self, found, kept, stop)

    monkeypatch.setattr(Stage, "_answer", arrays)


def rival_dropped(monkeypatch):
    wrong = Programme._wrong
    monkeypatch.setattr(
        Programme, "_wrong", lambda self, rows, label, values, rivals: wrong(
            self, rows, label, values, rivals[:-1]
        )
    )  # fmt: skip


def literal_is_one_sided(monkeypatch):
    literal = Programme._literal

    def loose(self, sums, unit, threshold):
        return literal(self, sums, unit, threshold + 1)

    monkeypatch.setattr(Programme, "_literal", loose)


def bounds_are_off(monkeypatch):
    # by the least that whole numbers can be
    lead = Rows.lead
    monkeypatch.setattr(Rows, "lead", lambda self, *given: lead(self, *given) + 1)


@pytest.mark.parametrize(
    "fault", [tie_is_safe, code_dropped, rival_dropped, literal_is_one_sided, bounds_are_off]
)
def test_a_planted_fault_is_seen(monkeypatch, fault):
    fault(monkeypatch)
    assert any(differs(kind, fine) for kind in ("tiny", "dense") for fine in (False, True))


def differs(kind, fine):
    """Whether the solver's verdicts are not those of enumeration, or its answers are refused."""
    try:
        exact, found, _ = both(kind, 0, fine=fine)
    except CertificateError as error:
        return "the solver's code image" in str(error)
    return found.verdicts != exact.verdicts


@pytest.mark.parametrize("shift", [1, -1])
def test_a_threshold_off_by_one_is_no_certificate(monkeypatch, shift):
    classifier, x, eps = case("dense", 0, fine=True)
    rows = Rows.of

    def shifted(network):
        made = rows(network)
        first, *rest = made.hidden
        return replace(made, hidden=(replace(first, thresholds=first.thresholds + shift), *rest))

    monkeypatch.setattr(Rows, "of", shifted)
    with pytest.raises(CertificateError, match="are not those of its network of whole numbers"):
        certify(classifier, x, eps=eps, method="solver", verbose=False)


def test_a_gain_that_is_not_turned_is_refused(monkeypatch):
    rule = Rule.of
    monkeypatch.setattr(Rule, "of", lambda given, place: replace(rule(given, place), direction=1))
    with pytest.raises(CertificateError, match="have other logits in whole numbers"):
        integer_classifier(case("dense", 0)[0])


def test_equal_logits_go_to_the_lowest_class_as_in_predict():
    # two classes of the same weights: the first wins always, and is certified
    network = BinarizedNet((1, 2, 2), 3, widths=(4,), last="binary").eval()
    with torch.no_grad():
        network.layers[-1].weight[1] = network.layers[-1].weight[0]
        network.layers[-1].weight[2] = -network.layers[-1].weight[0]
        network.layers[-1].bias.zero_()
    classifier = build_classifier(
        network, input_shape=(1, 2, 2), nb_classes=3, defences="colordepth:n_codes=2"
    )
    twin = integer_classifier(classifier)
    x = np.random.default_rng(0).uniform(0, 1, (20, 1, 2, 2)).astype(np.float32)
    won = classifier.predict(x).argmax(axis=1)
    assert (twin.predict(x).argmax(axis=1) == won).all()
    assert 1 not in won
    found = certify(twin, x, np.ones(20, int), eps=0.1, method="solver", verbose=False)
    assert found.count("falsified") == 20


def test_the_attack_comes_before_the_solver(monkeypatch, assert_witnesses):
    monkeypatch.undo()
    classifier, x, eps = case("dense", 0)
    labels = integer_classifier(classifier).predict(x).argmax(axis=1)
    options = {"eps": eps, "method": "solver", "verbose": False}
    whole = certify(classifier, x, labels, **options)
    assert whole.count("falsified") > 0

    def solved(self, index, seconds):
        return Finding("undecided", "not asked")

    monkeypatch.setattr(Stage, "solved", solved)
    attacked = certify(classifier, x, labels, **options)
    assert attacked.count("falsified") > 0
    assert_witnesses(attacked, attacked.classifier, x, labels, eps)


def test_what_the_solver_has_no_time_for_is_undecided_with_the_reason():
    classifier, x, eps = case("dense", 0)
    options = {"eps": eps, "method": "solver", "verbose": False}
    found = certify(classifier, x, spend=Spend(seconds=1e-9), **options)
    rest = [
        r for r, v in zip(found.record.reasons, found.verdicts, strict=True) if v == "undecided"
    ]
    assert rest
    assert set(rest) == {"1e-09 seconds spent"}


def test_findings_are_kept_and_taken_up_and_the_same_in_processes(tmp_path):
    classifier, x, eps = case("dense", 3)
    options = {"eps": eps, "method": "solver", "verbose": False}
    whole = certify(classifier, x, **options)
    kept = certify(classifier, x, out=tmp_path, n_jobs=2, **options)
    assert kept.verdicts == whole.verdicts
    again = certify(classifier, x, out=tmp_path, **options)
    assert again.verdicts == whole.verdicts
    assert len((tmp_path / "findings.jsonl").read_text().splitlines()) == len(x) + 1


def test_budgets_share_what_holds():
    classifier, x, _ = case("dense", 4)
    curve = certificate_curve(classifier, x, eps=[0.02, 0.1, 0.3], method="solver", verbose=False)
    counts = [record.count("certified") for record in curve.record.certificates]
    assert counts == sorted(counts, reverse=True)


def test_one_class_of_the_classifier_predicts_and_is_verified():
    classifier, x, eps = case("real_last", 5)
    found = certify(classifier, x, eps=eps, method="solver", verbose=False)
    assert isinstance(found.classifier.model.base, IntegerNetwork)
    assert integer_classifier(found.classifier) is found.classifier
    assert rounded(found.classifier) is found.classifier
    again = certify(
        found.classifier, x, eps=eps, method="solver", arithmetic="float", verbose=False
    )
    assert again.verdicts == found.verdicts
    with pytest.raises(CertificateError, match="predicts in whole numbers, got another network"):
        certify(classifier, x, eps=eps, method="solver", arithmetic="float", verbose=False)
    with pytest.raises(CertificateError, match="use method='solver'"):
        certify(found.classifier, x, eps=eps, method="complete", verbose=False)


def test_evaluations_certify_the_classifier_that_they_attack():
    classifier, x, _ = case("dense", 0)
    check_certifiable(integer_classifier(classifier), x, method="solver")
    with pytest.raises(CertificateError, match="certify integer_classifier"):
        check_certifiable(classifier, x, method="solver")
    assert has_signs(integer_classifier(classifier).base_network)


def test_rivals_of_the_same_weights_are_decided_by_the_constants():
    network = BinarizedNet((1, 2, 2), 3, widths=(4,), last="binary").eval()
    with torch.no_grad():
        network.layers[-1].weight[1] = network.layers[-1].weight[0]
        network.layers[-1].bias.copy_(torch.tensor([-0.5, 0.0, -20.0]))
    classifier = build_classifier(
        network, input_shape=(1, 2, 2), nb_classes=3, defences="colordepth:n_codes=2"
    )
    x = np.full((2, 1, 2, 2), 0.5, np.float32)
    twin = integer_classifier(classifier)
    assert (twin.predict(x).argmax(axis=1) == 1).all()
    found = certify(twin, x, eps=0.1, method="solver", verbose=False)
    assert found.count("certified") == 2
    # a label that never wins: each rival's sum is the same on all code images
    labels, scores = np.zeros(2, dtype=int), np.eye(3)[[0, 0]]
    stage = Stage.of(Problem.of(find_target(twin), Threat(0.1), x, labels, scores))
    assert stage.solved(0, 10.0).verdict == "falsified"


def test_a_network_that_was_changed_is_refused():
    twin = integer_classifier(case("dense", 0)[0])
    x = np.zeros((2, *SHAPE), np.float32)
    twin.model.base.layers[0].thresholds += 0.5
    with pytest.raises(CertificateError, match="must be whole"):
        certify(twin, x, eps=0.1, method="solver", verbose=False)


def test_a_network_too_large_for_the_solver_is_refused(monkeypatch):
    monkeypatch.setattr(twin_module, "_MOST_CONNECTIONS", 100)
    classifier, x, eps = case("real_last", 0)
    with pytest.raises(CertificateError, match="up to 100 connections, got 1"):
        certify(classifier, x, eps=eps, method="solver", verbose=False)


class Own(IntegerNetwork):
    pass


def test_a_class_of_ones_own_is_refused():
    twin = integer_classifier(case("dense", 0)[0])
    twin.model.base.__class__ = Own
    x = np.zeros((2, *SHAPE), np.float32)
    with pytest.raises(CertificateError, match="may compute something else than a IntegerNetwork"):
        certify(twin, x, eps=0.1, method="solver", verbose=False)


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (fcn2(SHAPE, 3, widths=(6, 5), binarization="paper"), "the preset paper"),
        (fcn2(SHAPE, 3, widths=(6, 5), last="real"), "behind others, on real inputs"),
        (fcn2(SHAPE, 3, widths=(6, 5), binarization="binary_weights"), "no network of whole"),
        (fcn2(SHAPE, 3, widths=(6, 5), binarization="real"), "behind others, on real inputs|ReLU"),
        (nn.Sequential(nn.Flatten(), nn.Softmax(dim=1), nn.Linear(12, 3)), "Softmax"),
    ],
)
def test_other_networks_are_refused_by_name(network, word):
    classifier = build_classifier(
        network, input_shape=SHAPE, nb_classes=3, defences="colordepth:n_codes=2"
    )
    x = np.zeros((2, *SHAPE), np.float32)
    with pytest.raises(CertificateError, match=word):
        certify(classifier, x, eps=0.1, method="solver", verbose=False)


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    classifier, x, eps = case("dense", 0)
    with pytest.raises(MissingExtraError, match=r"art-disc\[verify\]"):
        certify(classifier, x, eps=eps, method="solver", verbose=False)


def test_unknown_arithmetic_is_refused():
    classifier, x, eps = case("dense", 0)
    with pytest.raises(InputError, match="arithmetic must be one of"):
        certify(classifier, x, eps=eps, method="solver", arithmetic="long")


def whole(last, constants, hidden=(), **options):
    """A classifier of a network of whole numbers that was made by hand."""
    sums = Sums(torch.tensor(last), (len(last[0]),))
    numbers = torch.tensor(constants, dtype=torch.float64)
    network = IntegerNetwork(list(hidden), sums, numbers, upper=1.0, **options)
    defences = [PixelDiscretization(Codebook([0.2, 0.8]))]
    return build_classifier(network, input_shape=(1, 2, 2), nb_classes=2, defences=defences)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"steps": 1, "fractions": 200}, "fractions in"),
        ({"steps": 1, "fractions": -1100}, "fractions in"),
        ({"steps": 1 << 22, "fractions": 0}, "below 2"),
    ],
)
def test_scores_and_levels_that_float32_does_not_hold_are_refused(options, text):
    """`predict` would say another class than the sums that are verified."""
    with pytest.raises(CertificateError, match=text):
        whole([[0.0] * 4, [1.0] * 4], [0.0, 5.0], **options)


def test_numbers_of_another_shape_are_refused():
    one = torch.ones(2)
    hidden = Thresholds(Sums(torch.ones(2, 4), (4,)), torch.zeros(3).double(), one, one)
    with pytest.raises(CertificateError, match="must have shape"):
        whole([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0], [hidden], steps=1, fractions=0)


def test_a_temperature_changes_no_verdict():
    classifier, x, eps = case("dense", 0)
    found = certify(classifier, x, eps=eps, method="solver", verbose=False)
    for given in (classifier, integer_classifier(classifier)):
        cooled = given.with_surrogate("ste_hard_tanh:16")
        again = certify(cooled, x, eps=eps, method="solver", verbose=False)
        assert again.verdicts == found.verdicts
        assert len(set(found.verdicts)) > 1


def test_a_forward_that_asks_for_a_tensor_is_refused_by_name():
    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = fcn2((1, 2, 2), 2, widths=(4,))

        def forward(self, x):
            if not isinstance(x, torch.Tensor):
                raise KeyError(x)
            return self.net(x)

    classifier = build_classifier(
        Asks().eval(), input_shape=(1, 2, 2), nb_classes=2, defences="bitdepth:bits=1"
    )
    with pytest.raises(CertificateError, match=r"torch\.fx cannot follow"):
        certify(
            classifier, np.zeros((1, 1, 2, 2), np.float32), eps=0.1, method="solver", verbose=False
        )
