"""The idealised model: Lemma 1 and Proposition 1 where their conditions hold, and what lies beyond.

python -m studies.idealized
"""

from itertools import product
from typing import Any

import numpy as np

import art_disc as ad
from art_disc.core.errors import TheoryError
from art_disc.data.lemma1 import FORMS, Lemma1
from art_disc.hardness.theory import code_distance, simulate_lemma1, simulate_proposition1
from studies import common

RUNS, PIXELS, DELTA = 100, 2000, 0.01
CORNERS = np.array([(60, 60, 60), (180, 60, 60), (60, 180, 60), (60, 60, 180)]) / 255
MODELS = {
    "4 colours 120 apart, sigma 3": (CORNERS, 3),
    "4 greys 80 apart, sigma 3": (np.array([8, 88, 168, 248]) / 255, 3),
    # black and white: the noise has one direction only, the hardest case for the frequencies
    "black and white, sigma 6": (np.array([0.0, 1.0]), 6),
}


def plain(lemma: Lemma1) -> dict[str, Any]:
    return {
        "pixels": lemma.n_pixels,
        "gamma": round(lemma.gamma, 6),
        "nu_255": round(255 * lemma.nu, 4),
        "tolerance_printed_255": round(255 * lemma.tolerance("printed"), 4),
        "tolerance_proven_255": round(255 * lemma.tolerance("proven"), 4),
    }


def inside(model: ad.IdealizedImages) -> list[dict[str, Any]]:
    """Both promises, where the conditions just hold and with eight times the pixels."""
    rows = []
    for form, times in product(FORMS, (1, 8)):
        size = model.shape[0] * model.shape[1]
        images = times * -(-model.pixels_needed(DELTA, form=form) // size)
        kept = simulate_lemma1(model, images, delta=DELTA, runs=RUNS, form=form)
        row = {"form": form, "images": images, **plain(kept.lemma)}
        row["lemma1_held"] = f"{kept.held.count} of {kept.held.total}"
        row["lemma1_worst_distance_255"] = round(255 * kept.worst, 4)
        row["proposition1"] = attacked(model, kept.lemma)
        rows.append(row)
    return rows


def attacked(model: ad.IdealizedImages, lemma: Lemma1) -> list[dict[str, Any]]:
    """Pixels that can be moved to another code, at both tolerances and beyond the proven one."""
    images, _ = model.sample(-(-lemma.n_pixels // 1024), random_state=1)
    learned = ad.DensityCodebook(model.n_codes, lemma.radius).fit(images).codewords_
    proven = lemma.tolerance("proven")
    budgets = {
        "5 nu": lemma.tolerance("printed"),
        "0.999 of 3 Gamma/8 - nu": 0.999 * proven,
        "1.001 of 3 Gamma/8 - nu": 1.001 * proven,
        "0.999 of 3 Gamma/8": 0.999 * (proven + lemma.nu),
        "1.001 of 3 Gamma/8": 1.001 * (proven + lemma.nu),
        "1.05 of Gamma/2": 1.05 * lemma.separation / 2,
    }
    rows = []
    for (name, eps), (which, codes) in product(
        budgets.items(), {"worst that are promised": None, "learned": learned}.items()
    ):
        got = simulate_proposition1(model, lemma, eps, codewords=codes, n_pixels=PIXELS)
        rows.append(
            {
                "budget": name,
                "eps_255": round(255 * eps, 4),
                "codewords": which,
                "promised": got.promised,
                "drawn_pixels_moved": f"{got.drawn.count} of {got.drawn.total}",
                "worst_pixels_moved": f"{got.worst.count} of {got.worst.total}",
            }
        )
    return rows


def fewer_pixels(model: ad.IdealizedImages) -> list[dict[str, Any]]:
    """Below the pixels that the lemma asks for: how many are really needed for its nu."""
    lemma = model.lemma1(model.pixels_needed(DELTA), DELTA)
    rng = np.random.default_rng(0)
    rows = []
    for n in (4, 8, 16, 32, 64, 128, 512):
        held = 0
        for _ in range(RUNS):
            skeleton = rng.choice(model.n_codes, size=(1, 1, n))
            images = model.add_noise(skeleton, random_state=rng)
            book = ad.DensityCodebook(model.n_codes, lemma.radius)
            held += code_distance(model, book.fit(images).codewords_) <= lemma.nu
        rows.append({"pixels": n, "nu_255": round(255 * lemma.nu, 4), "held": f"{held} of {RUNS}"})
    return rows


def dependent(model: ad.IdealizedImages) -> dict[str, Any]:
    """One codeword an image, which the model allows: pixels are many, independent ones are two."""
    side, images = 224, 2
    lemma = model.lemma1(images * side * side, DELTA)
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(RUNS):
        skeletons = np.broadcast_to(
            rng.choice(model.n_codes, size=(images, 1, 1)), (images, side, side)
        )
        x = model.add_noise(skeletons, random_state=rng)
        book = ad.DensityCodebook(model.n_codes, lemma.radius)
        held += code_distance(model, book.fit(x).codewords_) <= lemma.nu
    try:
        model.lemma1(images, DELTA)
        answer = "none"
    except TheoryError as error:
        answer = str(error)
    return {**plain(lemma), "images": images, "held": f"{held} of {RUNS}", "by_images": answer}


def refusals() -> dict[str, str]:
    """What is said where the conditions do not hold."""
    said = {}
    for name, noise, pixels in (
        ("one pixel too few", 3, 26_330),
        ("too much noise for any number of pixels", 7, 10**9),
    ):
        try:
            ad.IdealizedImages(CORNERS, noise / 255).lemma1(pixels, DELTA)
        except TheoryError as error:
            said[name] = str(error)
    return said


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    rows = []
    for name, (codes, noise) in MODELS.items():
        model = ad.IdealizedImages(codes, noise / 255)
        rows.append(
            {
                "model": name,
                "codewords_255": np.rint(255 * model.codewords).tolist(),
                "separation_255": round(255 * model.separation),
                "alpha": model.normaliser,
                "pixels_needed": {form: model.pixels_needed(DELTA, form=form) for form in FORMS},
                "inside": inside(model),
                "fewer_pixels": fewer_pixels(model),
            }
        )
    colours = ad.IdealizedImages(CORNERS, 3 / 255)
    common.write(
        "idealized",
        {
            "delta": DELTA,
            "models": rows,
            "dependent_pixels": dependent(colours),
            "refusals": refusals(),
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
