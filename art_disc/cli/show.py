"""Draw one image: behind the defence, its free pixels, and what an attack changes.

IMAGE is DATASET:INDEX, a test image, or a PNG or npy file; beside a file, --dataset is what a
codebook is learned from. Without a network the picture shows the image, what the defence makes of
it and, where a codebook comes first, which pixels a change within --eps can give another codeword.
With --network, --model or --weights an attack is run too.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from art_disc.cli.options import MODEL, given, number, refuse, share


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("image", metavar="IMAGE", help="digits:3, mnist:7, picture.png, image.npy")
    share(parser, "--dataset", default=None, help="beside a file: what is learned from")
    share(parser, "--data-dir", "--defence")
    parser.add_argument(
        "--eps", type=number, required=True, help="l_inf budget in [0, 1], 8/255 accepted"
    )
    parser.add_argument(
        "--attack",
        metavar="NAME",
        help="art-disc zoo --list tells them; default code_space where a codebook comes first, "
        "else pgd",
    )
    share(parser, *(flag for flag in MODEL if flag != "--network"))
    share(parser, "--network", default=None)
    share(parser, "--seed", "--quiet")
    share(parser, "--out", metavar="FILE", help="the PNG; default show.png")


def run(options: Namespace) -> None:
    """Draw the panels, and say what they show."""
    from art_disc.data.one_image import load_image
    from art_disc.evaluation.one_image import image_panels
    from art_disc.report import check_extra

    check_extra()
    image = load_image(options.image, **given(options, "dataset", "data_dir"))
    shown = image_panels(
        image,
        _subject(options, image),
        eps=options.eps,
        attack=options.attack,
        seed=options.seed,
        verbose=not options.quiet,
    )
    out = Path(options.out or "show.png")
    for words, _ in shown.panels():
        print(words.replace("\n", " "))
    print(f"picture: {shown.save(out if out.suffix == '.png' else f'{out}.png')}")


def _subject(options: Namespace, image: Any) -> Any:
    """Return the defences, or the classifier where a network is named."""
    from art_disc.cli.setup import make_classifier
    from art_disc.data.one_image import alone
    from art_disc.training.words import fitted_defences

    # without a data set there is nothing to learn from, which what needs it says
    data = image.data or alone(image, 1, 0)
    if not (options.network or options.model or options.weights):
        whose = tuple(flag[2:].replace("-", "_") for flag in MODEL if flag != "--device")
        options.training = None if options.training == "natural" else options.training
        refuse(options, ("attack", *whose), "is of a network, which --network default would bring")
        return fitted_defences(options.defence, data)
    options.network = options.network or "default"
    classifier, line = make_classifier(options, data)
    print(f"network: {line}")
    return classifier
