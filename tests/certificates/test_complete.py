"""Bounds and search give the verdicts of full enumeration, on every layer and every codebook."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.attacks import CodeSpaceAttack
from art_disc.attacks.code_view import CodeView
from art_disc.bounds import Bounds, trace
from art_disc.certificates.complete import attacked, branch, method, network, scene, tabled
from art_disc.certificates.problem import Finding
from art_disc.certificates.spend import Spend
from art_disc.codebooks import Codebook
from art_disc.core.errors import CertificateError, InputError
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier
from art_disc.metrics import certify
from studies.programmes import against_programmes
from studies.random_cases import make_case, small_cases
from studies.random_networks import DEEP, KINDS
from studies.soundness import against_enumeration
from tests.certificates.conftest import wide

HALVES = Codebook([0.0, 1.0])
DENSITY = Codebook([0.0, 253 / 255])


def case(kind, seed):
    """A classifier around one kind of layer, images with few code images, and a budget."""
    made = make_case(kind, seed, n=16, bits=(3, 8))
    return made.classifier, made.x, made.eps


@pytest.fixture
def no_leaves(monkeypatch):
    """Cut boxes down to two code images, so that bounds decide and not enumeration."""
    monkeypatch.setattr(branch, "LEAF", 1)
    monkeypatch.setattr(tabled, "_LOG2", 1)


@pytest.fixture
def no_attack(monkeypatch):
    """Leave all images that IBP does not prove to the search."""
    monkeypatch.setattr(attacked, "falsified", lambda *args, **_: {})


@pytest.mark.parametrize("kind", [*KINDS, *DEEP])
def test_verdicts_are_those_of_enumeration(kind):
    found = against_enumeration(small_cases(kind, 6, n=6, bits=(4, 9)), draws=20)
    assert found["different"] == []
    assert found["random code images"]["tried"] > 0
    assert found["random code images"]["wrong"] == 0
    assert found["cases"] == 36
    assert {"certified", "falsified"} <= set(found["verdicts"])


def test_a_leaf_that_is_not_enumerated_is_seen(monkeypatch):
    classifier, x, eps = case("relu", 1)
    options = {"eps": eps, "verbose": False}
    exact = certify(classifier, x, **options)
    assert exact.count("falsified") > 0
    assert certify(classifier, x, method="complete", **options).verdicts == exact.verdicts
    monkeypatch.setattr(branch.Search, "_enumerate", lambda self, node: None)
    assert certify(classifier, x, method="complete", **options).verdicts != exact.verdicts


def alone(bad):
    """Three pixels that reach 0 and 1, of whose code images only one is of class 1."""
    bad = torch.tensor(bad)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    net[1].weight.data = torch.stack([torch.zeros(3), 2 * bad - 1])
    net[1].bias.data = torch.stack([torch.tensor(0.0), 0.5 - bad.sum()])
    return build_classifier(
        net, input_shape=(1, 1, 3), nb_classes=2, defences=[PixelDiscretization(HALVES)]
    )


@pytest.mark.parametrize("leaf", [0, 1, 8])
def test_no_code_image_of_a_leaf_is_left_out(monkeypatch, no_attack, leaf):
    monkeypatch.setattr(branch, "LEAF", leaf)
    x = np.full((1, 1, 1, 3), 0.45, np.float32)
    for bad in itertools.product((0.0, 1.0), repeat=3):
        found = certify(alone(bad), x, [0], eps=0.1, method="complete", verbose=False)
        assert found.verdicts == ("falsified",), bad


def test_a_bound_that_is_the_tolerance_itself_proves_nothing(monkeypatch):
    x = np.full((1, 1, 1, 3), 0.45, np.float32)
    options = {"eps": 0.01, "method": "bounds", "verbose": False}
    classifier = alone((1.0, 1.0, 1.0))
    assert certify(classifier, x, [0], **options).verdicts == ("certified",)
    monkeypatch.setattr(
        method, "root_bounds", lambda scene, images, *_: {i: scene.tolerances[i] for i in images}
    )
    assert certify(classifier, x, [0], **options).verdicts == ("undecided",)


def test_bounds_one_per_cent_too_tight_are_seen(monkeypatch, no_leaves, no_attack):
    whole = Bounds.lower

    def raised(self, rows, value=-1):
        low, high = self.boxes[0]
        self.boxes[0] = low + 0.01 * (high - low), high
        found = whole(self, rows, value) + 0.01 * rows.abs().sum(dim=2)
        self.boxes[0] = low, high
        return found

    exact, found = [], []
    for seed in range(6):
        classifier, x, eps = case("max_pool", seed)
        options = {"eps": eps, "verbose": False}
        exact += certify(classifier, x, **options).verdicts
        with monkeypatch.context() as patch:
            patch.setattr(Bounds, "lower", raised)
            found += certify(classifier, x, method="complete", **options).verdicts
    wrong = [(a, b) for a, b in zip(exact, found, strict=True) if a != b]
    assert ("falsified", "certified") in wrong


def two_classes(book, at, scale=10.0):
    """One pixel, class 1 where its codeword exceeds `at`, with equal scores there."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    net[1].weight.data = torch.tensor([[0.0], [scale]])
    net[1].bias.data = torch.tensor([0.0, -scale * at])
    return build_classifier(
        net, input_shape=(1, 1, 1), nb_classes=2, defences=[PixelDiscretization(book)]
    )


@pytest.mark.parametrize("method", ["enumeration", "bounds", "complete"])
@pytest.mark.parametrize(
    ("book", "eps", "level", "farther"),
    [
        (HALVES, 0.1, 153, 154),
        (HALVES, 0.3, 204, 205),
        (DENSITY, 0.1, 101, 100),
        (DENSITY, 0.1, 152, 153),
        (DENSITY, 0.3, 50, 49),
        (DENSITY, 0.3, 203, 204),
    ],
)
def test_a_tie_is_reached(method, book, eps, level, farther):
    classifier = two_classes(book, 0.5)
    x = (np.array([level, farther], np.float32) / np.float32(255)).reshape(2, 1, 1, 1)
    found = certify(classifier, x, eps=eps, method=method, verbose=False)
    assert found.verdicts[0] != "certified"
    assert found.verdicts[1] == "certified"


def test_equal_scores_are_not_certified(monkeypatch):
    # at the codeword 1 both scores are 0
    classifier, x = two_classes(HALVES, 1.0), np.full((1, 1, 1, 1), 0.45, np.float32)
    options = {"eps": 0.1, "method": "complete", "verbose": False}
    found = certify(classifier, x, [0], **options)
    assert found.verdicts == ("undecided",)
    assert found.record.reasons == ("margin within float error",)
    assert certify(classifier, x, [0], eps=0.1, method="bounds", verbose=False).verdicts == (
        "undecided",
    )
    monkeypatch.setattr(scene.Scene, "_tolerances", lambda *args: {0: -1e-9})
    monkeypatch.setattr(scene.Scene, "_gaps", lambda *args: -torch.ones(1))
    assert certify(classifier, x, [0], **options).verdicts == ("certified",)


@pytest.mark.parametrize("arithmetic", ["float", "exact"])
def test_an_image_without_a_free_pixel_is_judged_like_others(arithmetic):
    classifier, x = two_classes(HALVES, 0.0), np.zeros((1, 1, 1, 1), np.float32)
    options = {"eps": 0.1, "arithmetic": arithmetic, "verbose": False}
    exact = certify(classifier, x, [0], **options)
    found = certify(classifier, x, [0], method="complete", **options)
    assert found.verdicts == exact.verdicts == ("undecided",)
    assert found.record.reasons == exact.record.reasons


def test_verdicts_are_those_of_an_integer_programme():
    found = against_programmes(range(12), draws=20)
    assert found["different"] == []
    assert found["random code images"]["wrong"] == 0
    assert found["cases"] > 8
    assert set(found["verdicts"]) == {"certified", "falsified"}


def test_what_may_be_spent_is_spent_and_the_best_bound_is_told(no_leaves, no_attack):
    classifier, _, x = wide(3, pixels=40, hidden=30, lead=6.5)
    labels = classifier.predict(x).argmax(axis=1)
    options = {"eps": 0.1, "method": "complete", "verbose": False}
    few = certify(classifier, x, labels, spend=Spend(nodes=1), **options)
    assert few.count("undecided") > 0
    for verdict, reason in zip(few.verdicts, few.record.reasons, strict=True):
        assert (verdict == "undecided") == reason.startswith("1 nodes spent; margin at least -")
    short = certify(classifier, x, labels, spend=Spend(seconds=1e-9), **options)
    assert all("seconds spent" in r for r in short.record.reasons if r)
    assert short.record.settings["spend_seconds"] == 1e-9
    for wrong in ({"nodes": 0}, {"seconds": 0.0}, {"megabytes": -1.0}):
        with pytest.raises(InputError, match=r"spend\."):
            Spend(**wrong)


def test_a_network_too_large_to_reduce_is_searched_as_it_is(no_leaves, no_attack):
    for seed in range(3):
        classifier, x, eps = case("convolution", seed)
        exact = certify(classifier, x, eps=eps, verbose=False)
        whole = certify(
            classifier,
            x,
            eps=eps,
            method="complete",
            spend=Spend(megabytes=1e-4),
            verbose=False,
        )
        assert whole.verdicts == exact.verdicts


def test_a_graph_that_does_not_predict_what_the_classifier_does_is_refused(monkeypatch, tiny):
    classifier = tiny(HALVES, (1, 2, 2))
    x = np.random.default_rng(0).random((5, 1, 2, 2), dtype=np.float32)
    options = {"eps": 0.1, "method": "complete", "verbose": False}
    assert certify(classifier, x, **options)
    other = trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), (1, 2, 2), torch.float64)
    monkeypatch.setattr(network, "trace", lambda *args: other)
    with pytest.raises(CertificateError, match="not those of its torch network"):
        certify(classifier, x, **options)


def test_a_second_defence_between_is_refused():
    classifier = build_classifier(
        nn.Sequential(nn.Flatten(), nn.Linear(1, 2)),
        input_shape=(1, 1, 1),
        nb_classes=2,
        defences=[PixelDiscretization(HALVES), PixelDiscretization(DENSITY)],
    )
    x = np.full((1, 1, 1, 1), 0.1, np.float32)
    with pytest.raises(CertificateError, match="right behind one codebook map"):
        certify(classifier, x, eps=0.1, method="complete", verbose=False)


BUILT = {
    "placement": {"placement": "preprocessor"},
    "upper": {"upper": 255.0},
    "channels_last": {"channels_first": False},
    "standardised": {"preprocessing": (0.0, 1.0)},
}


def built(tiny, option):
    """The same small network built otherwise, images and budget for it, and its verdicts."""
    x = np.random.default_rng(3).random((30, 1, 2, 3), dtype=np.float32)
    book, eps = Codebook([0.0, 253 / 255]), 0.2
    plain = tiny(book, (1, 2, 3), seed=4)
    labels = plain.predict(x).argmax(axis=1)
    reference = certify(plain, x, labels, eps=eps, verbose=False)
    assert len(set(reference.verdicts)) == 2
    shape = (2, 3, 1) if option == "channels_last" else (1, 2, 3)
    x = x.reshape(-1, *shape)
    if option == "upper":
        x, eps = 255 * x, 51.0
    return tiny(book, shape, seed=4, **BUILT[option]), x, labels, eps, reference.verdicts


@pytest.mark.parametrize("option", BUILT)
def test_the_same_network_is_searched_however_it_is_built(no_leaves, no_attack, tiny, option):
    classifier, x, labels, eps, verdicts = built(tiny, option)
    found = certify(classifier, x, labels, eps=eps, method="complete", verbose=False)
    assert found.verdicts == verdicts


class Idle:
    """A search that decides nothing."""

    def __init__(self, *args):
        pass

    def run(self):
        return Finding("undecided", "no search")


@pytest.mark.parametrize("option", BUILT)
def test_the_same_network_is_attacked_however_it_is_built(
    monkeypatch, no_leaves, tiny, option, assert_witnesses
):
    monkeypatch.setattr(method, "Search", Idle)
    classifier, x, labels, eps, verdicts = built(tiny, option)
    found = certify(classifier, x, labels, eps=eps, method="complete", verbose=False)
    broken, wanted = (np.array(v) == "falsified" for v in (found.verdicts, verdicts))
    # one that can reach a single code image, or two, is left to the search
    assert broken.sum() >= 0.8 * wanted.sum() > 3
    assert not broken[~wanted].any()
    assert_witnesses(found, classifier, x, labels, eps)


@pytest.mark.parametrize("arithmetic", ["float", "exact"])
def test_the_attack_falsifies_what_one_node_leaves_undecided(
    monkeypatch, assert_witnesses, arithmetic
):
    classifier, _, x = wide(2, pixels=40, hidden=30, lead=7)
    labels = classifier.predict(x).argmax(axis=1)
    options = {"eps": 0.1, "method": "complete", "spend": Spend(nodes=1), "verbose": False}
    options["arithmetic"] = arithmetic
    before = np.random.get_state()[1].copy()
    found = certify(classifier, x, labels, **options)
    assert np.array_equal(np.random.get_state()[1], before)
    assert found.count("falsified") >= 8
    assert_witnesses(found, found.classifier or classifier, x, labels, 0.1)
    assert certify(classifier, x, labels, **options).verdicts == found.verdicts
    monkeypatch.setattr(CodeSpaceAttack, "_run", lambda self, x, labels, free: x)
    assert certify(classifier, x, labels, **options).count("falsified") == 0


def test_what_the_attack_does_not_take_is_searched_without_it(monkeypatch, no_leaves):
    def refused(*args):
        msg = "needs another classifier"
        raise InputError(msg)

    monkeypatch.setattr(CodeView, "of", refused)
    classifier, x, eps = case("relu", 1)
    exact = certify(classifier, x, eps=eps, verbose=False)
    assert certify(classifier, x, eps=eps, method="complete", verbose=False).verdicts == (
        exact.verdicts
    )


@pytest.mark.parametrize("threat", [{"domain": "8bit"}, {"rule": "paper"}])
def test_the_attack_keeps_to_the_threat(monkeypatch, no_leaves, assert_witnesses, threat):
    classifier, x, eps = case("relu", 1)
    x = np.rint(255 * x) / np.float32(255)
    labels = classifier.predict(x).argmax(axis=1)
    options = {"eps": eps, "verbose": False, **threat}
    exact = certify(classifier, x, labels, **options)
    monkeypatch.setattr(method, "Search", Idle)
    found = certify(classifier, x, labels, method="complete", **options)
    broken, wanted = (np.array(c.verdicts) == "falsified" for c in (found, exact))
    assert broken.sum() >= 0.8 * wanted.sum() > 3
    assert not broken[~wanted].any()
    assert_witnesses(found, classifier, x, labels, eps)
