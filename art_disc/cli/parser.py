"""The words that `art-disc` understands."""

import argparse
from fractions import Fraction
from typing import Any, TypeAlias

from art_disc import __version__
from art_disc.cli import commands
from art_disc.cli import compare as compare_command
from art_disc.cli import hardness as hardness_command
from art_disc.cli import reproduce as reproduce_command
from art_disc.cli import score as score_command
from art_disc.cli import sweep as sweep_command
from art_disc.cli import zoo as zoo_command


def number(text: str) -> float:
    """Return `0.1` or `8/255` as a float."""
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        msg = f"expected a number such as 0.1 or 8/255, got {text!r}"
        raise argparse.ArgumentTypeError(msg) from None


class Once(argparse.Action):
    """Refuse an option that is given twice: the last one would win without a word."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        """Keep the value, or end with an error."""
        given = vars(namespace).setdefault("given_once", set())
        if self.dest in given:
            cure = "; a chain of defences is one word, 'A + B'" if option == "--defence" else ""
            parser.error(f"{option} is given twice{cure}")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser in which every option that keeps one value may be given once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("action", None, Once)
        self.register("action", "store", Once)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `art-disc` with all its commands."""
    parser: argparse.ArgumentParser = Parser(
        prog="art-disc",
        description="Discretise images as a defence, attack it with ART, certify it, report.",
    )
    parser.add_argument("--version", action="version", version=f"art-disc {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _evaluate(subparsers)
    _certify(subparsers)
    _codebook(subparsers)
    _report(subparsers)
    sweep_command.add(subparsers)
    compare_command.add(subparsers)
    reproduce_command.add(subparsers)
    zoo_command.add(subparsers)
    hardness_command.add(subparsers)
    score_command.add(subparsers)
    return parser


Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _evaluate(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="attack a defended classifier and write a report",
        description="Clean accuracy, ART's attacks on the base and through the defence, a "
        "certificate, and a report. Without --model a network is trained once and cached.",
    )
    _common(parser)
    _model(parser)
    _attacks(parser)
    _checks(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted run in --out"
    )
    parser.add_argument(
        "--export",
        choices=("npz", "png"),
        help="write every adversarial set, exact and rounded to 8 bits; png: as pictures too",
    )
    parser.add_argument("--batch-size", type=int, default=100, help="images an attack gets at once")
    parser.set_defaults(run=commands.evaluate)


def _attacks(parser: argparse.ArgumentParser) -> None:
    """Add what is attacked with."""
    parser.add_argument(
        "--attacks",
        default="standard",
        help="quick, standard, strong, thermometer, or names joined by commas (art-disc zoo "
        "--list tells them); default standard",
    )
    parser.add_argument("--norm", default="inf", choices=("inf", "2"), help="default inf")
    parser.add_argument("--targeted", action="store_true", help="aim at the likeliest wrong class")
    parser.add_argument(
        "--surrogates",
        default="soft,identity",
        help="backward passes to attack through, joined by commas: soft, soft:ALPHA, smooth and "
        "identity for codewords, ramp too for thermometer codes, mix, mix:ALPHA for randdisc and "
        "randmix, dct, dct:ALPHA, dct-identity for jpeg, unrolled for total variation; default "
        "soft,identity, each where a defence takes it",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="ATTACK.KEY=VALUE",
        help="change an attack's setting, for example pgd.max_iter=100; repeatable",
    )
    parser.add_argument(
        "--draws", type=int, default=20, help="fresh draws that a randomised defence is scored on"
    )


def _checks(parser: argparse.ArgumentParser) -> None:
    """Add what the evaluation is checked by, and certified."""
    parser.add_argument(
        "--checks",
        default="quick",
        choices=("quick", "standard", "full", "none"),
        help="how thoroughly the evaluation itself is checked; default quick",
    )
    parser.add_argument(
        "--reference",
        default="auto",
        metavar="auto|none|FILE",
        help="adversarially trained network to transfer from and to compare with: trained once "
        "and cached where the checks need it (auto, default), or weights of the same architecture",
    )
    parser.add_argument(
        "--certify",
        action="store_true",
        help="also certify by enumeration at every budget, and check that no attack contradicts it",
    )
    parser.add_argument("--max-free", type=int, default=12, help="see art-disc certify")


def _certify(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "certify",
        help="certify a discretised classifier by enumeration, or one that draws by divergences",
        description="For each image every code image that an l_inf perturbation can reach is "
        "classified; certified, falsified and undecided are printed for every budget. A defence "
        "that draws is certified by its votes and the divergence of its law instead, by three "
        "bounds, each verdict with the confidence asked for.",
    )
    _common(parser)
    _model(parser)
    parser.add_argument(
        "--max-free",
        type=int,
        help="enumerate an image if it has at most 2^MAX_FREE reachable code images; default 12",
    )
    parser.add_argument(
        "--rule", choices=("exact", "paper"), help="reachable codewords; default exact"
    )
    parser.add_argument(
        "--domain",
        choices=("real", "8bit"),
        help="perturbed images are real-valued (default) or on the 8-bit grid",
    )
    parser.add_argument(
        "--draws", type=int, help="votes an image of a defence that draws; default 1000"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        help="with which a verdict of a defence that draws holds; default 0.999",
    )
    parser.set_defaults(run=commands.certify)


def _codebook(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("codebook", help="learn a codebook, print it, save it")
    _data(parser)
    parser.add_argument("--defence", metavar="SPEC", help="see art-disc evaluate --help")
    parser.add_argument("--out", metavar="FILE", help="save the codebook as npz")
    parser.set_defaults(run=commands.codebook)


def _report(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "report",
        help="render the report of a run again",
        description="Evaluations, certificates, certified curves and sweeps have a page; a record "
        "of another kind is refused by name.",
    )
    parser.add_argument("folder", help="a folder with record.json")
    parser.set_defaults(run=commands.report)


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|PATH",
        help="digits (default, embedded), mnist, fashion_mnist, cifar10, gtsrb, an npz file, or a "
        "folder of class folders with images",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where NAME.npz is looked for first")


def _common(parser: argparse.ArgumentParser) -> None:
    _data(parser)
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
    parser.add_argument(
        "--eps",
        nargs="+",
        type=number,
        metavar="EPS",
        help="budgets in [0, 1], 8/255 accepted; default 0.1 0.2 0.3 for grey images, 2/255 4/255 "
        "8/255 for colour",
    )
    parser.add_argument("--n-ex", type=int, metavar="N", help="use N test images; default all")
    parser.add_argument(
        "--stratified", action="store_true", help="draw the N by class share, not the first N"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="DIR", help="folder for record and report")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, results only")


def _model(parser: argparse.ArgumentParser) -> None:
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
