"""From command-line options to a data set and a classifier."""

import copy
import importlib
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from art_disc.core.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from art_disc.data import Dataset
    from art_disc.defences import MapPreprocessor
    from art_disc.estimators import DefendedClassifier
    from art_disc.training import Adversary


_REFERENCE_IMAGES = 20_000


def load_data(options: Namespace) -> "Dataset":
    """Return the data set of `--dataset`, `--data-dir`, `--n-ex` and `--stratified`."""
    from art_disc.data import load_dataset

    data = load_dataset(options.dataset, data_dir=options.data_dir)
    n_ex = getattr(options, "n_ex", None)
    if n_ex is None:
        return data
    return data.subset(n_test=n_ex, stratified=options.stratified, seed=options.seed)


def default_defence(data: "Dataset") -> str:
    """Return the papers' choice for grey images, and a small colour codebook otherwise."""
    if data.input_shape[0] == 1:
        return "density:n_codes=2,radius=0.6"
    return "density:n_codes=10,radius=64/255,surrogate=soft:25.5"


def budgets(options: Namespace, data: "Dataset") -> list[float]:
    """Return `--eps`, or the usual budgets for such images."""
    if options.eps:
        return list(options.eps)
    if getattr(options, "norm", "inf") != "inf":
        msg = "--norm 2 needs --eps; the usual budgets are for l_inf"
        raise InputError(msg)
    return [0.1, 0.2, 0.3] if data.input_shape[0] == 1 else [2 / 255, 4 / 255, 8 / 255]


def make_defences(options: Namespace, data: "Dataset") -> "list[MapPreprocessor]":
    """Return the fitted defences of `--defence`, in order."""
    from art_disc.defences import parse_defences

    defences = parse_defences(options.defence or default_defence(data))
    for defence in defences:
        if not defence.is_fitted:
            if not len(data.x_train):
                msg = (
                    f"{data.name} has no training images to learn a codebook from; give a fixed one"
                )
                raise InputError(msg)
            defence.learn(data.x_train)
    return defences


def usable_device(options: Namespace) -> "torch.device":
    """Return the device of `--device`.

    Raises:
        InputError: It cannot be used.
    """
    import torch

    try:
        device = torch.device(options.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        msg = f"--device {options.device} cannot be used: {str(error).splitlines()[0]}"
        raise InputError(msg) from None
    return device


def make_network(
    options: Namespace, data: "Dataset", defences: "Sequence[MapPreprocessor]" = ()
) -> "tuple[nn.Module, str]":
    """Return the network and one line on how it was trained.

    Behind an encoder the built-in network takes the codes, and is trained on them.
    """
    from art_disc.estimators import encoded_shape
    from art_disc.networks import default_network, load_weights

    device = usable_device(options)
    adversary = make_adversary(options, data)
    shape = encoded_shape(defences, data.input_shape)
    if options.model is None and options.weights is None:
        through = defences if shape != data.input_shape else ()
        network, line = _trained(options, data, device, adversary, through)
    elif adversary is not None:
        msg = f"--training {options.training} is for the built-in network, without its --weights"
        raise InputError(msg)
    else:
        if options.model is None:
            network = default_network(shape, data.nb_classes)
        else:
            network = _own(options.model)
        line = "the user's own network"
        if options.weights is not None:
            load_weights(network, options.weights)
            line = f"weights from {Path(options.weights).name}"
    network.eval()
    return network.to(device), line


def make_adversary(options: Namespace, data: "Dataset") -> "Adversary | None":
    """Return the adversary of `--training` and `--train-eps`; None for natural training.

    Raises:
        InputError: A budget without an adversary, or one that does not fit.
    """
    from art_disc.training import Adversary

    if options.training == "natural":
        if options.train_eps is not None:
            msg = "--train-eps needs --training pgd or single_step"
            raise InputError(msg)
        return None
    if options.train_eps is None and getattr(options, "norm", "inf") != "inf":
        msg = "--norm 2 with --training needs --train-eps, an l_inf budget"
        raise InputError(msg)
    eps = min(budgets(options, data)) if options.train_eps is None else options.train_eps
    return Adversary(eps, options.training)


def _trained(
    options: Namespace,
    data: "Dataset",
    device: "torch.device",
    adversary: "Adversary | None",
    defences: "Sequence[MapPreprocessor]",
) -> "tuple[nn.Module, str]":
    from art_disc.estimators import encoded_shape
    from art_disc.networks import default_network
    from art_disc.training import trained, usual_epochs

    epochs = usual_epochs(data) if options.epochs is None else options.epochs
    if not len(data.x_train):
        msg = f"{data.name} has no training images; give --model and --weights"
        raise InputError(msg)
    shape = encoded_shape(defences, data.input_shape)
    network, result = trained(
        lambda: default_network(shape, data.nb_classes).to(device),
        data,
        seed=options.seed,
        adversary=adversary,
        defences=defences,
        verbose=not options.quiet,
        epochs=epochs,
    )
    kind = "natural" if adversary is None else adversary.describe()
    line = f"{kind}, {epochs} epochs, Adam, seed {options.seed}, weights {result.weights}"
    told = ", ".join(defence.describe() for defence in defences)
    return network, f"{line}, through {told}" if told else line


def make_reference(
    options: Namespace, data: "Dataset", classifier: "DefendedClassifier"
) -> "nn.Module | None":
    """Return the adversarially trained network of `--reference`, or None where there is none.

    Where one is needed and none is given, a copy of the built-in network is trained on against
    PGD-5 at the largest budget; beside a network of encoded images, a new one that takes images.

    Raises:
        InputError: The weights do not fit.
    """
    from art_disc.networks import default_network, load_weights
    from art_disc.training import Adversary, trained

    def fresh() -> "nn.Module":
        if classifier.has_base:
            return copy.deepcopy(classifier.base_network)
        return default_network(data.input_shape, data.nb_classes).to(classifier.device)

    if options.reference not in ("auto", "none"):
        hardened = fresh()
        load_weights(hardened, options.reference)
        return hardened.eval()
    needed = options.checks in ("standard", "full") and options.norm == "inf"
    own = options.model or options.weights
    if options.reference == "none" or not needed or own or not len(data.x_train):
        return None
    adversary = Adversary(max(budgets(options, data)), steps=5)
    many = len(data.x_train) > _REFERENCE_IMAGES
    return trained(
        fresh,
        data.subset(n_train=_REFERENCE_IMAGES) if many else data,
        seed=options.seed,
        adversary=adversary,
        verbose=not options.quiet,
        epochs=3 if many else 15,
    )[0]


def _own(text: str) -> "nn.Module":
    from torch import nn

    module_name, colon, factory_name = text.partition(":")
    if not colon:
        msg = f"--model must be MODULE:FACTORY, got {text!r}"
        raise InputError(msg)
    sys.path.insert(0, str(Path.cwd()))
    try:
        network = getattr(importlib.import_module(module_name), factory_name)()
    # the user's own code runs here, and may raise anything
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        msg = f"--model {text}: {told}; the module is looked for in the working folder too"
        raise InputError(msg) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not isinstance(network, nn.Module):
        msg = f"--model {text} must return a torch module, got {type(network).__name__}"
        raise InputError(msg)
    return network


def make_classifier(options: Namespace, data: "Dataset") -> "tuple[DefendedClassifier, str]":
    """Return the defended classifier and one line on how its network was trained."""
    from art_disc.estimators import build_classifier

    defences = make_defences(options, data)
    network, line = make_network(options, data, defences)
    if options.retrain is not None:
        network, line = _retrained(options, data, network, line, defences)
    return build_classifier(network, data=data, defences=defences), line


def _retrained(
    options: Namespace,
    data: "Dataset",
    network: "nn.Module",
    line: str,
    defences: "Sequence[MapPreprocessor]",
) -> "tuple[nn.Module, str]":
    """Train a network on behind its defences for `--retrain` epochs."""
    from art_disc.training import trained

    if not defences or not len(data.x_train):
        msg = "--retrain needs a defence to train behind, and training images"
        raise InputError(msg)
    again, result = trained(
        lambda: copy.deepcopy(network),
        data,
        seed=options.seed,
        adversary=make_adversary(options, data),
        defences=defences,
        verbose=not options.quiet,
        epochs=options.retrain,
        learning_rate=3e-4,
    )
    return (
        again,
        f"{line}; trained on behind the defence for {options.retrain} epochs, weights "
        + (result.weights),
    )
