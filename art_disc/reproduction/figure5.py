"""Figure 5 of Chen et al. 2019 run again: how many code images a budget reaches."""

from pathlib import Path

import numpy as np
import torch

from art_disc.codebooks import DensityCodebook
from art_disc.core.files import replace_file
from art_disc.core.records.base import Environment
from art_disc.core.records.published import ClassesRecord, ClassesRow
from art_disc.data import load_dataset
from art_disc.metrics import equivalence_classes

FIGURE5 = "chen2019-figure5"
TITLE = "MNIST and CIFAR-10: equivalence classes that a budget reaches"


# (data set, codes, radius, budget, printed median): the figure's text
_PANELS = (("mnist", 2, 0.6, 0.3, 0.06), ("cifar10", 300, 16 / 255, 8 / 255, 0.27))


def reproduce_figure5(
    *, out: str | Path = "runs/reproduce", n_ex: int = 1000, data_dir: str | Path | None = None
) -> ClassesRecord:
    """Count the code images in reach of the first `n_ex` test images, and draw their CDF.

    Writes `chen2019-figure5.json` and one PNG a panel into `out`.

    Raises:
        DataNotFoundError: MNIST or CIFAR-10 is not there.
        MissingExtraError: matplotlib is not installed.
    """
    from art_disc.report import check_extra
    from art_disc.report.hardness import png

    check_extra()
    # first: the code may change while it runs
    environment = Environment.here(threads=torch.get_num_threads())
    rows = []
    for name, n_codes, radius, eps, printed in _PANELS:
        data = load_dataset(name, data_dir=data_dir).part(n_ex)
        book = DensityCodebook(n_codes, radius=radius).fit(data.x_train)
        exact = equivalence_classes(data.x_test, book, eps=eps)
        paper = equivalence_classes(data.x_test, book, eps=eps, rule="paper")
        rows.append(
            ClassesRow(
                dataset=name,
                n_codes=len(book.levels),
                eps=eps,
                images=len(data.x_test),
                train_images=len(data.x_train),
                printed=printed,
                exact=exact.median,
                paper=paper.median,
                exponent=float(np.median(exact.exponents)),
            )
        )
        replace_file(Path(out) / f"{FIGURE5}-{name}.png", png(exact.plot()))
    record = ClassesRecord(FIGURE5, TITLE, tuple(rows), environment)
    record.save(Path(out) / f"{FIGURE5}.json")
    return record
