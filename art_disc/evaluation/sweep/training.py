"""The networks that a plan names, trained once and cached by content."""

import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.data import Dataset
from art_disc.evaluation.sweep.words import Training
from art_disc.networks import default_network
from art_disc.training import Adversary, trained, usual_epochs


def trained_network(
    training: Training, data: Dataset, *, device: str, verbose: bool
) -> tuple[nn.Module, str]:
    """Return the network of a plan's training, and one line on how it was trained.

    Args:
        training: From `parse_training`.
        data: The whole data set.
        device: `cpu` or `cuda`; without a GPU here it is trained on the CPU.
        verbose: Show a progress bar while training.

    Raises:
        InputError: There are no training images.
    """
    if not len(data.x_train):
        msg = f"{data.name} has no training images; a sweep trains its networks itself"
        raise InputError(msg)
    options = dict(training.options)
    options.setdefault("epochs", usual_epochs(data))
    where = torch.device("cuda" if device == "cuda" and torch.cuda.is_available() else "cpu")
    network, result = trained(
        lambda: default_network(data.input_shape, data.nb_classes).to(where),
        data,
        verbose=verbose,
        adversary=_adversary(training),
        **options,
    )
    told = f"{training.text}, {options['epochs']} epochs, Adam, seed {options.get('seed', 0)}"
    return network, f"{told}, weights {result.weights}"


def _adversary(training: Training) -> Adversary | None:
    """Return whom the network is trained against; None for natural training.

    Raises:
        InputError: A value does not fit.
    """
    if training.method == "natural":
        return None
    return Adversary(method=training.method, **training.adversary)
