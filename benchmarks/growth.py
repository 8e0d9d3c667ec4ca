"""How costs grow with codewords, pixels, the batch and the draws, beside what a user would write.

By the harness of `benchmarks.speed`: ours and the peer in turn, medians. Writes `growth.json` and
draws it, `growth.svg`; `make bench` does both.

    python -m benchmarks.growth [--threads 2] [--seconds 3] [--most N] [--out DIR] [--draw]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from art_disc.core.files import replace_file
from art_disc.core.records.study import StudyRecord
from art_disc.report.drawing import BLUE, ORANGE, draw
from benchmarks.calls import of_draws, of_gradient
from benchmarks.speed import CLOCKS, PIXELS, Work, compared, of_nearest, of_soft
from studies import common

HERE = Path(__file__).parent
IMAGES, CODES = 32, 300


class Axis(NamedTuple):
    """What grows, what is measured for it and in what unit, and beside what."""

    grows: str
    measured: str
    sizes: tuple[int, ...]
    made: Callable[[int], tuple[Work, Work]]
    # seconds of a run at a size become what is shown
    scale: Callable[[int], float]
    peer: str


AXES = {
    "nearest_codewords": Axis(
        "codewords",
        f"nearest of them, {PIXELS:,} colours:\nnanoseconds a pixel",
        (2, 5, 10, 20, 50, 100, 300, 1000, 2000),
        of_nearest,
        lambda _: 1e9 / PIXELS,
        "cdist, argmin",
    ),
    "nearest_pixels": Axis(
        "pixels",
        f"nearest of {CODES} colours:\nnanoseconds a pixel",
        tuple(4**i for i in range(4, 11)),
        lambda n: of_nearest(CODES, n),
        lambda n: 1e9 / n,
        "cdist, argmin",
    ),
    "surrogate_codewords": Axis(
        "codewords",
        f"gradient of the soft surrogate,\n{PIXELS:,} colours: nanoseconds a pixel",
        (2, 5, 10, 20, 50, 100, 300, 1000),
        lambda k: of_soft(k, 25.5),
        lambda _: 1e9 / PIXELS,
        "autograd",
    ),
    "gradient_batch": Axis(
        "images in a batch",
        f"gradient through a ResNet of 8 layers and {CODES} colours:\nmilliseconds an image",
        (1, 2, 4, 8, 16, 32, 64, 128),
        of_gradient,
        lambda n: 1e3 / n,
        "bare network",
    ),
    "gradient_draws": Axis(
        "draws",
        f"gradient over draws of RandDisc, {IMAGES} images,\nMadry's network: milliseconds a draw",
        (1, 2, 5, 10, 20, 50, 100),
        lambda n: of_draws(beside_art=False, frozen=True, draws=n, images=IMAGES),
        lambda n: 1e3 / n,
        "bare network, as often",
    ),
}


def measured(axis: Axis, most: int, patience: float) -> dict[str, list[float]]:
    """Return sizes up to `most`, and what ours and the peer take at each."""
    found: dict[str, list[float]] = {"sizes": [], "ours": [], "peer": [], "runs": []}
    for size in (size for size in axis.sizes if size <= most):
        ours, peer, runs = compared(*axis.made(size), CLOCKS["wall"], patience)
        point = (size, axis.scale(size) * ours, axis.scale(size) * peer, runs)
        print(axis.grows, *(f"{value:.4g}" for value in point), sep=" | ", flush=True)
        for values, value in zip(found.values(), point, strict=True):
            values.append(value)
    return found


def paint(figure: Any, results: dict[str, dict[str, list[float]]]) -> None:
    """Paint a plot an axis, both scales logarithmic."""
    figure.set_size_inches(11, 6.6)
    for place, (name, found) in enumerate(results.items(), 1):
        axis, axes = AXES[name], figure.add_subplot(2, 3, place)
        for label, colour, marker in (("ours", BLUE, "o"), ("peer", ORANGE, "s")):
            shown = "art_disc" if label == "ours" else axis.peer
            axes.plot(found["sizes"], found[label], color=colour, marker=marker, label=shown)
        axes.set(xscale="log", yscale="log", xlabel=axis.grows)
        axes.set_title(axis.measured, fontsize=10)
        # from 0.8 of the least to 1.25 of the most: a flat line is shown as one
        low, high = (pick(found["ours"] + found["peer"]) for pick in (min, max))
        axes.yaxis.set_minor_formatter("")
        axes.set_ylim(min(0.8 * low, high / 10), 1.25 * high)
        axes.legend(fontsize=9)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--seconds", type=float, default=3.0, help="for one comparison")
    words.add_argument("--most", type=int, default=1 << 20, help="leave out larger sizes")
    words.add_argument("--out", type=Path, default=HERE)
    words.add_argument("--draw", action="store_true", help="draw what was measured before")
    options = words.parse_args()
    torch.set_num_threads(options.threads)
    if not options.draw:
        found = {
            name: measured(axis, options.most, options.seconds)
            for name, axis in AXES.items()
            if axis.sizes[0] <= options.most
        }
        common.write("growth", found, options.threads, options.out)
    results = StudyRecord.load(options.out / "growth.json").results
    picture = draw(lambda figure: paint(figure, results), height=6.6)
    print(replace_file(options.out / "growth.svg", picture))


if __name__ == "__main__":
    main()
