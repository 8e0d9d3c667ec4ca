"""Networks of this package in plain words, and made again of these."""

from typing import Any

import torch
from torch import nn

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.plain import from_plain, to_plain
from art_disc.networks.architectures import DigitsNet, MadryMnistNet, ResNet32
from art_disc.networks.binarised import Binarization
from art_disc.networks.binarised_networks import BinarizedNet, Convolution
from art_disc.networks.certified import CertifiedNet
from art_disc.networks.connections import LocalConnections, RandomConnections
from art_disc.networks.remembered import Remembered

_CLASSES: dict[str, type[Remembered]] = {
    kind.__name__: kind for kind in (BinarizedNet, CertifiedNet, DigitsNet, MadryMnistNet, ResNet32)
}
# what stands among their arguments beside numbers and words
_KINDS = (Binarization, Convolution, LocalConnections, RandomConnections)


def network_words(network: nn.Module) -> dict[str, Any] | None:
    """Return class and arguments of a network, from which `network_of` makes such a one.

    None where these do not tell of it: it is of another class, its layers were changed since, or
    an argument is an object of the user's own.
    """
    if not isinstance(network, Remembered) or type(network) not in _CLASSES.values():
        return None
    try:
        arguments = to_plain(network.arguments(), _KINDS)
        words = {"class": type(network).__name__, "arguments": arguments}
        # layers and shapes are compared, so none of its numbers need be there
        with torch.device("meta"):
            twin = network_of(words)
    except InputError:
        return None
    return words if _layers(twin) == _layers(network) else None


def network_of(words: dict[str, Any]) -> nn.Module:
    """Return the network of `network_words`, whose weights are still to come.

    No global stream is drawn from.

    Raises:
        FileFormatError: This release has no such network.
    """
    try:
        kind, arguments = _CLASSES[words["class"]], from_plain(words["arguments"], _KINDS)
        with torch.random.fork_rng(devices=()):
            return kind(**arguments)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"this release has no network {words}: {error}"
        raise FileFormatError(msg) from error


def _layers(network: nn.Module) -> tuple[str, dict[str, tuple[int, ...]]]:
    """Return what layers there are, and how their weights lie in memory, which decides rounding."""
    # weights say by themselves whether they are signs alone
    layers = repr(network).replace(", signs alone", "")
    return layers, {name: p.stride() for name, p in network.named_parameters()}
