"""The options that several commands share, and how they are read."""

import argparse
import sys
from argparse import ArgumentParser, Namespace
from typing import Any, TypeAlias

from art_disc.core.errors import InputError
from art_disc.core.words import parse_number

Subparsers: TypeAlias = "argparse._SubParsersAction[ArgumentParser]"


def number(text: str) -> float:
    """Return `0.1` or `8/255` as a float."""
    try:
        return float(parse_number(text, float, "a budget"))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class Once(argparse.Action):
    """Refuse an option that is given twice: the last one would win without a word."""

    def __call__(
        self, parser: ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        """Keep the value, or end with an error."""
        given = vars(namespace).setdefault("given_once", set())
        if self.dest in given:
            cure = "; a chain of defences is one word, 'A + B'" if option == "--defence" else ""
            parser.error(f"{option} is given twice{cure}")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(ArgumentParser):
    """A parser in which every option that keeps one value may be given once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("action", None, Once)
        self.register("action", "store", Once)


def add_data(parser: ArgumentParser) -> None:
    """Add `--dataset` and `--data-dir`."""
    parser.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|PATH",
        help="digits (default, embedded), mnist, fashion_mnist, cifar10, gtsrb, an npz file, or a "
        "folder of class folders with images",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where NAME.npz is looked for first")


def add_part(parser: ArgumentParser) -> None:
    """Add `--n-ex` and `--stratified`."""
    parser.add_argument("--n-ex", type=int, metavar="N", help="use N test images; default all")
    parser.add_argument(
        "--stratified", action="store_true", help="draw the N by class share, not the first N"
    )


def add_eps(parser: ArgumentParser) -> None:
    """Add a list of budgets."""
    parser.add_argument(
        "--eps",
        nargs="+",
        type=number,
        metavar="EPS",
        help="budgets in [0, 1], 8/255 accepted; default 0.1 0.2 0.3 for grey images, 2/255 4/255 "
        "8/255 for colour",
    )


def add_run(parser: ArgumentParser) -> None:
    """Add what is run, how much of it, and where it is written."""
    add_data(parser)
    parser.add_argument(
        "--defence",
        metavar="SPEC",
        help="density:n_codes=2,radius=0.6 | colordepth:n_codes=8 | bitdepth:bits=2 | "
        "noise:sigma=0.1 | randdisc:preset=mnist | jpeg:quality=75 | a codebook file (.npz) | "
        "none; also kmedoids, kmeans, thermometer, randmix, maxpool, bilinear, tv, resizepad; "
        "surrogate=soft or identity may be added to a codebook; 'A + B' applies several in order; "
        "default: density, two codewords "
        "for grey images and ten for colour",
    )
    add_eps(parser)
    add_part(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="DIR", help="folder for record and report")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, results only")


def add_model(parser: ArgumentParser) -> None:
    """Add what makes a network."""
    parser.add_argument(
        "--model",
        metavar="MODULE:FACTORY",
        help="your own network: FACTORY() in MODULE returns a torch module that gives logits",
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="its weights: npz, or a torch state dict (.pt, .pth)"
    )
    parser.add_argument("--epochs", type=int, help="epochs where a network is trained")
    parser.add_argument(
        "--retrain",
        type=int,
        metavar="EPOCHS",
        help="train the network on behind the defence, against the adversary of --training",
    )
    parser.add_argument(
        "--training",
        default="natural",
        choices=("natural", "pgd", "single_step"),
        help="how a network is trained: on clean images (default), or against PGD-10 or one step",
    )
    parser.add_argument(
        "--train-eps",
        type=number,
        metavar="EPS",
        help="l_inf budget of --training pgd and single_step; default the smallest of --eps",
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:0, ...")


def say(options: Namespace, text: str) -> None:
    """Print a line on the way, unless `--quiet`."""
    if not options.quiet:
        print(text, file=sys.stderr)


def settings_of(options: Namespace) -> dict[str, str]:
    """Return what `--set ATTACK.KEY=VALUE` says.

    Raises:
        InputError: Not such words.
    """
    settings = {}
    for item in options.set:
        key, equals, value = item.partition("=")
        if not equals:
            msg = f"--set takes ATTACK.KEY=VALUE, got {item!r}"
            raise InputError(msg)
        settings[key] = value
    return settings
