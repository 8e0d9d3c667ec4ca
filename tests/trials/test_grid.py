"""Rounded images lie on the grid, in the ball, and as near as they can."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import art_disc as ad
from art_disc.core.budget import Budget
from art_disc.trials.grid import round_to_grid

LEVELS = st.integers(0, 255)


@given(LEVELS, st.floats(0, 1, width=32), st.floats(0, 0.5), st.booleans())
def test_linf_is_the_nearest_level_within_the_budget(level, wanted, eps, bright):
    upper = 255.0 if bright else 1.0
    clean = np.float32(level / 255) * np.float32(upper)
    adversarial = np.clip(
        np.float32(wanted) * np.float32(upper), clean - eps * upper, clean + eps * upper
    )
    x, adv = (np.full((1, 1, 1, 1), v, dtype=np.float32) for v in (clean, adversarial))
    rounded, inside = round_to_grid(adv, x, Budget(eps * upper, "inf", upper))
    assert inside.all()
    got = float(rounded[0, 0, 0, 0]) * 255 / upper
    assert abs(got - round(got)) < 1e-4
    allowed = [v for v in range(256) if abs(v - level) <= eps * 255 + 3e-4]
    best = min(abs(v - float(adv[0, 0, 0, 0]) * 255 / upper) for v in allowed)
    assert abs(got - float(adv[0, 0, 0, 0]) * 255 / upper) <= best + 1e-3
    assert round(got) in allowed


def test_l2_stays_in_the_ball_where_the_nearest_level_would_not():
    x = np.zeros((1, 1, 2, 1), dtype=np.float32)
    adv = np.array([1.6, 1.6], dtype=np.float32).reshape(1, 1, 2, 1) / 255
    eps = float(np.linalg.norm(adv))
    rounded, inside = round_to_grid(adv, x, Budget(eps, "2", 1.0))
    assert inside.all()
    assert np.allclose(rounded * 255, 1)
    free, _ = round_to_grid(adv, x, Budget(3 / 255, "2", 1.0))
    assert np.allclose(free * 255, 2)


def test_where_no_level_is_near_enough_it_says_so():
    x = np.full((1, 1, 1, 1), 0.5 / 255, dtype=np.float32)
    for norm in ("inf", "2"):
        _, inside = round_to_grid(x, x, Budget(0.4 / 255, norm, 1.0))
        assert not inside.any()


def test_an_evaluation_counts_the_rounded_images(digits, digits_net):
    # both codewords on the grid, the border between two levels
    book = ad.Codebook(np.array([[0.0], [1.0]], dtype=np.float32))
    classifier = ad.build_classifier(
        digits_net, data=digits, defences=[ad.PixelDiscretization(book, "identity")]
    )
    record = ad.evaluate(
        classifier, digits, eps=0.3, attacks=["pgd"], n_ex=25, checks=None, verbose=False
    ).record
    for row in record.select(scored_on="defended"):
        assert len(row.grid_correct) == 25
    raw, grid = record.worst(0.3), record.worst(0.3, grid=True)
    assert raw.count <= grid.count <= record.clean().count
    # nothing here hangs on a fraction of a grey level
    assert grid.count - raw.count <= 2


def test_a_rounded_image_beyond_the_budget_breaks_nothing():
    class Above(torch.nn.Module):
        """Class 1 where the pixel is brighter than the middle."""

        def forward(self, x):
            score = 1000 * (x.flatten(1) - 0.5)
            return torch.cat([-score, score], dim=1)

    # at 127.6 levels a budget of 0.2 holds no level, one of 0.7 holds 127, which is of class 0
    x = np.full((1, 1, 1, 1), 127.6 / 255, dtype=np.float32)
    classifier = ad.build_classifier(Above(), input_shape=(1, 1, 1), nb_classes=2)
    for size, right in ((0.2, True), (0.7, False)):
        record = ad.evaluate(
            classifier, (x, np.array([1])), eps=size / 255, attacks=["fgsm"], checks=None,
            verbose=False,
        ).record  # fmt: skip
        (row,) = record.select(scored_on="defended")
        assert (row.correct, row.grid_correct) == ((False,), (right,))


def test_exported_sets_are_what_was_scored(tmp_path, digits, digits_net):
    from PIL import Image

    classifier = ad.build_classifier(digits_net, data=digits)
    record = ad.evaluate(
        classifier, digits, eps=0.25, attacks=["fgsm"], n_ex=12, checks=None, out=tmp_path,
        export="png", verbose=False,
    ).record  # fmt: skip
    (file,) = (tmp_path / "adversarial").glob("*.npz")
    with np.load(file, allow_pickle=False) as arrays:
        held = dict(arrays)
    (row,) = record.select(scored_on="defended")
    right = classifier.predict(held["x_adv"]).argmax(1) == held["y"]
    assert tuple(right & np.array(record.defended_correct)) == row.correct
    grid = held["x_adv_8bit"].astype(np.float32) / 255
    right = classifier.predict(grid).argmax(1) == held["y"]
    assert tuple(right & np.array(record.defended_correct)) == row.grid_correct
    for i, image in zip(held["example_ids"], held["x_adv_8bit"], strict=True):
        png = np.asarray(Image.open(file.with_suffix("") / f"{i}.png"))
        assert np.array_equal(png, image[0])


@pytest.mark.parametrize(
    ("options", "word"), [({"export": "gif"}, "export"), ({"resume": True}, "out")]
)
def test_bad_choices_are_told(options, word, digits, digits_net):
    from art_disc.core.errors import InputError

    with pytest.raises(InputError, match=word):
        ad.evaluate(
            ad.build_classifier(digits_net, data=digits), digits, eps=0.1, checks=None,
            verbose=False, **options,
        )  # fmt: skip


def test_every_small_case_by_brute_force():
    eps = 2.4 / 255
    for level, wanted in itertools.product(range(0, 256, 5), np.linspace(0, 1, 23)):
        x = np.full((1, 1, 1, 1), level / 255, dtype=np.float32)
        adv = np.clip(np.full_like(x, wanted), x - np.float32(eps), x + np.float32(eps))
        rounded, _ = round_to_grid(adv, x, Budget(eps, "inf", 1.0))
        assert abs(round(float(rounded.item()) * 255) - level) <= 2
