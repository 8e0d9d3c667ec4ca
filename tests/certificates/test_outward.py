"""What certificates rest on is rounded outward, and nothing is left out at an end."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.certificates.divergence.colour_boxes import interior_boxes
from art_disc.certificates.divergence.decide import ORDERS, decide
from art_disc.certificates.divergence.votes import VoteLimits, share_limits
from art_disc.codebooks import Codebook
from art_disc.defences import GaussianNoise, PixelDiscretization
from art_disc.estimators import build_classifier
from art_disc.metrics import GaussianModel, certify, kl_certify


def at_least(k, n, p):
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


@pytest.mark.parametrize("n", [1, 7, 20])
def test_limits_of_votes_hold_in_exact_arithmetic(n):
    failure, counts = 0.01, np.arange(n + 1)
    lower = share_limits(counts, n, failure)
    upper = share_limits(counts, n, failure, upper=True)
    for k in counts.tolist():
        # were the share at the limit, so many votes or more (or less) were as rare as promised
        assert k == 0 or at_least(k, n, Fraction(float(lower[k]))) <= Fraction(failure)
        above = at_least(k + 1, n, Fraction(float(upper[k])))
        assert k == n or 1 - above <= Fraction(failure)
        # and no limit is farther out than it has to be
        assert k == 0 or at_least(k, n, Fraction(float(lower[k]) * (1 + 1e-7))) > failure
        above = at_least(k + 1, n, Fraction(float(upper[k]) * (1 - 1e-7)))
        assert k == n or 1 - above > failure
    assert lower[0] == 0
    assert upper[-1] == 1


def test_corners_of_boxes_lie_in_their_cell_in_exact_arithmetic():
    rng = np.random.default_rng(0)
    x, codes, sigma = rng.random((3, 3)), rng.random((6, 3)), 0.1
    boxes = interior_boxes(x, codes, sigma, 4)
    exact = [[Fraction(v) for v in code] for code in codes.tolist()]
    owners, looked_at = {}, 0
    finite = np.isfinite(boxes.planes[boxes.column]) & np.isfinite(boxes.planes[boxes.column + 1])
    for i in np.flatnonzero(finite.all(axis=0) & np.isfinite(boxes.ends).all(axis=0)).tolist():
        pixel, middle = boxes.pixel[i], boxes.ends[:, i].mean()
        sides = boxes.planes[np.stack([boxes.column[:, i], boxes.column[:, i] + 1])]

        def nearest(z, pixel=pixel):
            frame = boxes.frames[pixel].tolist()
            y = [
                Fraction(v)
                + Fraction(sigma) * sum(Fraction(f[d]) * t for f, t in zip(frame, z, strict=True))
                for d, v in enumerate(x[pixel].tolist())
            ]
            return [sum((a - b) ** 2 for a, b in zip(y, code, strict=True)) for code in exact]

        inner = nearest([Fraction(float(v)) for v in (*sides.mean(axis=0), middle)])
        owner = owners.setdefault(boxes.cell[i], inner.index(min(inner)))
        for corner in np.ndindex(2, 2, 2):
            z = sides[corner[0], 0], sides[corner[1], 1], boxes.ends[corner[2], i]
            away = nearest([Fraction(float(v)) for v in z])
            assert away[owner] == min(away)
            looked_at += 1
    assert looked_at > 200


@pytest.mark.parametrize("batch_size", [32, 100, 128, 500])
@pytest.mark.parametrize(("at", "clean", "label"), [(6.5 / 7, 0.45, 0), (0.5 / 7, 0.55, 1)])
def test_one_bad_code_image_at_either_end_is_found(thresholded, batch_size, at, clean, label):
    # of 128 code images the last one alone, or the first, is classified otherwise
    classifier = thresholded(Codebook([0.0, 1.0]), (1, 1, 7), at)
    x = np.full((1, 1, 1, 7), clean, dtype=np.float32)
    found = certify(classifier, x, [label], eps=0.1, batch_size=batch_size, verbose=False)
    assert found.verdicts == ("falsified",)
    assert found.record.log2_images == (7.0,)


class Lead(nn.Module):
    """Two classes; the first leads by a function of the flattened image."""

    def __init__(self, lead):
        super().__init__()
        self.lead = lead

    def forward(self, x):
        lead = self.lead(x.flatten(1))
        return torch.stack([lead, -lead], dim=1)


def certified(lead, x, **options):
    """A pixel of .4 reaches the code 1 by what rounding may do alone; one of .45 reaches both."""
    x = np.array(x, dtype=np.float32).reshape(1, 1, 1, -1)
    classifier = build_classifier(
        Lead(lead), input_shape=x.shape[1:], nb_classes=2,
        defences=[PixelDiscretization(Codebook([0.0, 1.0]))],
    )  # fmt: skip
    return certify(classifier, x, [0], eps=0.1 - 1e-6, verbose=False, **options)


def test_a_witness_is_sought_among_all_bad_code_images():
    # the sixteen worst have the first pixel at 1, which no image has
    found = certified(lambda u: 2.5 - 10 * u[:, 0] - u[:, 1:].sum(dim=1), [0.4] + 4 * [0.45])
    assert found.verdicts == ("falsified",)


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_a_tie_is_told_whatever_comes_after_it(batch_size):
    # wrong at (1, 0) alone, and undecided at (0, 1) for want of a margin
    found = certified(
        lambda u: 1 - 2 * u[:, 0] - u[:, 1] + 3 * u[:, 0] * u[:, 1], [0.4, 0.45],
        batch_size=batch_size,
    )  # fmt: skip
    assert found.verdicts == ("undecided",)
    assert found.record.reasons == ("reachable only by a tie or rounding",)


def test_undecided_images_are_not_certified():
    classifier = build_classifier(
        nn.Flatten(),
        input_shape=(1, 1, 2),
        nb_classes=2,
        defences=[GaussianNoise(0.2)],
    )
    # the first pixel is ahead by much, by little, and behind
    x = np.array([[1, 0], [0.5, 0.45], [0, 1]], dtype=np.float32).reshape(3, 1, 1, 2)
    found = kl_certify(classifier, x, [0, 0, 0], eps=0.02, verbose=False)
    assert found.verdicts == ("certified", "undecided", "undecided")
    assert found.certified_accuracy == 1 / 3


class Counted:
    """A model that says how many images it was asked about."""

    def __init__(self):
        self.inner, self.images = GaussianModel(0.2), []

    assumes = "counted"

    def divergence(self, images, budget, order, *, reverse=False):
        self.images.append(len(images))
        return self.inner.divergence(images, budget, order, reverse=reverse)

    def shift(self, images, budget):
        self.images.append(len(images))
        return self.inner.shift(images, budget)


@pytest.mark.parametrize("bound", ["tight", "pinsker", "smoothing"])
def test_images_that_the_votes_have_lost_ask_nothing_of_the_model(bound):
    limits = VoteLimits(np.array([0.9, 0.4, 0.8, 0.5]), np.array([0.1, 0.6, 0.2, 0.5]))
    images = np.full((4, 1, 2, 2), 0.5)
    model = Counted()
    found = decide(model, images, 0.01, limits, bound, ORDERS)
    assert set(model.images) == {2}
    alone = VoteLimits(limits.top[[0, 2]], limits.other[[0, 2]])
    expected = decide(GaussianModel(0.2), images[:2], 0.01, alone, bound, ORDERS)
    assert found.certified.tolist() == [True, False, True, False]
    for name in ("certified", "lowest", "gap", "kl"):
        assert np.array_equal(getattr(found, name)[[0, 2]], getattr(expected, name))
    assert found.lowest[[1, 3]].tolist() == found.gap[[1, 3]].tolist() == [0, 0]
    lost, model = VoteLimits(limits.other, limits.other), Counted()
    assert not decide(model, images, 0.01, lost, bound, ORDERS).certified.any()
    assert not model.images


def test_a_bar_stands_at_its_end_only_when_the_work_is_over(monkeypatch):
    events = []

    class Bar:
        def __init__(self, *_, total, **__):
            self.left = total

        def __enter__(self):
            return self

        def __exit__(self, *_):
            events.append(self.left)

        def update(self, n=1):
            self.left -= n
            events.append(self.left)

    class Working(Counted):
        def divergence(self, *rest, **options):
            events.append("work")
            return super().divergence(*rest, **options)

    monkeypatch.setattr("art_disc.certificates.divergence.shared.tqdm", Bar)
    limits = VoteLimits(np.array([0.9]), np.array([0.1]))
    decide(Working(), np.full((1, 1, 2, 2), 0.5), 0.01, limits, "tight", ORDERS, verbose=True)
    assert events[-2:] == [0, 0]
    assert events.count("work") > len(ORDERS)
    assert 0 not in events[:-2]
