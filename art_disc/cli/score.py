"""Score supplied adversarial images on one defence or several.

Accuracy of each defence on each set of images, with mean and worst. Images are matched to the test
images by index; one that is farther than --eps from its clean image is not adversarial, is named,
and counts as the clean one does.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from art_disc.cli.options import DATA, MODEL, PART, number, share


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--images",
        nargs="+",
        required=True,
        metavar="FOLDER|NPZ",
        help="an npz file with x and perhaps indices, a folder of pictures named by test index, or "
        "a folder of such sets, for example what evaluate --export wrote",
    )
    parser.add_argument(
        "--eps",
        type=number,
        required=True,
        metavar="EPS",
        help="l_inf budget in [0, 1], 8/255 accepted",
    )
    share(parser, *PART, *DATA)
    parser.add_argument(
        "--defence",
        action="append",
        metavar="SPEC",
        help="as for evaluate; repeatable, one column each; default: the usual one",
    )
    share(parser, "--draws", "--seed")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="count an adversarial image as right although its clean one is wrong",
    )
    share(parser, *MODEL, "--quiet")
    share(parser, "--out", help="folder for score.json and score.png")


def run(options: Namespace) -> None:
    """Print the table, name what is out of budget, and write the record and its plot."""
    from art_disc.cli.setup import load_data, make_classifier, once_each
    from art_disc.core.errors import MissingExtraError
    from art_disc.core.files import replace_file
    from art_disc.evaluation import score_images
    from art_disc.report.hardness import png
    from art_disc.report.kinds.supplied import supplied_notices, supplied_table
    from art_disc.report.randomness import supplied_plot
    from art_disc.training.words import usual_defence

    data = load_data(options)
    made = {
        text: make_classifier(options, data, text)
        for text in once_each(options.defence or [usual_defence(data)])
    }
    *_, (_, line) = made.values()
    record = score_images(
        {text: classifier for text, (classifier, _) in made.items()},
        options.images,
        data.x_test,
        data.y_test,
        eps=options.eps,
        ids=data.test_ids,
        draws=options.draws,
        seed=options.seed,
        settings={"dataset": data.name, "fingerprint": data.fingerprint, "training": line},
    )
    print(f"{data.name}  l_inf eps {options.eps:.4g}  network: {line}")
    print(supplied_table(record, plain=options.plain).text())
    for notice in supplied_notices(record):
        print(notice.text())
    if options.out:
        folder = Path(options.out)
        print(f"record: {record.save(folder / 'score.json')}")
        try:
            print(f"plot: {replace_file(folder / 'score.png', png(supplied_plot(record)))}")
        except MissingExtraError as error:
            print(f"no plot: {error}")
