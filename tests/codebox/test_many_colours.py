"""Many colours at once: as one at a time, and what that costs in counted work."""

import itertools

import numpy as np
import pytest
from scipy import optimize

from art_disc.codebooks import Codebook
from art_disc.codebox import programmes, reachability
from art_disc.codebox.boxes import box, levels_of, slack
from art_disc.codebox.margins import best_l2_margin
from art_disc.codebox.programmes import has_point_above
from art_disc.metrics import free_pixels, reachable_codes

METRICS = ("l_inf", "l1", "l2")


def colours(seed, n, channels=3, *, top=256):
    levels = np.random.default_rng(seed).integers(0, top, (n, channels))
    return np.unique(levels, axis=0).astype(np.float32) / np.float32(255)


def image_of(pixels):
    return np.ascontiguousarray(pixels.T[None, :, None, :])


def programme(rng, channels, functions, *, whole):
    """Slopes, offsets and a box; whole numbers make many of them meet in one point."""
    numbers = rng.normal(scale=2, size=(channels + 1, functions))
    slope, offset = np.split(np.rint(numbers) if whole else numbers, [channels])
    return slope, offset[0], -np.ones(channels), np.ones(channels)


def highest_point(slope, offset, low, high):
    c = len(slope)
    rows = np.column_stack([-slope.T, np.ones(len(offset))])
    bounds = [*zip(low, high, strict=True), (None, None)]
    return optimize.linprog(np.append(np.zeros(c), -1.0), rows, offset, bounds=bounds).x[-1]


@pytest.mark.parametrize("whole", [True, False])
def test_programmes_are_answered_as_by_a_general_solver(whole):
    rng = np.random.default_rng(0)
    answered = 0
    for channels, functions in itertools.product((2, 3, 4), (1, 2, 7, 30)):
        cases = [programme(rng, channels, functions, whole=whole) for _ in range(8)]
        slope, offset, low, high = (np.stack(parts, axis=-1) for parts in zip(*cases, strict=True))
        best = [highest_point(*case) for case in cases]
        for shift, expected in ((1e-5, -1), (-1e-5, 1)):
            for case, top in enumerate(best):
                answers = has_point_above(low, high, slope, offset, top + shift)
                assert answers[case] in (expected, 0)
                answered += abs(answers[case])
    # else all is left to the slow solver
    assert answered > 0.98 * 2 * 8 * 12


@pytest.mark.parametrize(
    "spoil",
    [
        lambda inverse, noise: inverse * (1 + 0.1 * noise),
        # weights below 0, and none
        lambda inverse, noise: inverse + 3 * noise,
        lambda inverse, noise: inverse * (noise > 0),
    ],
)
def test_lost_digits_cost_answers_and_spoil_none(monkeypatch, spoil):
    exact, rng = programmes._Programmes.exchange, np.random.default_rng(1)

    def spoilt(self, point):
        goes = exact(self, point)
        self.inverse[...] = spoil(self.inverse, rng.normal(size=self.inverse.shape))
        return goes

    monkeypatch.setattr(programmes._Programmes, "exchange", spoilt)
    for _ in range(40):
        slope, offset, low, high = case = programme(rng, 3, 12, whole=False)
        top = highest_point(*case)
        parts = low[:, None], high[:, None], slope[..., None], offset[:, None]
        assert has_point_above(*parts, top + 1e-6)[0] <= 0
        assert has_point_above(*parts, top - 1e-6)[0] >= 0


def test_l2_codes_of_many_colours_are_those_of_one_programme_each():
    pixels, book = colours(2, 12, top=90), Codebook(colours(3, 25, top=90), metric="l2")
    mask = reachable_codes(image_of(pixels), book, eps=8 / 255)[0]
    low, high = box(pixels, 8 / 255)
    levels = levels_of(book)
    for row, first, last in zip(mask, low, high, strict=True):
        margins = [
            best_l2_margin(first, last, level, np.delete(levels, code, axis=0))[0]
            for code, level in enumerate(levels)
        ]
        assert np.array_equal(row, np.array(margins) >= -slack(book))
    assert mask.sum() > 2 * len(pixels)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("domain", ["real", "8bit"])
def test_a_pixel_is_free_if_it_reaches_two_codewords(metric, domain):
    pixels = colours(4, 400)
    for k, reach in ((6, 3), (60, 3), (60, 12)):
        book, x = Codebook(colours(5, k), metric=metric), image_of(pixels)
        if domain == "8bit" and reach > 3:
            continue
        several = reachable_codes(x, book, eps=reach / 255, domain=domain).sum(axis=-1) > 1
        assert 0 < several.sum() < several.size or reach == 12
        assert free_pixels(x, book, eps=reach / 255, domain=domain) == several.sum()


def test_no_general_solver_is_asked_for_usual_colours(monkeypatch):
    asked = []
    monkeypatch.setattr("scipy.optimize.linprog", lambda *_, **__: asked.append(1))
    x, book = image_of(colours(6, 300)), Codebook(colours(7, 200), metric="l2")
    assert reachable_codes(x, book, eps=8 / 255).sum() > 300
    assert not asked


def test_equal_pixels_of_all_images_are_looked_at_once(monkeypatch):
    seen = []
    exact = reachability.colour_mask

    def spy(pixels, *rest, **options):
        seen.append(len(pixels))
        return exact(pixels, *rest, **options)

    monkeypatch.setattr(reachability, "colour_mask", spy)
    palette = colours(8, 50)
    rng = np.random.default_rng(9)
    # more than the masks of which fit in what is looked at together
    x = np.moveaxis(palette[rng.integers(0, len(palette), (20, 40, 40))], -1, 1)
    book = Codebook(colours(10, 600))
    free = free_pixels(x, book, eps=2 / 255)
    assert sum(seen) == len(palette)
    assert free.shape == (20,)
