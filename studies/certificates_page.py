"""What `studies.soundness` and `studies.certify_speed` found, as parts of docs/certificates.md."""

from typing import Any

import numpy as np

from art_disc.report.drawing import BLUE, GREEN, ORANGE
from studies.common import load, where

LOOKS = {"certified": (GREEN, "o"), "falsified": (BLUE, "v"), "undecided": (ORANGE, "s")}


def soundness() -> list[str]:
    """Return how verdicts compare with enumeration and with integer programmes."""
    result = load("soundness")
    found, programmes = result["enumeration"], result["integer programmes"]
    both = [text for text in found["different"] if text.count("undecided") > 1]
    wrong = len(found["different"]) - len(both)
    tried = [part["random code images"] for part in (found, programmes)]
    pixels = [int(number) for name in programmes["free pixels"] for number in name.split(" to ")]
    return [
        f"{found['cases']:,} cases of at most 2^{max(map(int, found['bits']))} code images, each "
        f"layer in at least {min(found['layers'].values())} of them, {wrong or 'no'} verdict "
        f"different ({found['verdicts']['undecided']} are undecided in both: ties and margins "
        f"within float error; {len(both)} of these searches had also used up their "
        f"{result['settings']['seconds for a search']} s). With {min(pixels)} to {max(pixels)} "
        f"free pixels, beyond enumeration, {programmes['cases']} cases are compared with the same "
        "problem as an integer programme, where its margin exceeds "
        f"{programmes['tolerance']:g}: {len(programmes['different']) or 'none'} is different; "
        f"{programmes['verdicts']['undecided']} were left undecided. Of "
        f"{sum(part['tried'] for part in tried):,} random code images in certified boxes "
        f"{sum(part['wrong'] for part in tried) or 'none'} was wrong. `CodeSpaceAttack` with its "
        f"default settings found {found['attack']['found']} of the "
        f"{found['attack']['falsifiable']} falsifiable cases (`studies/soundness.py`; "
        f"{where(result)}).",
    ]


def speed() -> list[str]:
    """Return what bounds and code boxes cost."""
    result = load("certify_speed")
    bounds, boxes = result["bounds"], {one["dataset"]: one for one in result["boxes"]}
    grey, colour = boxes["mnist"], boxes["cifar10"]
    return [
        f"On one core IBP of {bounds['images']:,} MNIST images through a network of "
        f"{bounds['weights']:,} weights takes {bounds['ibp']['cpu_seconds']:.1f} s, "
        f"{bounds['ratio']:.1f} times a forward pass of the same images; the code boxes of "
        f"{grey['images']:,} of these images {grey['cpu_seconds']:.1f} s, those of "
        f"{colour['images']:,} CIFAR-10 images with {colour['codes']} codewords "
        f"{colour['cpu_seconds']:.0f} s (`studies/certify_speed.py`; {where(result)}).",
    ]


def paint_searches(figure: Any) -> None:
    """Draw the seconds of each search against the image's free pixels."""
    rows = load("certify_speed")["searches"]
    axes = figure.add_subplot()
    for verdict, (colour, marker) in LOOKS.items():
        mine = [row for row in rows if row["verdict"] == verdict]
        points = np.array([[row["free_pixels"], row["cpu_seconds"]] for row in mine]).reshape(-1, 2)
        axes.semilogy(
            *points.T, marker, color=colour, markersize=4, label=f"{verdict} ({len(mine)})"
        )
    axes.set(xlabel="free pixels", ylabel="processor seconds an image")
    axes.legend()
