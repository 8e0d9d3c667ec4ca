"""In the real domain no perturbation may contradict a certificate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_disc.codebooks import BitDepthCodebook, Codebook
from art_disc.codebox import CodeBox, Threat, boxes, class_sizes, reachability
from art_disc.metrics import (
    certified_accuracy,
    certify,
    free_pixels,
    log2_images,
    reachable_codes,
)

MNIST_BOOK = Codebook([0.0, 253 / 255])
BUDGETS = (0.0, 2 / 255, 8 / 255, 0.1, 0.3)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    eps = draw(st.sampled_from(BUDGETS))
    c = draw(st.sampled_from([1, 1, 3]))
    k = draw(st.integers(2, 4))
    step = max(4, round(255 * eps))
    start = int(rng.integers(0, 60))
    codes = np.clip(start + rng.integers(0, 2 * step + 2, (k, c)), 0, 255)
    book = Codebook(
        np.unique(codes, axis=0) / 255,
        metric=draw(st.sampled_from(["l_inf", "l1", "l2"])),
        ties=draw(st.sampled_from(["lowest", "highest"])),
    )
    shape = (c, 1, int(rng.integers(1, 4)))
    # the edge of the budget on a border of two cells, 8-bit or an ulp or more off the grid
    lv = np.array(book.levels)
    pair = lv[rng.integers(0, len(lv), (6 * shape[2], 2))].mean(axis=1)
    pixels = pair + rng.choice([-1, 0, 1], pair.shape) * 255 * eps
    pixels += rng.choice([0, 0, 1e-5, -1e-5, 0.3], pair.shape)
    x = np.clip(pixels / 255, 0, 1).astype(np.float32).reshape(6, shape[2], c)
    x = np.ascontiguousarray(np.moveaxis(x, -1, 1))[:, :, None]
    return book, shape, x, eps, draw(st.integers(0, 10**6))


@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_no_perturbation_contradicts_a_certificate(tiny, broken_by_search, assert_witnesses, case):
    book, shape, x, eps, seed = case
    classifier = tiny(book, shape, seed=seed)
    before = x.copy()
    labels = classifier.predict(x).argmax(axis=1)
    result = certify(classifier, x, labels, eps=eps, verbose=False)
    assert np.array_equal(x, before)
    broken = broken_by_search(classifier, x, labels, eps, seed)
    certified = np.array(result.verdicts) == "certified"
    assert not (certified & broken).any()
    assert_witnesses(result, classifier, x, labels, eps)


def edge_images(eps):
    """Grey images of one pixel at the edge of reaching the other codeword of `MNIST_BOOK`."""
    step = 255 * eps
    levels = [126.5 + sign * step + off for sign in (-1, 1) for off in (0, 0.1, -0.1, 1e-4, -1e-4)]
    return (np.array(levels, dtype=np.float32) / np.float32(255)).reshape(-1, 1, 1, 1)


def contradictions(classifier, x, eps, broken_by_search, budget):
    """Certified at `budget`, yet broken by a search within `eps`."""
    labels = classifier.predict(x).argmax(axis=1)
    result = certify(classifier, x, labels, eps=budget, verbose=False)
    broken = broken_by_search(classifier, x, labels, eps)
    return (np.array(result.verdicts) == "certified") & broken


@pytest.mark.parametrize("eps", [0.1, 0.3])
def test_a_budget_one_per_cent_too_small_is_caught(thresholded, broken_by_search, eps):
    x = edge_images(eps)
    classifier = thresholded(MNIST_BOOK, (1, 1, 1), 0.5)
    assert not contradictions(classifier, x, eps, broken_by_search, eps).any()
    assert contradictions(classifier, x, eps, broken_by_search, 0.99 * eps).any()


@pytest.mark.parametrize("metric", ["l_inf", "l1", "l2"])
@pytest.mark.parametrize("other", [[60, 40, 40], [60, 60, 60]])
def test_a_colour_budget_one_per_cent_too_small_is_caught(
    thresholded, broken_by_search, metric, other
):
    # the border is at 50 in the channels that differ: 42 just reaches it with 8 levels
    eps = 8 / 255
    book = Codebook(np.array([[40, 40, 40], other]) / 255, metric=metric)
    classifier = thresholded(book, (3, 1, 1), 41 / 255)
    moved = np.array(other) > 40
    edge = [np.where(moved, 42 + off, 40) for off in (0.0, 0.05, 1e-4, -0.05)]
    x = (np.array(edge, dtype=np.float32) / np.float32(255)).reshape(-1, 3, 1, 1)
    assert not contradictions(classifier, x, eps, broken_by_search, eps).any()
    assert contradictions(classifier, x, eps, broken_by_search, 0.99 * eps).any()


def test_without_outward_rounding_a_tie_would_be_missed(monkeypatch, thresholded, broken_by_search):
    levels = np.arange(256, dtype=np.float32).reshape(-1, 1, 1, 1) / np.float32(255)
    found = []
    for ties in ("lowest", "highest"):
        book = Codebook([0.0, 253 / 255], ties=ties)
        classifier = thresholded(book, (1, 1, 1), 0.5)
        with monkeypatch.context() as patch:
            patch.setattr(boxes.box, "__kwdefaults__", {"widen": 0.0})
            patch.setattr(reachability, "slack", lambda _: 0.0)
            found += [
                contradictions(classifier, levels, eps, broken_by_search, eps).any()
                for eps in (0.1, 0.3)
            ]
        for eps in (0.1, 0.3):
            assert not contradictions(classifier, levels, eps, broken_by_search, eps).any()
    assert any(found)


def test_code_images_are_the_product_of_the_choices_of_free_pixels(thresholded):
    """A pixel of .5 reaches all three codewords, one of .4 two, one of .2 its own."""
    book = Codebook([0.4, 0.5, 0.6])
    x = np.array([[0.5, 0.4, 0.2, 0.5], [0.2, 0.2, 0.2, 0.4], [0.2] * 4], dtype=np.float32)
    x = x.reshape(3, 1, 2, 2)
    classifier = thresholded(book, (1, 2, 2), 0.9)
    record = certify(classifier, x, [0] * 3, eps=0.1, verbose=False).record
    assert record.free_pixels == (3, 1, 0)
    assert record.log2_images == pytest.approx((np.log2(18), 1, 0))
    assert record.evaluated == (18, 2, 1)
    assert free_pixels(x, book, eps=0.1).tolist() == [3, 1, 0]
    mask = reachable_codes(x, book, eps=0.1)
    assert log2_images(mask) == pytest.approx([np.log2(18), 1, 0])
    box = CodeBox.of_mask(mask, book.codewords_)
    assert box.log2 == pytest.approx([np.log2(18), 1, 0])
    assert box.free.sum(axis=1).tolist() == [3, 1, 0]
    assert class_sizes(x[:2].reshape(-1, 1), book, Threat(0.1)).tolist() == [3, 2, 1, 3, 1, 1, 1, 2]


def test_more_code_images_than_allowed_is_undecided_and_a_clean_error_is_not(thresholded):
    classifier = thresholded(MNIST_BOOK, (1, 1, 4), 0.5)
    x = np.full((2, 1, 1, 4), 0.45, dtype=np.float32)
    result = certify(classifier, x, [0, 1], eps=0.1, max_free=3, verbose=False)
    assert result.verdicts == ("undecided", "falsified")
    assert result.record.reasons == ("more than 2^3 code images", "")
    assert result.record.free_pixels == (4, 4)
    assert result.record.log2_images == (4.0, 4.0)
    assert result.record.evaluated == (0, 0)
    assert np.array_equal(result.witnesses[1], x[1])
    assert (
        certify(classifier, x, [0, 1], eps=0.1, max_free=4, verbose=False).count("falsified") == 2
    )


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("ties", ["lowest", "highest"])
def test_a_code_that_the_very_edge_of_the_budget_reaches(
    thresholded, assert_witnesses, ties, upper
):
    # .25 + .25 is the border of {0, 1}, in float32 too; the next value is within one rounding
    book = Codebook([0.0, 1.0], ties=ties)
    classifier = thresholded(book, (1, 1, 1), upper / 2, clip_values=(0, upper))
    x = np.full((1, 1, 1, 1), 0.25 * upper, dtype=np.float32)
    for eps, verdict in ((0.25, "falsified"), (0.25 - 1e-6, "undecided")):
        result = certify(classifier, x, [0], eps=eps * upper, verbose=False)
        assert result.verdicts == (verdict,)
        if verdict == "undecided":
            assert result.record.reasons == ("reachable only by a tie or rounding",)
        assert_witnesses(result, classifier, x, [0], eps * upper)


def test_a_margin_within_float_error_is_undecided(thresholded):
    x = np.full((1, 1, 1, 1), 0.45, dtype=np.float32)
    for scale, verdict in ((1e-7, "undecided"), (1.0, "certified")):
        classifier = thresholded(Codebook([0.0, 1.0]), (1, 1, 1), 1.5, scale=scale)
        result = certify(classifier, x, [0], eps=0.1, verbose=False)
        assert result.verdicts == (verdict,)
        assert result.record.evaluated == (2,)
    classifier = thresholded(Codebook([0.0, 1.0]), (1, 1, 1), 1.5, scale=1e-7)
    reasons = certify(classifier, x, [0], eps=0.1, verbose=False).record.reasons
    assert reasons == ("margin within float error",)


def test_the_rule_of_the_paper_is_weaker_but_never_wrong(thresholded):
    # from 0, a budget of .5 reaches {0, .5}; the rule allows 1 as well, which no image realises
    classifier = thresholded(Codebook([0.0, 0.5, 1.0]), (1, 1, 1), 0.8)
    x = np.zeros((1, 1, 1, 1), dtype=np.float32)
    assert certify(classifier, x, [0], eps=0.5, verbose=False).verdicts == ("certified",)
    paper = certify(classifier, x, [0], eps=0.5, rule="paper", verbose=False)
    assert paper.verdicts == ("undecided",)
    assert paper.record.reasons == ("no perturbed image found for what the paper's rule allows",)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_verdicts_do_not_depend_on_the_batches(tiny, batch_size):
    rng = np.random.default_rng(1)
    book = Codebook([0.2, 0.5, 0.8])
    classifier = tiny(book, (1, 2, 2))
    x = rng.random((30, 1, 2, 2), dtype=np.float32)
    result = certify(classifier, x, eps=0.06, batch_size=batch_size, verbose=False)
    reference = certify(classifier, x, eps=0.06, verbose=False)
    assert result.verdicts == reference.verdicts
    assert len(set(result.verdicts)) == 2
    sizes = np.array(result.record.evaluated)
    certified = np.array(result.verdicts) == "certified"
    assert np.allclose(np.log2(sizes[certified]), np.array(result.record.log2_images)[certified])


def test_without_labels_the_predictions_are_what_is_certified(tiny):
    x = np.random.default_rng(2).random((20, 1, 2, 2), dtype=np.float32)
    classifier = tiny(Codebook([0.2, 0.8]), (1, 2, 2))
    predicted = classifier.predict(x).argmax(axis=1)
    result = certify(classifier, x, eps=0.02, verbose=False)
    assert result.record.settings["labels"] == "predictions"
    assert result.verdicts == certify(classifier, x, predicted, eps=0.02, verbose=False).verdicts
    wrong = (predicted + 1) % 3
    assert certified_accuracy(classifier, x, wrong, eps=0.02, verbose=False) == 0
    share = certified_accuracy(classifier, x, predicted, eps=0.02, verbose=False)
    assert share == result.certified_accuracy > 0


@pytest.mark.parametrize("option", ["placement", "upper", "channels_last", "standardised"])
def test_the_same_network_gets_the_same_verdicts_however_it_is_built(
    thresholded, tiny, assert_witnesses, option
):
    rng = np.random.default_rng(3)
    x = rng.random((40, 1, 2, 2), dtype=np.float32)
    plain = tiny(MNIST_BOOK, (1, 2, 2), seed=4)
    labels = plain.predict(x).argmax(axis=1)
    reference = certify(plain, x, labels, eps=0.1, verbose=False)
    assert len(set(reference.verdicts)) == 2
    eps = 0.1
    if option == "placement":
        other = tiny(MNIST_BOOK, (1, 2, 2), seed=4, placement="preprocessor")
    elif option == "upper":
        other, x, eps = tiny(MNIST_BOOK, (1, 2, 2), seed=4, upper=255.0), 255 * x, 25.5
    elif option == "channels_last":
        other = tiny(MNIST_BOOK, (2, 2, 1), seed=4, channels_first=False)
        x = np.moveaxis(x, 1, -1)
    else:
        other = tiny(MNIST_BOOK, (1, 2, 2), seed=4, preprocessing=(0.0, 1.0))
    result = certify(other, x, labels, eps=eps, verbose=False)
    assert result.verdicts == reference.verdicts
    assert_witnesses(result, other, x, labels, eps)


def test_bit_depth_above_one_is_certified_too(tiny):
    book = BitDepthCodebook(8)
    classifier = tiny(book, (1, 1, 2), hidden=0)
    x = np.array([250, 251], dtype=np.uint8).reshape(1, 1, 1, 2)
    result = certify(classifier, x, eps=2 / 255, domain="8bit", verbose=False)
    assert result.record.free_pixels == (2,)
    assert result.count("undecided") == 0


def test_uint8_images_in_a_range_of_255(tiny):
    x = np.random.default_rng(7).integers(0, 256, (5, 1, 2, 2), dtype=np.uint8)
    classifier = tiny(MNIST_BOOK, (1, 2, 2), upper=255.0)
    a = certify(classifier, x, eps=20, verbose=False)
    assert a.verdicts == certify(classifier, x.astype(np.float32), eps=20, verbose=False).verdicts
