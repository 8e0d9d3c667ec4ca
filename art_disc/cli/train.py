"""Train a network, naturally, against an adversary or for a certificate, and save its weights.

--objective certified trains a small convolutional network by interval bounds of what a budget lets
the codes behind --defence be (presets for eps 0.1, 0.2 and 0.3); training images that are held out
are looked at after each epoch. A training that is stopped goes on at the next call, after its last
whole epoch. The other commands take the file by --weights, with the same --network.
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from art_disc.cli.options import DATA, given, number, refuse, share
from art_disc.core.errors import InputError

_HELD_OUT = 5000


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    share(parser, *DATA, "--defence", "--network", "--epochs", "--retrain", "--device", "--seed")
    share(parser, "--quiet")
    parser.add_argument(
        "--objective",
        choices=("natural", "pgd", "single_step", "certified"),
        default="natural",
        help="clean images (default), PGD-10, one step, or interval bounds on the code box",
    )
    parser.add_argument(
        "--eps",
        type=number,
        metavar="EPS",
        help="l_inf budget of the adversary, or that is to be certified",
    )
    parser.add_argument(
        "--held-out",
        type=int,
        metavar="N",
        help=f"training images that --objective certified holds out and looks at; default "
        f"{_HELD_OUT}, a tenth of a smaller data set",
    )
    parser.add_argument(
        "--out", metavar="FILE", required=True, help="weights, an npz file without pickle"
    )


def run(options: Namespace) -> None:
    """Train, save the weights, and print how good the network is on all test images."""
    from art_disc.cli.setup import load_data
    from art_disc.estimators import build_classifier
    from art_disc.networks import save_weights

    out = Path(options.out)
    if out.suffix != ".npz":
        msg = f"--out must be the name of an npz file, got {options.out}; give NAME.npz"
        raise InputError(msg)
    options.n_ex, options.stratified = None, False
    data = load_data(options)
    make = _certified if options.objective == "certified" else _trained
    network, defences, line, word = make(options, data)
    classifier = build_classifier(network, data=data, defences=defences)
    right = classifier.predict(data.x_test).argmax(axis=1) == data.y_test
    out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(network, out, header={"line": line, "network": word})
    print(f"{line}\nclean accuracy: {right.mean():.2%} of {len(right)} test images")
    named = "" if word == "default" else f"--network {word} "
    print(f"weights: {out}; use them by {named}--weights {out}")


def _trained(options: Namespace, data: Any) -> tuple[Any, Any, str, str]:
    """Train naturally or against an adversary."""
    from art_disc.cli.setup import make_classifier

    refuse(options, ("held_out",), "is of --objective certified")
    natural = options.objective == "natural"
    if natural and options.eps is not None:
        msg = "--eps is of --objective pgd, single_step and certified; leave it out"
        raise InputError(msg)
    if not natural and options.eps is None:
        msg = f"--objective {options.objective} needs --eps, the budget of its adversary"
        raise InputError(msg)
    options.training, options.train_eps = options.objective, options.eps
    options.model = options.weights = None
    classifier, line = make_classifier(options, data)
    return classifier.base_network, classifier.defences, line, options.network


def _certified(options: Namespace, data: Any) -> tuple[Any, Any, str, str]:
    """Train by interval bounds behind the codebook map."""
    from dataclasses import replace

    from art_disc.networks import named
    from art_disc.training import certified_preset, watched, words

    refuse(options, ("retrain",), "is of the other objectives")
    if options.eps is None:
        msg = "--objective certified needs --eps, the budget that is to be certified"
        raise InputError(msg)
    preset = certified_preset(options.eps)
    word = f"{named.CERTIFIED}:{preset.network['size']}"
    word = word if options.network == "default" else options.network
    size = named.certified_size(word)
    preset = replace(preset, network={**preset.network, "size": size})
    device = words.usable_device(options.device)
    count = options.held_out
    if count is None:
        count = min(_HELD_OUT, max(1, len(data.y_train) // 10))
    inner = data.held_out(count)
    # of all training images, as the commands that take the weights fit it
    defences = words.fitted_defences(options.defence, data)
    if len(defences) != 1:
        msg = f"--objective certified needs one codebook as --defence, got {len(defences)} defences"
        raise InputError(msg)
    network, result = preset.trained(
        inner,
        defences[0],
        device=device,
        seed=options.seed,
        verbose=not options.quiet,
        on_epoch=watched(inner, options.eps, _teller(options)),
        **given(options, "epochs"),
    )
    settings = {**preset.settings, **given(options, "epochs")}
    line = (
        f"{preset.objective.describe()}, {settings['epochs']} epochs, seed {options.seed}, weights "
        f"{result.weights}, {count} training images held out"
    )
    return network, defences, line, word


def _teller(options: Namespace) -> Any:
    """Return what prints a look at held-out images, above the progress bar."""
    from tqdm import tqdm

    def tell(epoch: int, clean: float, ibp: float) -> None:
        if not options.quiet:
            words = f"epoch {epoch}: {clean:.1%} clean, {ibp:.1%} by interval bounds at eps"
            tqdm.write(f"{words} {options.eps:g}, held out", file=sys.stderr)

    return tell
