"""Saved classifiers, read back."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.estimators.classifier import DefendedClassifier
from art_disc.estimators.module import DefendedModule
from art_disc.estimators.saved import SavedClassifier, read_saved
from art_disc.estimators.saving import check_scores, loss_word, restored, weighted
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
        loss: The loss where it was another than cross-entropy. Its class is checked, not its
            settings, but that they are not the usual ones.

    Raises:
        DataNotFoundError: No such folder, or one of its files is missing.
        FileChangedError: One of its files is not as it was saved. The hashes find accidents, and
            are no signature.
        FileVersionError: Saved by a newer release.
        FileFormatError: No saved classifier.
        InputError: No `network` or `loss` where one is needed, a loss of another class, or a
            network that differs plainly, on eight images of noise, from that of the saved
            classifier; a given one is left as it was.
    """
    path, saved = Path(folder), read_saved(folder)
    _check_loss(saved, loss, path)
    kinds = (
        (DefendedClassifier, DefendedModule)
        if saved.voting is None
        else DefendedClassifier._drawing
    )
    made = _network(saved, network, path)
    with _or_as_before(made):
        classifier: DefendedClassifier = restored(
            saved, path, weighted(made, saved, path), kinds, loss
        )
        classifier.model.eval()
        why = f"give a network that is made as the saved {saved.network.name} was"
        check_scores(classifier, saved, path, why)
    return classifier


def _check_loss(saved: SavedClassifier, loss: Any, folder: Path) -> None:
    given = None if loss is None else loss_word(loss)
    if given != saved.loss:
        plain = "plain cross-entropy"
        got = "none" if loss is None else given or plain
        cure = "leave it out" if saved.loss is None else "give loss=..., such a one"
        msg = f"{folder} was saved with the loss {saved.loss or plain}, got {got}; {cure}"
        raise InputError(msg)


@contextmanager
def _or_as_before(network: nn.Module) -> Iterator[None]:
    """Give a network its state back after an error: it may be the user's."""
    state = copy.deepcopy(network.state_dict())
    modes = [(layer, layer.training) for layer in network.modules()]
    trained = [(one, one.requires_grad) for one in network.parameters()]
    try:
        yield
    except BaseException:
        network.load_state_dict(state)
        for layer, mode in modes:
            layer.training = mode
        for one, is_trained in trained:
            one.requires_grad_(is_trained)
        raise


def _network(saved: SavedClassifier, given: Any, folder: Path) -> nn.Module:
    """Return the network, whose weights are still to come."""
    name = saved.network.name
    arguments = saved.network.arguments
    if given is not None:
        # no initial weight is kept, so no draw of them should be seen
        with torch.random.fork_rng(devices=()):
            network = given if isinstance(given, nn.Module) else given()
    elif arguments is not None:
        network = network_of(name, arguments)
    else:
        ours = name.startswith("art_disc.")
        whose = ", which its arguments alone do not make" if ours else ", of your own"
        msg = (
            f"the network in {folder} is {name}{whose}; give what makes one, "
            "load_classifier(folder, network=...)"
        )
        raise InputError(msg)
    if not isinstance(network, nn.Module):
        msg = f"network must make a torch module, {name}, got {type(network).__name__}"
        raise InputError(msg)
    return network
