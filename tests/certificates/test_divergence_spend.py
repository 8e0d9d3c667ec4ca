"""Divergences of colours within a budget: bounds at every stop, and work that orders share."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import ndtr
from torch import nn

from art_disc import build_classifier
from art_disc.certificates.divergence import colour_cells, colour_images
from art_disc.certificates.divergence.decide import ORDERS, decide
from art_disc.certificates.divergence.shared import check_model_spend, divergences
from art_disc.certificates.divergence.votes import VoteLimits
from art_disc.core.errors import CertificateError, InputError
from art_disc.defences import GaussianNoise, RandDisc
from art_disc.defences.pooling import MaxPoolDownsample
from art_disc.metrics import (
    ColourCodesModel,
    GaussianModel,
    PooledModel,
    Spend,
    certified_accuracy_curve,
    colour_divergence,
    kl_certify,
)

CODES = ((0.1, 0.2, 0.1), (0.9, 0.8, 0.7), (0.2, 0.6, 0.9), (0.9, 0.3, 0.2))
MODEL = ColourCodesModel(CODES, 0.2)
EPS = 0.05
BOTH = list(itertools.product(ORDERS, (False, True)))


@pytest.fixture
def images():
    """Three images of 30 pixels of 8, 3 and 30 different colours, some of them in two images."""
    rng = np.random.default_rng(0)
    colours = rng.random((3, 41))
    places = [rng.integers(0, 8, 30), rng.integers(6, 9, 30), np.arange(11, 41)]
    return np.stack([colours[:, place].reshape(3, 5, 6) for place in places])


@pytest.fixture
def cut(monkeypatch):
    """How many colours space was cut around, one number a call."""
    seen = []

    def interior_boxes(x, *rest):
        seen.append(len(x))
        return original(x, *rest)

    original = colour_cells.interior_boxes
    monkeypatch.setattr(colour_cells, "interior_boxes", interior_boxes)
    return seen


@pytest.fixture
def few(monkeypatch):
    """Two colours at once."""
    at_once = 2 * len(CODES) * (colour_images.N_BOXES + 2) ** 2
    monkeypatch.setattr(colour_images, "_VALUES_AT_ONCE", at_once)


@pytest.mark.parametrize(
    ("order", "known"),
    [
        (1.0, [0.06367389554651583, 0.03812763426747481]),
        (1.5, [0.09623229948216071, 0.05595497603922643]),
        (4.0, [0.2584933512973328, 0.12904570323158404]),
        (32.0, [2.9999999743383454, 2.303714381122519]),
    ],
)
def test_bounds_are_those_of_version_0_1_before_orders_shared_their_work(order, known):
    x = np.array([[0.4, 0.5, 0.45], [0.0, 0.98, 0.3]])
    got = colour_divergence(x, CODES, sigma=0.2, eps=EPS, order=order)
    assert got == pytest.approx(known, rel=1e-6 if order > 10 else 1e-9)


def test_orders_share_their_boxes_and_colours_what_is_known_of_them(images, cut):
    found, spent = MODEL.divergences(images, EPS, BOTH)
    assert sum(cut) == len(np.unique(np.moveaxis(images, 1, -1).reshape(-1, 3), axis=0)) < 45
    assert spent == ["", "", ""]
    for (order, reverse), row in zip(BOTH, found, strict=True):
        alone = MODEL.divergence(images, EPS, order, reverse=reverse)
        assert row == pytest.approx(alone, rel=1e-12)
    # in any order
    again, _ = MODEL.divergences(images, EPS, BOTH[::-1])
    assert np.array_equal(again, found[::-1])


def test_each_stop_is_a_bound_and_more_nodes_never_raise_it(images, cut):
    full, _ = MODEL.divergences(images, EPS, BOTH)
    noise = np.stack([GaussianModel(0.2).divergence(images, EPS, order) for order, _ in BOTH])
    before = noise
    for nodes in (1, 2, 5, 20, 30):
        del cut[:]
        found, spent = MODEL.divergences(images, EPS, BOTH, Spend(nodes=nodes))
        assert sum(cut) <= sum(min(nodes, colours) for colours in (8, 3, 30))
        assert (found >= full * (1 - 1e-12)).all()
        assert (found <= before * (1 + 1e-9)).all()
        stopped = [colours > nodes for colours in (8, 3, 30)]
        assert spent == [f"{nodes} nodes" if each else "" for each in stopped]
        # of what takes work and was stopped, each bound is larger, and smaller than before
        hard = [not reverse and order < np.inf for order, reverse in BOTH]
        assert (found[hard][:, stopped] > full[hard][:, stopped]).all()
        kl = BOTH.index((1.0, False))
        assert (found[kl] < 0.999 * noise[kl]).all()
        before = found
    assert np.array_equal(found, full)


def test_nodes_go_to_the_colours_of_most_pixels():
    rare, common = np.full(3, 0.3), np.full(3, 0.6)
    image = np.stack([rare, common, common], axis=1)[None]
    single = [MODEL.divergence(c.reshape(1, 3, 1), EPS, 1.0)[0] for c in (rare, common)]
    noise = GaussianModel(0.2).divergence(image[:, :, :1], EPS, 1.0)[0]
    found, _ = MODEL.divergences(image, EPS, [(1.0, False)], Spend(nodes=1))
    assert found[0, 0] == pytest.approx(noise + 2 * single[1], rel=1e-9)
    assert single[0] < 0.99 * noise


def test_a_bound_within_nodes_does_not_depend_on_the_other_images(images):
    asked, spend = [(1.0, False), (3.0, False)], Spend(nodes=4)
    found, _ = MODEL.divergences(images, EPS, asked, spend)
    for image in range(3):
        alone, _ = MODEL.divergences(images[[image]], EPS, asked, spend)
        assert found[:, image] == pytest.approx(alone[:, 0], rel=1e-12)


@pytest.mark.usefixtures("few")
def test_time_is_looked_at_between_groups_of_colours(images, cut, monkeypatch):
    # a clock that goes on by a second each time it is looked at
    clock = itertools.count()
    now = SimpleNamespace(perf_counter=lambda: float(next(clock)))
    monkeypatch.setattr(colour_images, "time", now)
    asked = [(1.0, False), (2.0, False)]
    full, _ = MODEL.divergences(images, EPS, asked)
    del cut[:]
    found, spent = MODEL.divergences(images, EPS, asked, Spend(seconds=2.5))
    # 4 colours of 8, those of the second image that the first has not left over, 4 of 30
    assert cut[:2] == cut[-2:] == [2, 2]
    assert len(cut) <= 6
    assert spent == ["2.5 seconds", "", "2.5 seconds"]
    assert (found[:, [0, 2]] > full[:, [0, 2]]).all()
    assert found[:, 1] == pytest.approx(full[:, 1], rel=1e-12)


@pytest.mark.parametrize("factor", [1.0, 0.99])
def test_one_percent_less_would_be_caught_at_every_order_and_stop(factor):
    # the third colour is out of reach: two cells, of probabilities Phi of the way to their face
    codes, sigma, eps = ((0.3, 0.5, 0.5), (0.7, 0.5, 0.5), (0.5, 9.0, 0.5)), 0.15, 0.05
    model = ColourCodesModel(codes, sigma)
    x = np.array([0.42, 0.47, 0.52, 0.6])
    image = np.stack([x, np.full(4, 0.5), np.full(4, 0.5)])[None]
    orders = (1.0, 1.5, 2.0, 4.0)

    def law(y):
        return np.array([ndtr((0.5 - y) / sigma), ndtr((y - 0.5) / sigma)])

    truth = []
    for order in orders:
        p, worst = law(x), np.zeros(4)
        for q in (law(x - eps), law(x + eps)):
            found = (p * np.log(p / q)).sum(axis=0)
            if order > 1:
                found = np.log((p**order * q ** (1 - order)).sum(axis=0)) / (order - 1)
            worst = np.maximum(worst, found)
        truth.append(worst.sum())
    asked = [(order, False) for order in orders]
    got, _ = model.divergences(image, factor * eps, asked)
    if factor < 1:
        assert (got[:, 0] < truth).all()
        return
    assert (got[:, 0] >= np.array(truth) * (1 - 1e-12)).all()
    assert (got[:, 0] <= np.array(truth) * 1.003).all()
    for nodes in (1, 2, 3):
        stopped, _ = model.divergences(image, eps, asked, Spend(nodes=nodes))
        assert (stopped[:, 0] > truth).all()


def test_what_is_stopped_certifies_less_and_never_more(images):
    top = np.full(3, 0.8)
    limits = VoteLimits(top, 1 - top)
    words = (MODEL, images, 0.02, limits)
    for bound in ("tight", "pinsker"):
        full = decide(*words, bound, ORDERS)
        assert full.certified.sum() == (2 if bound == "tight" else 0)
        for nodes in (1, 5):
            found = decide(*words, bound, ORDERS, spend=Spend(nodes=nodes))
            assert not found.certified.any()
            for name in ("lowest", "gap"):
                assert (getattr(found, name) <= getattr(full, name) + 1e-12).all()
            assert (found.lowest < full.lowest - 1e-6).sum() >= 2
            assert (found.kl > full.kl).sum() >= 2
            assert found.spent == [f"{nodes} nodes" if n > nodes else "" for n in (8, 3, 30)]


def test_smoothing_asks_no_divergence_so_none_stops_it(images):
    limits = VoteLimits(np.full(3, 0.8), np.full(3, 0.2))
    words = (MODEL, images, 0.02, limits, "smoothing", (1.0,))
    full, found = decide(*words), decide(*words, spend=Spend(nodes=1))
    assert np.array_equal(found.lowest, full.lowest)
    assert (found.kl > full.kl).all()
    assert found.spent == full.spent == ["", "", ""]


class Brightness(nn.Module):
    def forward(self, x):
        excess = x.flatten(1).mean(dim=1) - 0.3
        return nn.functional.pad(50 * excess[:, None], (1, 0))


def classifier_of(*defences):
    return build_classifier(Brightness(), input_shape=(3, 5, 6), nb_classes=2, defences=defences)


def test_the_record_says_what_was_spent_and_where(images):
    classifier = classifier_of(RandDisc(sigma=0.2, centres=np.array(CODES)))
    x, words = images.astype(np.float32), {"draws": 200, "eps": 0.04, "verbose": False}
    full = kl_certify(classifier, x, **words)
    less = kl_certify(classifier, x, spend=Spend(nodes=3, seconds=900), **words)
    assert "spend_nodes" not in full.settings
    told = {"spend_nodes": 3, "spend_seconds": 900.0, "stopped": 2}
    assert {name: less.settings[name] for name in told} == told
    assert set(less.settings) - set(full.settings) == set(told)
    for image in (0, 2):
        assert less.verdicts[image] == "undecided"
        assert less.reasons[image].startswith("3 nodes spent; the perturbed law may lie too far")
        assert less.lowest[image] < full.lowest[image]
    assert less.votes == full.votes
    assert less.lowest[1] == full.lowest[1]
    curve = certified_accuracy_curve(
        classifier, x, [1, 1, 1], spend=Spend(nodes=3), bounds=("tight", "pinsker"), **words
    )
    # two images, by each bound
    assert curve.settings["stopped"] == 4


def test_resizing_first_spends_on_the_small_image(images, cut):
    classifier = classifier_of(
        MaxPoolDownsample(2, 3, resize=False), RandDisc(sigma=0.2, centres=np.array(CODES))
    )
    x = images.astype(np.float32)[2:]
    words = {"draws": 20, "eps": 0.02, "confidence": 0.9, "verbose": False}
    kl_certify(classifier, x, model=None, spend=Spend(nodes=2), **words)
    assert sum(cut) == 2


@pytest.mark.parametrize("spend", [{"nodes": 3}, 20, True])
def test_what_is_no_spend_is_refused(images, spend):
    classifier = classifier_of(RandDisc(sigma=0.2, centres=np.array(CODES)))
    with pytest.raises(InputError, match="Spend"):
        kl_certify(classifier, images.astype(np.float32), eps=0.1, spend=spend, verbose=False)


@pytest.mark.parametrize("certify", [kl_certify, certified_accuracy_curve])
def test_a_spend_that_nothing_heeds_is_refused(images, certify):
    x, words = images.astype(np.float32), {"eps": 0.1, "spend": Spend(), "verbose": False}
    for defence in (GaussianNoise(0.2), RandDisc.preset("imagenet-fixed")):
        with pytest.raises(InputError, match="Model searches nothing"):
            certify(classifier_of(defence), x, [0, 0, 0], **words)


def test_progress_is_shown_where_it_is_asked_for(images, capsys):
    colour_divergence(images, CODES, sigma=0.2, eps=EPS)
    top = np.full(3, 0.9)
    words = (MODEL, images, EPS, VoteLimits(top, 1 - top), "pinsker", (1.0,))
    decide(*words)
    assert capsys.readouterr().err == ""
    decide(*words, verbose=True)
    assert "colours:" in capsys.readouterr().err


TRIANGLE = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.5, 1.0, 0.5))


class Wary(ColourCodesModel):
    """Bounds of one's own, twenty times as large."""

    def divergence(self, x, eps, order, *, reverse=False):
        return 20 * super().divergence(x, eps, order, reverse=reverse)


class Wide(PooledModel):
    """A model that resizes, of three times the budget."""

    def divergence(self, x, eps, order, *, reverse=False):
        return super().divergence(x, 3 * eps, order, reverse=reverse)


@pytest.mark.parametrize("make", [Wary, lambda *how: Wide(lambda x: x, ColourCodesModel(*how))])
def test_a_bound_of_a_subclass_is_the_one_that_decides(make):
    model, image = make(TRIANGLE, 0.25), np.full((1, 3, 1, 1), 0.4)
    found, _ = divergences(model, image, 0.05, [(1.0, False), (2.0, False)])
    own = [model.divergence(image, 0.05, order) for order in (1.0, 2.0)]
    np.testing.assert_array_equal(found, own)
    assert (found > 2 * ColourCodesModel(TRIANGLE, 0.25).divergence(image, 0.05, 1.0)).all()
    with pytest.raises(InputError, match="searches nothing"):
        check_model_spend(Spend(), model)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.float16, np.float32])
def test_orders_of_any_number_type_are_the_same_order(kind):
    model = ColourCodesModel(((1.0, 0, 0), (0, 0, 0), (0.5, 1e4, 0)), 0.97)
    image = np.reshape([0.65, 0.7, 0.29], (1, 3, 1, 1))
    assert model.divergence(image, 0.29, kind(12)) == model.divergence(image, 0.29, 12.0) > 0.2251


def test_codewords_that_rounding_could_mix_up_are_refused():
    near = [[0.3, 0.5, 0.5], [0.1 + 0.2, 0.5, 0.5], [0.3, 1.0, 0.5]]
    with pytest.raises(CertificateError, match="merge them"):
        colour_divergence([[0.3, 0.4, 0.5]], near, sigma=0.1, eps=0.1)
    with pytest.raises(InputError, match="moderate"):
        colour_divergence([[0.3, 0.4, 0.5]], 1e160 * np.eye(3), sigma=0.1, eps=0.1)
    with pytest.raises(InputError, match="moderate"):
        colour_divergence([[0.3, 0.4, 0.5]], [[0, 0, 0], [1e-170, -1e-170, 0]], sigma=0.1, eps=0.1)
