from dataclasses import replace
from itertools import permutations, product
from math import ceil, inf

import numpy as np
import pytest

from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.errors import InputError, TheoryError
from art_disc.data import IdealizedImages
from art_disc.defences import PixelDiscretization
from art_disc.hardness.theory import code_distance, simulate_lemma1, simulate_proposition1

COLOURS = np.array([(60, 60, 60), (180, 60, 60), (60, 180, 60), (60, 60, 180)]) / 255


def colours(**options):
    return IdealizedImages(COLOURS, 3 / 255, **options)


def black_and_white():
    """Noise can only go one way here, so that one value has all the probability of a norm."""
    return IdealizedImages([0.0, 1.0], 6 / 255, shape=(64, 64))


def allowed_histogram(model, gamma, level):
    """Frequencies that all err by less than gamma, in favour of the value `level` beside black."""
    total = 2_000_000
    share = np.zeros(256)
    share[: len(model.noise_law)] = model.noise_law / 2
    share = share + share[::-1]
    true = share.copy()
    share[:level] = np.maximum(share[:level] - 0.999 * gamma, 0)
    share[level] += 0.999 * gamma
    # what is left over goes to greys that the model never has
    share[60:200] += (1 - share.sum()) / 140
    assert np.abs(share - true).max() < gamma
    return np.repeat(np.arange(256), np.rint(total * share).astype(int)).astype(np.uint8)


def test_the_tight_nu_is_the_distance_up_to_which_frequencies_can_mislead():
    model = black_and_white()
    n = model.pixels_needed(form="tight") * 103 // 100
    lemma = model.lemma1(n, form="tight")
    nu = 255 * lemma.nu
    assert 9 < nu < 255 / 16
    distances = []
    for level in range(1, 16):
        pixels = allowed_histogram(model, lemma.gamma, level)
        book = DensityCodebook(2, lemma.radius).fit(pixels[None, None, None])
        distances.append(round(255 * code_distance(model, book.codewords_), 3))
        assert distances[-1] == (level if level < nu else 0)
    # so a nu that is smaller would be wrong, and this one is kept
    assert max(distances) == ceil(nu) - 1 > 0.7 * nu
    assert max(distances) < nu < 255 * model.nu(n, 0.01)


@pytest.mark.parametrize("form", ["printed", "tight"])
@pytest.mark.parametrize("make", [colours, black_and_white])
def test_lemma_1_holds_in_every_run(form, make):
    model = make()
    n_images = -(-model.pixels_needed(form=form) // np.prod(model.shape))
    got = simulate_lemma1(model, int(n_images), runs=10, form=form, seed=1)
    assert (got.held.count, got.held.total) == (10, 10)
    assert got.worst <= got.lemma.nu < model.separation / 16
    assert got.lemma == model.lemma1(int(n_images * np.prod(model.shape)), form=form)


def test_a_nu_that_is_too_small_is_seen(monkeypatch):
    # two grey levels whose noise is nearly flat, and few pixels: the counts mislead
    model = IdealizedImages([0.0, 1.0], 30 / 255, shape=(8, 8))
    honest = model.lemma1(10**7, form="tight")
    # (some runs hold all the same: they are not one run thirty times)
    for nu, fewest, most in ((31 / 255, 30, 30), (1 / 255, 1, 10)):
        promise = replace(honest, nu=nu)
        monkeypatch.setattr(model, "lemma1", lambda *args, promise=promise, **kwargs: promise)
        got = simulate_lemma1(model, 4, runs=30)
        assert fewest <= got.held.count <= most
        assert got.worst > 1 / 255


@pytest.mark.filterwarnings("ignore::art_disc.core.errors.CodebookWarning")
def test_pixels_that_depend_on_one_another_are_fewer_than_they_seem():
    # one codeword an image: allowed by the model, and N counts 100,352 pixels
    model = colours(random_state=0)
    images = model.add_noise(np.arange(2)[:, None, None].repeat(224, 1).repeat(224, 2))
    lemma = model.lemma1(2 * 224 * 224)
    book = DensityCodebook(4, lemma.radius).fit(images)
    assert code_distance(model, book.codewords_) == inf
    with pytest.raises(TheoryError, match="2 pixels are too few, 26331 are enough"):
        model.lemma1(2)


@pytest.mark.parametrize("noise", [3, 40])
def test_outside_the_conditions_the_simulation_refuses(noise):
    model = IdealizedImages(COLOURS, noise / 255, shape=(10, 10))
    with pytest.raises(TheoryError, match=r"26331 are enough|no number of pixels"):
        simulate_lemma1(model, 263, runs=1)


def test_simulations_repeat_by_seed():
    model = black_and_white()
    lemma = model.lemma1(200_000)
    runs = [simulate_lemma1(model, 49, runs=2, seed=seed) for seed in (3, 3)]
    assert runs[0] == runs[1]
    eps = 0.45
    moved = [simulate_proposition1(model, lemma, eps, seed=seed).drawn for seed in (3, 3, 4)]
    assert moved[0] == moved[1] != moved[2]


def test_code_distance():
    model = colours()
    shifted = COLOURS[[2, 0, 3, 1]] + np.array([0, 4, -2]) / 255
    assert code_distance(model, shifted) == pytest.approx(4 / 255)
    assert code_distance(model, COLOURS[:3]) == inf
    assert code_distance(model, np.concatenate([COLOURS[:3], COLOURS[:1] + 0.01])) == inf
    with pytest.raises(InputError, match=r"shape \(k, 3\), got \(4, 1\)"):
        code_distance(model, COLOURS[:, :1])


@pytest.mark.parametrize("form", ["printed", "tight"])
def test_proposition_1_holds_up_to_the_proven_tolerance_and_no_further(form):
    model = colours()
    lemma = model.lemma1(30_000, form=form)
    for eps in (lemma.tolerance("printed"), lemma.tolerance() - 1e-5):
        got = simulate_proposition1(model, lemma, eps)
        assert got.promised
        assert (got.drawn.count, got.drawn.total) == (0, 2000)
        assert (got.worst.count, got.worst.total) == (0, 12)
    over = simulate_proposition1(model, lemma, lemma.tolerance() + 1e-5)
    assert not over.promised
    # only pixels with the largest noise, of which none was drawn
    assert (over.worst.count, over.drawn.count) == (12, 0)
    # drawn pixels have little noise: all fail once eps exceeds Gamma/2 - nu
    assert simulate_proposition1(model, lemma, 59.9 / 255 - lemma.nu).drawn.count > 0
    assert simulate_proposition1(model, lemma, 60.1 / 255).drawn.value > 0.9
    # learned codewords are nearer to the true ones than the lemma says, so failures begin later
    for eps, failed in ((44.9 / 255, 0), (45.1 / 255, 12)):
        learned = simulate_proposition1(model, lemma, eps, codewords=COLOURS[[3, 1, 0, 2]])
        assert learned.worst.count == failed
    with pytest.raises(InputError, match="must be within nu"):
        simulate_proposition1(model, lemma, 0.1, codewords=COLOURS + 2 * lemma.nu)


def test_the_count_is_what_an_attack_on_all_corners_reaches():
    # an independent way: changes of -eps, 0 or eps, and up to the other codeword, in each channel
    rng = np.random.default_rng(0)
    codes = np.array([(60, 60, 60), (180, 90, 60), (60, 180, 160), (150, 60, 180)]) / 255
    model = IdealizedImages(codes, 9 / 255, random_state=rng)
    lemma = model.lemma1(10**7, form="tight")
    book = Codebook((codes + rng.uniform(-lemma.nu, lemma.nu, codes.shape)).astype(np.float32))
    which = rng.integers(0, 4, 4000)
    pixels = model.add_noise(which[None, None], random_state=rng)[0, :, 0].T
    for eps in (lemma.tolerance() - 1e-4, 0.2, 0.22, 0.25):
        steps = [np.array(s) * eps for s in product((-1, 0, 1), repeat=3)]
        tries = [pixels + s for s in steps]
        tries += [pixels + np.clip(code - pixels, -eps, eps) for code in book.codewords_]
        changed = [book.assign(np.clip(x, 0, 1).astype(np.float32)) != which for x in tries]
        attacked = np.any(changed, axis=0).mean()
        options = {"codewords": book.codewords_, "n_pixels": 4000}
        got = simulate_proposition1(model, lemma, eps, **options, seed=2).drawn.value
        # other pixels of the same law, and not every change was tried
        assert attacked - 0.03 <= got <= 1.25 * attacked + 0.03
        if eps < lemma.tolerance():
            assert got == attacked == 0
    assert got > 0.5


def test_a_pixel_counts_once_any_other_codeword_can_be_reached():
    # the first two are 120 apart, the third is 195 from both: budget 69 joins only the first two
    codes = np.array([(60, 60, 60), (180, 60, 60), (60, 60, 255)]) / 255
    model = IdealizedImages(codes, 2 / 255, prior=[0.5, 0.3, 0.2])
    lemma = model.lemma1(10**6, form="tight")
    got = simulate_proposition1(model, lemma, 69 / 255, codewords=codes)
    assert got.drawn.value == pytest.approx(0.8, abs=0.04)
    # worst codewords: 0 and 1 meet from 60 - nu on, but only where that pair is shifted
    lemma = model.lemma1(model.pixels_needed())
    assert 7 < 255 * lemma.nu < 7.5
    got = simulate_proposition1(model, lemma, 55 / 255)
    assert got.drawn.value == pytest.approx(0.8, abs=0.04)


def test_the_discretised_image_is_a_code_perturbation_of_the_skeleton():
    model = colours(random_state=9)
    lemma = model.lemma1(40 * 1024)
    train, _ = model.sample(40)
    book = DensityCodebook(4, lemma.radius).fit(train)
    images, skeletons = model.sample(3, random_state=10)
    order = np.abs(book.codewords_[:, None] - model.codewords).max(axis=-1).argmin(axis=0)
    expected = np.moveaxis(book.codewords_[order][skeletons], -1, 1)
    rng = np.random.default_rng(0)
    eps = np.float32(lemma.tolerance() - 1e-4)
    changed = images + eps * rng.choice([-1, 1], images.shape).astype(np.float32)
    got, _ = PixelDiscretization(book)(np.clip(changed, 0, 1))
    assert np.array_equal(got, expected)


def test_the_worst_case_at_every_pair_by_hand():
    # the two inequalities of the proof with equality, and the real codebook on either side
    model = colours()
    lemma = model.lemma1(30_000, form="tight")
    for i, j in permutations(range(4), 2):
        side = np.sign(COLOURS[j] - COLOURS[i])
        codes = COLOURS.copy()
        codes[[i, j]] -= side * lemma.nu
        book = Codebook(codes.astype(np.float32))
        noisy = COLOURS[i] + side * model.largest_noise
        for share, code in ((0.999, i), (1.001, j)):
            pixel = noisy + side * share * lemma.tolerance()
            away = np.abs(pixel - codes).max(axis=1)
            assert away.argmin() == code
            assert book.assign(pixel[None].astype(np.float32)).tolist() == [code]
