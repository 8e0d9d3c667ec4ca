"""Figures 6 and 7 of Chen et al. 2019 run again: how the pixels of a data set lie."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from art_disc.codebooks import DensityCodebook, PixelCounts
from art_disc.core.checks import Float32Array, check_choice
from art_disc.core.files import replace_file
from art_disc.core.records.base import Environment
from art_disc.core.records.pixels import PixelFact, PixelFigureRecord
from art_disc.core.showing import Shown
from art_disc.data import load_dataset
from art_disc.metrics import NeighbourhoodSizes, Separability, neighbourhood_sizes, separability

# the paper's: of 50,000 training images, eps 8/255
_LARGEST, _COLOURS, _PIXELS = 1_567_080, 4_000_000, 50_000 * 1024
# a colour whose levels differ by no more is grey
_GREY = 16


@dataclass(frozen=True, slots=True)
class PixelFigure(Shown):
    """What a figure is of.

    Attributes:
        title: In words.
        dataset: Its name.
        n_codes, radius: Of the density codebook.
        eps: l_inf budget in [0, 1].
        draws: Whether it shows some of the colours, drawn.
    """

    title: str
    dataset: str
    n_codes: int
    radius: float
    eps: float
    draws: bool


def _clouds(found: NeighbourhoodSizes, stem: Path, seed: int) -> None:
    """Draw Figure 6: as many colours as there."""
    from art_disc.report.hardness import png

    for name, sample in (("linear", 40_000), ("log", 400_000)):
        axes = found.scatter(sample=sample, seed=seed, log=name == "log")
        replace_file(stem.with_name(f"{stem.name}-{name}.png"), png(axes))


def colour_facts(found: NeighbourhoodSizes, codewords: Float32Array) -> list[PixelFact]:
    """Return how crowded it is around the colours, and where the codewords (k, 3) lie."""
    largest, total = int(found.pixels.max()), int(found.counts.sum())
    grey = np.ptp(found.values.astype(int), axis=1) <= _GREY
    codes = np.ptp(np.rint(255 * codewords), axis=1) <= _GREY
    few = found.pixels < largest / 100
    around = {
        "the median colour": found.pixels,
        "the median grey one": found.pixels[grey],
        "the median other one": found.pixels[~grey],
    }
    return [
        PixelFact("distinct colours", len(found.values), _COLOURS),
        PixelFact("pixels in the largest neighbourhood", largest, _LARGEST),
        PixelFact("these, of all pixels", largest / total, _LARGEST / _PIXELS, share=True),
        PixelFact("colours with less than a hundredth of them", few.mean(), share=True),
        *(PixelFact(f"pixels around {k}", np.median(v)) for k, v in around.items() if len(v)),
        PixelFact("grey codewords", codes.mean(), share=True),
    ]


def level_facts(found: Separability) -> list[PixelFact]:
    """Return how many grey pixels are black, or nearly white, and can change their codeword."""
    shares = found.histogram[0] / found.histogram[0].sum()
    dark, light = shares[:26].sum(), shares[230:].sum()
    return [
        PixelFact("at level 0", shares[0], share=True),
        PixelFact("darker than a tenth of the range", dark, share=True),
        PixelFact("lighter than nine tenths", light, share=True),
        PixelFact("in between", shares[26:230].sum(), share=True),
        PixelFact("that can change their codeword", found.free_share, share=True),
    ]


PIXEL_FIGURES = {
    "chen2019-figure6": PixelFigure(
        "CIFAR-10: pixels around each colour", "cifar10", 300, 16 / 255, 8 / 255, draws=True
    ),
    "chen2019-figure7": PixelFigure(
        "MNIST: pixels at each level", "mnist", 2, 0.6, 0.3, draws=False
    ),
}


def reproduce_pixels(
    name: str,
    *,
    out: str | Path = "runs/reproduce",
    seed: int = 0,
    data_dir: str | Path | None = None,
) -> PixelFigureRecord:
    """Count the pixels of the training images of a figure.

    Args:
        name: One of `PIXEL_FIGURES`.
        out: Folder of `NAME.json`, and of colours `NAME-linear.png` and `NAME-log.png`.
        seed: Of the colours that are drawn.
        data_dir: Where the data set's file is looked for first.

    Raises:
        InputError: Unknown figure.
        DataNotFoundError: The images are not there.
        MissingExtraError: matplotlib is not installed.
    """
    from art_disc.report import check_extra

    check_choice(name, "name", PIXEL_FIGURES)
    check_extra()
    figure, out = PIXEL_FIGURES[name], Path(out)
    # first: the code may change while it runs
    environment = Environment.here(threads=torch.get_num_threads())
    data = load_dataset(figure.dataset, data_dir=data_dir)
    counts = PixelCounts.of(data.x_train)
    book = DensityCodebook(figure.n_codes, radius=figure.radius).fit(counts)
    if counts.n_channels == 1:
        facts = level_facts(separability(counts, book, eps=figure.eps))
    else:
        around = neighbourhood_sizes(counts, eps=figure.eps)
        facts = colour_facts(around, book.codewords_)
        _clouds(around, out / name, seed)
    record = PixelFigureRecord(
        figure=name,
        title=figure.title,
        dataset=data.name,
        train_images=len(data.x_train),
        eps=figure.eps,
        codewords=tuple(map(tuple, book.codewords_.tolist())),
        levels=tuple(map(tuple, counts.per_channel().tolist())),
        rows=tuple(facts),
        environment=environment,
    )
    record.save(out / f"{name}.json")
    return record
