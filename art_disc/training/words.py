"""From words to data, defences, a network and a classifier: once, for commands and plans."""

import copy
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from art_disc.core.errors import InputError, InputWarning
from art_disc.core.words import naming
from art_disc.data import Dataset, load_dataset
from art_disc.defences import MapPreprocessor, parse_defences
from art_disc.estimators import DefendedClassifier, build_classifier, encoded_shape
from art_disc.networks import default_network, load_weights, named_network
from art_disc.training.adversary import Adversary
from art_disc.training.cache import trained
from art_disc.training.facts import fit_defences
from art_disc.training.objectives import objective_of

_MANY, _REFERENCE_IMAGES = 10_000, 20_000


@dataclass(frozen=True, slots=True)
class NetworkWords:
    """Which network, and how it comes about.

    Without `model` and `weights` it is a built-in one for such images, trained once and cached.

    Attributes:
        model: `MODULE:FACTORY` of the user's own; None: the built-in one of the name `network`.
        network: A word of `networks.named_network`: `default`, `fcn2`, `resnet20:xnor`, ...
        weights: Their file; None: the built-in network is trained, another one is as it is made.
        adversary: Of training and retraining; None: natural ones.
        epochs: Of the training; None: `usual_epochs`.
        learning_rate: Of the training.
        seed: Of training and retraining.
        retrain: Epochs that the network is trained on behind its defences; None: it is not.
        name: What the training is called; empty: what the adversary says of itself.
        device: `cpu`, `cuda`, `cuda:0`, ...
        verbose: Show progress bars while training.
    """

    model: str | None = None
    network: str = "default"
    weights: str | Path | None = None
    adversary: Adversary | None = None
    epochs: int | None = None
    learning_rate: float = 1e-3
    seed: int = 0
    retrain: int | None = None
    name: str = ""
    device: str = "cpu"
    verbose: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """What training and retraining have in common, for `trained`."""
        return {"seed": self.seed, "adversary": self.adversary, "verbose": self.verbose}


def load_part(
    name: str,
    data_dir: str | Path | None = None,
    n_ex: int | None = None,
    *,
    stratified: bool = False,
    seed: int = 0,
) -> Dataset:
    """Return the data set with `n_ex` of its test images; None: all, as for `load_dataset`."""
    return load_dataset(name, data_dir=data_dir).part(n_ex, stratified=stratified, seed=seed)


def usual_defence(data: Dataset) -> str:
    """Return the papers' choice for grey images, and a small colour codebook otherwise."""
    return usual_codebook(data.input_shape[0])


def usual_codebook(n_channels: int) -> str:
    """Return the codebook of `usual_defence` for pixels of so many channels."""
    if n_channels == 1:
        return "density:n_codes=2,radius=0.6"
    return "density:n_codes=10,radius=64/255,surrogate=soft:25.5"


def usual_budgets(data: Dataset) -> list[float]:
    """Return the l_inf budgets that such images are usually attacked with, in [0, 1]."""
    return [0.1, 0.2, 0.3] if data.input_shape[0] == 1 else [2 / 255, 4 / 255, 8 / 255]


def usual_epochs(data: Dataset) -> int:
    """Return the epochs of a training: few passes over many images, many over few."""
    return 6 if len(data.x_train) > _MANY else 30


def fitted_defences(text: str | None, data: Dataset) -> list[MapPreprocessor]:
    """Return the defences of `A + B` (None: `usual_defence`), fitted to the training images.

    Raises:
        InputError: The words cannot be read, or there are no training images to learn from.
    """
    text = text or usual_defence(data)
    defences = parse_defences(text)
    with naming(f"defence {text!r}"):
        fit_defences(defences, data)
    return defences


def usable_device(name: str) -> torch.device:
    """Return the device of this name; refuse one that cannot be used."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        msg = f"device {name} cannot be used: {str(error).splitlines()[0]}"
        raise InputError(msg) from None
    return device


def make_classifier(
    words: NetworkWords, data: Dataset, defences: Sequence[MapPreprocessor]
) -> tuple[DefendedClassifier, str]:
    """Return the network behind its defences, and one line on how it was trained."""
    network, line = make_network(words, data, defences)
    if words.retrain is not None:
        if not defences:
            msg = "retrain needs a defence to train behind, got none; give one, or leave it out"
            raise InputError(msg)
        network, result = trained(
            partial(copy.deepcopy, network),
            data,
            defences=defences,
            epochs=words.retrain,
            learning_rate=3e-4,
            **words.settings,
        )
        line += f"; trained on behind the defence for {words.retrain} epochs"
        line += f", weights {result.weights}"
    return build_classifier(network, data=data, defences=defences), line


def make_network(
    words: NetworkWords, data: Dataset, defences: Sequence[MapPreprocessor] = ()
) -> tuple[nn.Module, str]:
    """Return the network in eval mode on its device, and one line on how it was trained.

    Behind an encoder the built-in network takes the codes, and is trained on them.

    Raises:
        InputError: The words do not fit each other or the data.
        ArtDiscError: The weights cannot be read.
    """
    device = usable_device(words.device)
    if words.model is not None and words.network != "default":
        msg = f"model {words.model} and network {words.network} are two networks; leave one out"
        raise InputError(msg)
    shape = encoded_shape(defences, data.input_shape)

    def built_in() -> nn.Module:
        return named_network(words.network)(shape, data.nb_classes).to(device)

    if words.model is None and words.weights is None:
        through = defences if shape != data.input_shape else ()
        network, line = _built_in(built_in, words, data, through)
    elif words.adversary is not None:
        msg = (
            f"training {words.adversary.method} is for the built-in network, without weights of "
            "one's own; leave the adversary out"
        )
        raise InputError(msg)
    else:
        network = built_in() if words.model is None else _own(words.model)
        line = "the user's own network"
        if words.weights is None:
            line = f"{line}, untrained weights unless it loads its own: none were given"
            msg = (
                f"{words.model} came without weights: expected a file of them, got none, so the "
                "network is as it is made, untrained unless it loads its own; give --weights FILE"
            )
            warnings.warn(msg, InputWarning, stacklevel=2)
        else:
            header = load_weights(network, words.weights)
            line = str(header.get("line", f"weights from {Path(words.weights).name}"))
    network.eval()
    return network.to(device), line


def _built_in(
    factory: Callable[[], nn.Module],
    words: NetworkWords,
    data: Dataset,
    defences: Sequence[MapPreprocessor],
) -> tuple[nn.Module, str]:
    data.check_training("to train the built-in network on (model and weights give another)")
    epochs = usual_epochs(data) if words.epochs is None else words.epochs
    network, result = trained(
        factory,
        data,
        defences=defences,
        epochs=epochs,
        learning_rate=words.learning_rate,
        **words.settings,
    )
    kind = words.name or objective_of(None, words.adversary).describe()
    if words.network != "default":
        kind = f"{words.network}, {kind}"
    line = f"{kind}, {epochs} epochs, Adam, seed {words.seed}, weights {result.weights}"
    through = ", ".join(defence.describe() for defence in defences)
    return network, f"{line}, through {through}" if through else line


def make_reference(
    classifier: DefendedClassifier,
    data: Dataset,
    *,
    eps: float,
    weights: str | Path | None = None,
    seed: int = 0,
    verbose: bool = True,
) -> nn.Module:
    """Return an adversarially trained network of the same architecture, to compare with.

    A copy of the classifier's network is trained on against PGD-5 at the l_inf budget `eps`, or
    takes `weights` from a file; beside a network of encoded images, a new one that takes images.
    """

    def fresh() -> nn.Module:
        if classifier.has_base:
            return copy.deepcopy(classifier.base_network)
        return default_network(data.input_shape, data.nb_classes).to(classifier.device)

    if weights is not None:
        hardened = fresh()
        load_weights(hardened, weights)
        return hardened.eval()
    many = len(data.x_train) > _REFERENCE_IMAGES
    return trained(
        fresh,
        data.subset(n_train=_REFERENCE_IMAGES) if many else data,
        seed=seed,
        adversary=Adversary(eps, steps=5),
        verbose=verbose,
        epochs=3 if many else 15,
    )[0]


def _own(text: str) -> nn.Module:
    """Return what `MODULE:FACTORY` makes; the module is looked for in the working folder too."""
    module_name, colon, factory_name = text.partition(":")
    if not colon:
        msg = f"model must be MODULE:FACTORY, got {text!r}"
        raise InputError(msg)
    sys.path.insert(0, str(Path.cwd()))
    try:
        network = getattr(importlib.import_module(module_name), factory_name)()
    # the user's own code runs here, and may raise anything
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        msg = f"model {text}: {why}; the module is looked for in the working folder too"
        raise InputError(msg) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not isinstance(network, nn.Module):
        msg = f"model {text} must return a torch module, got {type(network).__name__}"
        raise InputError(msg)
    return network
