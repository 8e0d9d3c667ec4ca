"""On the 8-bit grid every perturbation of a few pixels can be tried, and is."""

import itertools

import numpy as np
import pytest

from art_disc.codebooks import Codebook
from art_disc.metrics import certify

# shape, codewords, levels of change, metrics
CASES = [
    pytest.param((1, 1, 3), 2, 5, "l_inf", id="grey-3-pixels"),
    pytest.param((1, 2, 2), 3, 3, "l_inf", id="grey-4-pixels"),
    pytest.param((1, 1, 5), 4, 2, "l_inf", id="grey-5-pixels"),
    pytest.param((3, 1, 2), 3, 2, "l_inf", id="colour-l_inf"),
    pytest.param((3, 2, 1), 5, 2, "l1", id="colour-l1"),
    pytest.param((3, 1, 2), 4, 2, "l2", id="colour-l2"),
    pytest.param((2, 1, 3), 4, 2, "l_inf", id="two-channels"),
]


def all_images(x, levels, upper):
    """Every 8-bit image within so many levels of one 8-bit image."""
    grid = np.rint(x.reshape(-1).astype(np.float64) * (255 / upper)).astype(int)
    ranges = [range(max(0, v - levels), min(255, v + levels) + 1) for v in grid]
    rows = np.array(list(itertools.product(*ranges)), dtype=np.float32)
    rows = rows * np.float32(upper) / np.float32(255)
    return rows.reshape(-1, *x.shape)


def near_images(rng, book, n, shape, levels):
    """8-bit images whose pixels are near the borders of cells, ties included."""
    c, h, w = shape
    lv = np.array(book.levels)
    pairs = lv[rng.integers(0, len(lv), (n * h * w, 2))]
    pixels = np.floor(pairs.mean(axis=1)) + rng.integers(-levels, levels + 2, (n * h * w, c))
    pixels = np.clip(pixels, 0, 255).reshape(n, h, w, c)
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 1)).astype(np.float32) / np.float32(255)


@pytest.fixture(scope="session")
def truth(classes_of):
    """For each image whether all its 8-bit perturbations are classified as its label."""

    def find(classifier, x, labels, levels, upper=1.0):
        return [
            bool((classes_of(classifier, all_images(image, levels, upper)) == label).all())
            for image, label in zip(x, labels, strict=True)
        ]

    return find


@pytest.mark.parametrize(("shape", "k", "levels", "metric"), CASES)
@pytest.mark.parametrize("ties", ["lowest", "highest"])
def test_the_verdict_is_that_of_trying_everything(  # noqa: PLR0917 - fixtures and cases
    tiny, truth, assert_witnesses, shape, k, levels, metric, ties
):
    seen = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        # even levels: half of the midpoints are levels themselves
        codes = 2 * np.unique(rng.integers(40, 50, (k, shape[0])), axis=0)
        book = Codebook(codes / 255, metric=metric, ties=ties)
        classifier = tiny(book, shape, seed=seed, hidden=8 * (seed % 2))
        x = near_images(rng, book, 6, shape, levels)
        labels = classifier.predict(x).argmax(axis=1)
        labels[0] = (labels[0] + 1) % 3
        eps = levels / 255
        result = certify(classifier, x, labels, eps=eps, domain="8bit", verbose=False)
        right = truth(classifier, x, labels, levels)
        assert result.verdicts == tuple("certified" if r else "falsified" for r in right)
        assert_witnesses(result, classifier, x, labels, eps)
        for witness in result.witnesses.values():
            assert np.array_equal(np.rint(255 * witness) / np.float32(255), witness)
        seen += result.verdicts
    assert {"certified", "falsified"} == set(seen)


def test_a_range_of_255(tiny, truth, assert_witnesses):
    rng = np.random.default_rng(5)
    book = Codebook(np.array([[80] * 3, [98, 90, 96], [120] * 3]) / 255)
    classifier = tiny(book, (3, 1, 2), upper=255.0, seed=1, hidden=0)
    x = 255 * near_images(rng, book, 20, (3, 1, 2), 4)
    labels = classifier.predict(x).argmax(axis=1)
    result = certify(classifier, x, labels, eps=2, domain="8bit", verbose=False)
    right = truth(classifier, x, labels, 2, upper=255.0)
    assert result.verdicts == tuple("certified" if r else "falsified" for r in right)
    assert len(set(right)) == 2
    assert_witnesses(result, classifier, x, labels, 2)


def test_per_channel_codewords(tiny, truth, assert_witnesses):
    rng = np.random.default_rng(6)
    book = Codebook(np.array([90, 98, 105]) / 255, per_channel=True)
    classifier = tiny(book, (3, 1, 2), hidden=0)
    x = rng.integers(88, 108, (20, 3, 1, 2)).astype(np.float32) / np.float32(255)
    labels = classifier.predict(x).argmax(axis=1)
    result = certify(classifier, x, labels, eps=2 / 255, domain="8bit", verbose=False)
    right = truth(classifier, x, labels, 2)
    assert result.verdicts == tuple("certified" if r else "falsified" for r in right)
    assert len(set(right)) == 2
    assert_witnesses(result, classifier, x, labels, 2 / 255)
