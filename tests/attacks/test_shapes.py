"""Attacks that ART writes for square images run on others, or are refused before the run."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import art_disc as ad
from art_disc.attacks import ATTACKS, AttackRequest
from art_disc.attacks.squares import fitting_fraction
from art_disc.attacks.zoo import patches

SHAPES = [(8, 12), (12, 8), (48, 64), (64, 48), (240, 320)]


class Halves(torch.nn.Module):
    """Class 1 where the left half is brighter than the right, whatever the image's shape."""

    def __init__(self, channels_first):
        super().__init__()
        self.channels_first = channels_first

    def forward(self, x):
        x = x if self.channels_first else x.movedim(-1, 1)
        half = x.shape[3] // 2
        lead = (x[..., :half].mean(dim=(1, 2, 3)) - x[..., half:].mean(dim=(1, 2, 3))) * 100
        # three classes, for attacks that ask for them
        return torch.stack([-lead, lead, torch.full_like(lead, -200.0)], dim=1)


def classifier_of(height, width, *, first=True):
    shape = (1, height, width) if first else (height, width, 1)
    options = {"input_shape": shape, "nb_classes": 3, "channels_first": first}
    return ad.build_classifier(Halves(first), **options)


def images_of(height, width, *, first=True, n=6):
    """Half of them class 0, half class 1, by a lead of .02."""
    x = np.full((n, 1, height, width), 0.5, dtype=np.float32)
    x[: n // 2, ..., width // 2 :] += 0.02
    x[n // 2 :, ..., : width // 2] += 0.02
    y = np.repeat([0, 1], n // 2)
    return (x if first else np.moveaxis(x, 1, -1)), y


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_the_first_square_fits_and_no_other_fraction_is_touched(norm):
    for height in range(2, 40):
        for width in range(2, 40):
            found = fitting_fraction(0.8, height, width, norm)

            def side(fraction, pixels=height * width):
                # ART's own lines, square_attack.py
                if norm == "inf":
                    return max(round(math.sqrt(fraction * pixels)), 1)
                tile = max(round(math.sqrt(fraction * pixels)), 3)
                return tile + (tile % 2 == 0)

            fits = side(0.8) < min(height, width)
            assert (found == 0.8) == fits
            if found:
                assert side(found) < min(height, width)
                # and it is the largest that does
                assert fits or side(found) >= min(height, width) - (1 if norm == "inf" else 2)
            else:
                assert norm == "2"
                assert min(height, width) < 4


@pytest.mark.parametrize("first", [True, False], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_square_runs_on_images_that_are_none(shape, first):
    classifier = classifier_of(*shape, first=first)
    x, y = images_of(*shape, first=first)
    spec = ATTACKS["square"]
    settings, refusal = spec.planned(
        classifier, "inf", {**spec.settings, "max_iter": 15}, targeted=False
    )
    assert refusal == ""
    assert 0 < settings["p_init"] < 0.8
    request = AttackRequest(classifier, 0.05, "inf", targeted=False, batch_size=8)
    np.random.seed(0)
    found = spec.make(request, settings).generate(x, np.eye(3, dtype=np.float32)[y])
    assert np.abs(found - x).max() <= 0.05 + 1e-6
    rows = np.arange(len(x))
    before, after = (
        (scores[rows, y] - scores[rows, 1 - y]).mean()
        for scores in (classifier.predict(x), classifier.predict(found))
    )
    assert before == pytest.approx(4, abs=0.01)
    assert after < 0.8 * before


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_in_l2_it_runs_or_says_why_not(shape):
    classifier = classifier_of(*shape)
    settings = ATTACKS["square"].settings
    _, refusal = ATTACKS["square"].planned(classifier, "2", settings, targeted=False)
    assert bool(refusal) == (shape in [(12, 8), (64, 48)])
    assert not refusal or f"wider than images of {shape[0]} x {shape[1]}" in refusal
    _, other = ATTACKS["autoattack"].fit(classifier, "2", ATTACKS["autoattack"].settings)
    assert other == refusal


def test_what_takes_other_shapes_not_at_all_is_refused_by_the_table():
    for name, shape, words in [
        ("geoda", (8, 12), "is for square images, these are 8 x 12"),
        ("composite", (48, 64), r"is written for 3 x 32 x 32 images, these are \(1, 48, 64\)"),
        ("square", (3, 40), "has no square that fits into images of 3 x 40"),
    ]:
        spec = ATTACKS[name]
        norm = "2" if name == "square" else "inf"
        _, refusal = spec.fit(classifier_of(*shape), norm, spec.settings)
        assert words.replace("\\", "") == refusal
    for name in ("geoda", "composite"):
        assert not ATTACKS[name].fit(classifier_of(12, 12), "inf", {})[1]


def test_the_plan_tells_what_is_left_out_and_what_was_fitted():
    classifier = classifier_of(12, 8)
    x, y = images_of(12, 8)
    data = ad.Dataset("halves", x[:0], y[:0], x, y, ("left", "right", "none"), "made up")
    options = {"settings": {"square.max_iter": 20}, "checks": None, "verbose": False}
    said = []
    attacks = ["square", "geoda"]
    result = ad.evaluate(
        classifier, data, eps=0.05, attacks=attacks, announce=said.append, **options
    )
    square, geoda = result.record.outcomes
    assert square.status == "done"
    assert square.settings["p_init"] == 49 / 96
    assert square.share.count < 6
    assert (geoda.status, geoda.reason) == ("skipped", "is for square images, these are 12 x 8")
    assert "1 of 2 attack runs skipped: geoda on defended at eps 0.05" in str(result)
    assert any("geoda is for square images, these are 12 x 8" in line for line in said)


@pytest.mark.parametrize("first", [True, False], ids=["NCHW", "NHWC"])
def test_patches_are_square_and_channels_first_on_any_image(first):
    class Kept:
        def __init__(self, estimator, patch_shape, scale_min, scale_max, learning_rate):
            self.estimator, self.patch_shape, self.targeted = estimator, patch_shape, False

    request = SimpleNamespace(
        classifier=classifier_of(8, 12, first=first), upper=1.0, targeted=False, arguments={}
    )
    made = patches._patch(Kept, request, ATTACKS["patch"].settings)
    assert made.attack.patch_shape == (1, 8, 8)
