"""`art-disc hardness`: how hard a data set is to defend by a codebook, before any training."""

from argparse import Namespace
from pathlib import Path

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers, add_data, add_eps, add_part


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
    from art_disc.cli.setup import budgets, load_data, one_codebook
    from art_disc.hardness.survey import survey
    from art_disc.report import as_text
    from art_disc.training.words import fitted_defences, usual_defence

    data = load_data(options)
    text = options.defence or usual_defence(data)
    record = survey(
        data,
        one_codebook(fitted_defences(text, data), text),
        eps=budgets(options, data),
        defence=text,
        rule=options.rule,
        domain=options.domain,
        plots=options.out,
        seed=options.seed,
    )
    print(as_text(record))
    if options.out:
        print(f"written: {record.save(Path(options.out) / 'hardness.json').parent}")
    return DONE
