"""Tell how hard a data set is to defend by discretisation.

For each budget: how many code images are in reach of a test image, how many pixels of the training
images can change their codeword, how far the clusters lie apart, and how many pixels lie around
each colour. No network is needed.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from art_disc.cli.options import DATA, PART, given, share


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    share(parser, *DATA)
    share(parser, "--defence", help="see art-disc evaluate --help")
    share(parser, "--eps", *PART, "--seed", "--rule", "--domain")
    share(parser, "--out", help="folder for hardness.json and the plots")


def run(options: Namespace) -> None:
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
        plots=options.out,
        seed=options.seed,
        **given(options, "rule", "domain"),
    )
    print(as_text(record))
    if options.out:
        print(f"written: {record.save(Path(options.out) / 'hardness.json').parent}")
