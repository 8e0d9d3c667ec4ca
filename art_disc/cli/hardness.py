"""`art-disc hardness`: how hard a data set is to defend by a codebook, before any training."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers, add_data, add_eps, add_part
from art_disc.core.errors import InputError

if TYPE_CHECKING:
    from art_disc.codebooks import Codebook, PixelCounts
    from art_disc.core.records.hardness import HardnessRow
    from art_disc.data import Dataset


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser(
        "hardness",
        help="tell how hard a data set is to defend by discretisation",
        description="For each budget: how many code images are in reach of a test image, how many "
        "pixels of the training images can change their codeword, how far the clusters lie apart, "
        "and how many pixels lie around each colour. No network is needed.",
    )
    add_data(parser)
    parser.add_argument("--defence", metavar="SPEC", help="see art-disc evaluate --help")
    add_eps(parser)
    add_part(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--rule", default="exact", choices=("exact", "paper"), help="reachable codewords"
    )
    parser.add_argument(
        "--domain",
        default="real",
        choices=("real", "8bit"),
        help="perturbed pixels are real-valued (default) or on the 8-bit grid",
    )
    parser.add_argument("--out", metavar="DIR", help="folder for hardness.json and the plots")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the numbers of every budget; write them and the plots."""
    from art_disc.cli.setup import budgets, load_data
    from art_disc.codebooks import PixelCounts
    from art_disc.core.records import Environment
    from art_disc.core.records.hardness import HardnessRecord
    from art_disc.report import as_text
    from art_disc.training.words import fitted_defences, usual_defence

    data = load_data(options)
    made = fitted_defences(options.defence, data)
    codebook = made[0].codebook if len(made) == 1 else None
    if codebook is None:
        msg = f"--defence {options.defence} is not one codebook; see art-disc evaluate --help"
        raise InputError(msg)
    folder = Path(options.out) if options.out else None
    counts = PixelCounts.of(data.x_train if len(data.x_train) else data.x_test)
    record = HardnessRecord(
        dataset={"name": data.name, "fingerprint": data.fingerprint},
        defence=options.defence or usual_defence(data),
        codewords_255=tuple(map(tuple, codebook.levels)),
        budgets=tuple(
            _measure((data, counts), codebook, eps, options, folder)
            for eps in budgets(options, data)
        ),
        environment=Environment.here(),
    )
    print(as_text(record))
    if folder is not None:
        print(f"written: {record.save(folder / 'hardness.json').parent}")
    return DONE


def _measure(
    pixels: "tuple[Dataset, PixelCounts]",
    codebook: "Codebook",
    eps: float,
    options: Namespace,
    folder: Path | None,
) -> "HardnessRow":
    from art_disc.core.files import replace_file
    from art_disc.core.records.hardness import (
        ClassesFacts,
        HardnessRow,
        NeighbourhoodFacts,
        SeparabilityFacts,
    )
    from art_disc.metrics import equivalence_classes, neighbourhood_sizes, separability
    from art_disc.report.hardness import png

    data, counts = pixels
    classes = equivalence_classes(
        data.x_test, codebook, eps=eps, rule=options.rule, domain=options.domain
    )
    apart = separability(counts, codebook, eps=eps, domain=options.domain)
    around = neighbourhood_sizes(counts, eps=eps)
    if folder is not None:
        plots = {"classes": classes.plot(), "pixels": apart.plot(), "neighbours": around.plot()}
        if counts.n_channels == 3:
            plots["colours"] = around.scatter(seed=options.seed)
        for name, axes in plots.items():
            replace_file(folder / f"{name}-eps-{eps:.4g}.png", png(axes))
    return HardnessRow(
        eps=eps,
        equivalence_classes=ClassesFacts(**classes.facts()),
        separability=SeparabilityFacts(**apart.facts()),
        neighbourhoods=NeighbourhoodFacts(**around.facts()),
    )
