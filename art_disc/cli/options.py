"""The options that several commands share, and how they are read."""

import argparse
import re
import sys
from argparse import ArgumentParser, Namespace, _ActionsContainer
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from art_disc.core.errors import ArtDiscError, InputError
from art_disc.core.words import known_words, parse_number


def number(text: str) -> float:
    """Return `0.1` or `8/255` as a float."""
    try:
        return float(parse_number(text, float, "a budget"))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def names(text: str) -> list[str]:
    """Return words that are joined by commas."""
    return text.split(",")


class Once(argparse.Action):
    """Refuse an option that is given twice: the last one would win without a word."""

    def __call__(
        self, parser: ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        """Keep the value, or end with an error."""
        given_once = vars(namespace).setdefault("given_once", set())
        if self.dest in given_once:
            cure = "; a chain of defences is one word, 'A + B'" if option == "--defence" else ""
            parser.error(f"{option} is given twice{cure}")
        given_once.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(ArgumentParser):
    """A parser in which every option that keeps one value may be given once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("action", None, Once)
        self.register("action", "store", Once)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `ArgumentParser`; keep which command was typed."""
        self._typed = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with a usage error, and name the option that an unknown one nearly is."""
        word = message.partition("unrecognized arguments: ")[2].partition(" ")[0]
        if word.startswith("--"):
            message += f"; {known_words(word, self.typed_options())}"
        super().error(message)

    def typed_options(self) -> list[str]:
        """Return the options that the typed words may hold: the parser's, and its command's."""
        own = set(self._option_string_actions)
        for action in self._actions:
            commands = action.choices if isinstance(action.choices, dict) else {}
            typed = next((word for word in self._typed if word in commands), None)
            own.update(commands[typed]._option_string_actions if typed else ())
        return sorted(option for option in own if option.startswith("--"))


DATA = ("--dataset", "--data-dir")
PART = ("--n-ex", "--stratified")
RUN = (*DATA, "--defence", "--eps", *PART, "--seed", "--out", "--quiet")
MODEL = (
    "--network",
    "--model",
    "--weights",
    "--epochs",
    "--retrain",
    "--training",
    "--train-eps",
    "--device",
)

# of certificates; their own table would load torch
METHODS = ("enumeration", "bounds", "complete", "solver")
SPEND = ("--nodes", "--seconds", "--megabytes")
METHOD = ("--method", "--max-free", *SPEND, "--jobs")
# what is spent, and the options that a method has
COST = ("nodes", "seconds", "megabytes")
ONLY = {"enumeration": ("max_free",), "complete": COST, "solver": ("seconds",)}

SHARED: dict[str, dict[str, Any]] = {
    "--dataset": {
        "default": "digits",
        "metavar": "NAME|PATH",
        "help": "digits (default, embedded), mnist, fashion_mnist, cifar10, gtsrb, an npz file, or "
        "a folder of class folders with images",
    },
    "--data-dir": {"metavar": "DIR", "help": "where NAME.npz is looked for first"},
    "--defence": {
        "metavar": "SPEC",
        "help": "density:n_codes=2,radius=0.6 | colordepth:n_codes=8 | bitdepth:bits=2 | "
        "noise:sigma=0.1 | randdisc:preset=mnist | jpeg:quality=75 | a codebook file (.npz) | "
        "none; also kmedoids, kmeans, margin:n_codes=2,eps=0.1, thermometer, randmix, maxpool, "
        "bilinear, tv, resizepad, lqvae:file=NAME.npz; "
        "surrogate=soft or identity may be added to a codebook; 'A + B' applies several in order; "
        "default: density, two codewords for grey images and ten for colour",
    },
    "--eps": {
        "nargs": "+",
        "type": number,
        "metavar": "EPS",
        "help": "budgets in [0, 1], 8/255 accepted; default 0.1 0.2 0.3 for grey images, 2/255 "
        "4/255 8/255 for colour",
    },
    "--n-ex": {"type": int, "metavar": "N", "help": "use N test images; default all"},
    "--stratified": {"action": "store_true", "help": "draw the N by class share, not the first N"},
    "--seed": {"type": int, "default": 0},
    "--out": {"metavar": "DIR", "help": "folder for record and report"},
    "--quiet": {"action": "store_true", "help": "no progress bar, results only"},
    "--network": {
        "metavar": "NAME",
        "default": "default",
        "help": "built-in network: default (by the size of the images), or a binarised one, fcn1, "
        "fcn2, binarynet_cifar, resnet20, alexnet or verifiable_bnn, in another way fcn2:xnor, "
        "fcn2:real; or certified, certified:small, for interval bounds",
    },
    "--model": {
        "metavar": "MODULE:FACTORY",
        "help": "your own network: FACTORY() in MODULE returns a torch module that gives logits",
    },
    "--weights": {
        "metavar": "FILE",
        "help": "its weights: npz, or a torch state dict (.pt, .pth)",
    },
    "--epochs": {"type": int, "help": "epochs where a network is trained"},
    "--retrain": {
        "type": int,
        "metavar": "EPOCHS",
        "help": "train the network on behind the defence, against the adversary of --training",
    },
    "--training": {
        "default": "natural",
        "choices": ("natural", "pgd", "single_step"),
        "help": "how a network is trained: on clean images (default), or against PGD-10 or one "
        "step",
    },
    "--train-eps": {
        "type": number,
        "metavar": "EPS",
        "help": "l_inf budget of --training pgd and single_step; default the smallest of --eps",
    },
    "--device": {"default": "cpu", "help": "cpu (default), cuda, cuda:0, ..."},
    "--set": {
        "action": "append",
        "default": [],
        "metavar": "ATTACK.KEY=VALUE",
        "help": "change an attack's setting, for example pgd.max_iter=100; repeatable",
    },
    "--draws": {
        "type": int,
        "default": 20,
        "help": "fresh draws that a randomised defence is scored on",
    },
    "--method": {
        "choices": METHODS,
        "help": "classify all code images (enumeration, default), bound the network on them "
        "(bounds), or bound, attack and search (complete), or solve (solver: networks whose hidden "
        "layers are binarised, decided in whole numbers; the extra verify)",
    },
    "--max-free": {
        "type": int,
        "help": "enumerate an image if it has at most 2^MAX_FREE reachable code images; default 12",
    },
    "--nodes": {
        "type": int,
        "help": "most that the method complete spends on an image: boxes of code images bounded, "
        "default 10000; of a defence that draws, with colours that form no grid: different colours "
        "that are bounded, all where neither this nor --seconds is given",
    },
    "--seconds": {
        "type": float,
        "help": "time of its search, of solver, or of those bounds; default 20",
    },
    "--megabytes": {"type": float, "help": "memory; default 500"},
    "--jobs": {
        "type": int,
        "metavar": "N",
        "help": "processes that images are certified in; -1: one a core; default 1",
    },
    "--rule": {"choices": ("exact", "paper"), "help": "reachable codewords; default exact"},
    "--domain": {
        "choices": ("real", "8bit"),
        "help": "perturbed images are real-valued (default) or on the 8-bit grid",
    },
}


def share(parser: _ActionsContainer, *flags: str, **changes: Any) -> None:
    """Add options of `SHARED`, with `changes` to each."""
    for flag in flags:
        parser.add_argument(flag, **SHARED[flag] | changes)


def given(options: Namespace, *dests: str) -> dict[str, Any]:
    """Return those of the options that the command has and that were given a value."""
    return {dest: vars(options)[dest] for dest in dests if vars(options).get(dest) is not None}


def refuse(options: Namespace, dests: tuple[str, ...], why: str) -> None:
    """Refuse options that say nothing about what is run, and say why: none is ignored silently."""
    for dest in dests:
        if getattr(options, dest) not in ((), [], None):
            msg = f"--{dest.replace('_', '-')} {why}; leave it out"
            raise InputError(msg)


def spend_of(options: Namespace) -> Any:
    """Return what a search may spend; None where no option says it."""
    from art_disc.metrics import Spend

    words = given(options, *COST)
    return Spend(**words) if words else None


def method_words(options: Namespace) -> dict[str, Any]:
    """Return by what method `certify` is to decide, and at what cost; refuse what is of another."""
    method = options.method or "enumeration"
    for owner, dests in ONLY.items():
        others = tuple(dest for dest in dests if dest not in ONLY.get(method, ()))
        refuse(options, others, f"is of --method {owner}, not of {method}")
    words = given(options, "method", *ONLY["enumeration"])
    jobs = 1 if options.jobs is None else options.jobs
    return {"spend": spend_of(options), "n_jobs": jobs, **words}


@contextmanager
def as_typed(options: Iterable[str]) -> Iterator[None]:
    """Name options in the messages of errors as they are typed: `--n-ex`, where Python has `n_ex`.

    Words without an underscore are those of any sentence, and stay.
    """
    typed = {option[2:].replace("-", "_"): option for option in options if "-" in option[2:]}
    try:
        yield
    except ArtDiscError as error:
        # neither part of another word nor of a path
        words = re.sub(
            r"(?<![\w./-])\w+(?![\w./])", lambda found: typed.get(found[0], found[0]), str(error)
        )
        raise type(error)(words) from error


def say(options: Namespace, text: str) -> None:
    """Print a line on the way, unless `--quiet`."""
    if not options.quiet:
        print(text, file=sys.stderr)


def settings_of(options: Namespace) -> dict[str, str]:
    """Return what `--set ATTACK.KEY=VALUE` says; refuse other words."""
    settings = {}
    for item in options.set:
        key, equals, value = item.partition("=")
        if not equals:
            msg = f"--set takes ATTACK.KEY=VALUE, got {item!r}"
            raise InputError(msg)
        settings[key] = value
    return settings
