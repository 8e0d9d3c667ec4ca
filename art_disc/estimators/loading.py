"""Saved classifiers, read back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.estimators.classifier import DefendedClassifier
from art_disc.estimators.module import DefendedModule
from art_disc.estimators.saved import SavedClassifier, read_saved
from art_disc.estimators.saving import check_scores, class_name, restored, weighted
from art_disc.networks.again import network_of


def load_classifier(
    folder: str | Path,
    network: Callable[[], nn.Module] | nn.Module | None = None,
    *,
    loss: nn.Module | None = None,
) -> DefendedClassifier:
    """Return the classifier that `classifier.save(folder)` wrote, in eval mode.

    On the same processor and with the same versions it predicts the same, bit for bit, and what it
    draws goes on where the saved one was. Nothing is unpickled, and no optimiser is kept; give one
    by `loaded.set_params(optimizer=...)`.

    Args:
        folder: The folder.
        network: Makes the network where it is none of this package's, as that of the saved one was
            made; or the network, whose weights are then replaced. It decides the device too.
        loss: The loss where it was another than cross-entropy.

    Raises:
        DataNotFoundError: No such folder, or one of its files is missing.
        FileChangedError: One of its files is not as it was saved. The hashes find accidents, and
            are no signature.
        FileVersionError: Saved by a newer release.
        FileFormatError: No saved classifier.
        InputError: No `network` or `loss` where one is needed, or another than that of the saved
            classifier.
    """
    path, saved = Path(folder), read_saved(folder)
    made = _network(saved, network, path)
    if saved.loss is not None and (loss is None or class_name(loss) != saved.loss):
        given = "none" if loss is None else class_name(loss)
        msg = f"{path} was saved with the loss {saved.loss}, got {given}; give loss=..., such a one"
        raise InputError(msg)
    kinds = (
        (DefendedClassifier, DefendedModule)
        if saved.voting is None
        else DefendedClassifier._drawing
    )
    classifier: DefendedClassifier = restored(saved, path, made, kinds, loss)
    classifier.model.eval()
    why = f"give a network that is made as the saved {saved.network.name} was"
    check_scores(classifier, saved, path, why)
    return classifier


def _network(saved: SavedClassifier, given: Any, folder: Path) -> nn.Module:
    """Return the network with its weights."""
    name = saved.network.name
    arguments = saved.network.arguments
    if given is not None:
        # no initial weight is kept, so no draw of them should be seen
        with torch.random.fork_rng(devices=()):
            network = given if isinstance(given, nn.Module) else given()
    elif arguments is not None:
        network = network_of(name, arguments)
    else:
        msg = (
            f"the network in {folder} is a {name} of your own; give what makes one, "
            "load_classifier(folder, network=...)"
        )
        raise InputError(msg)
    if not isinstance(network, nn.Module):
        msg = f"network must make a torch module, {name}, got {type(network).__name__}"
        raise InputError(msg)
    return weighted(network, saved, folder)
