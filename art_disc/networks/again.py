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
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_Layers = tuple[str, list[type], dict[str, tuple[int, ...]]]


def plain_arguments(network: nn.Module) -> dict[str, Any] | None:
    """Return what `network_of` makes such a network of, besides the name of its class.

    None where that does not tell of it: it is of another class, its layers were changed since, or
    an argument is an object of the user's own.
    """
    if not isinstance(network, Remembered) or type(network) not in _CLASSES.values():
        return None
    try:
        arguments = to_plain(network.arguments(), _KINDS)
        # layers and shapes are compared, so none of its numbers need be there
        with torch.device("meta"):
            twin = network_of(type(network).__name__, arguments)
    except InputError:
        return None
    return arguments if _layers(twin) == _layers(network) else None


def hooked_layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers that do something else, or more, when called than their class says."""
    return [
        layer
        for layer in network.modules()
        if "forward" in vars(layer) or any(getattr(layer, name) for name in _HOOKS)
    ]


def network_of(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Return the network of a class and `plain_arguments`, whose weights are still to come.

    No global stream is drawn from.

    Raises:
        FileFormatError: This release has no such network.
    """
    try:
        kind, given = _CLASSES[name], from_plain(arguments, _KINDS)
        with torch.random.fork_rng(devices=()):
            return kind(**given)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"this release has no network {name} of {arguments}: {error}"
        raise FileFormatError(msg) from error


def _layers(network: nn.Module) -> _Layers:
    """Return what layers there are, and how their weights lie in memory, which decides rounding."""
    # weights say by themselves whether they are signs alone
    layers = repr(network).replace(", signs alone", "")
    kinds = [type(layer) for layer in network.modules()]
    return layers, kinds, {name: p.stride() for name, p in network.named_parameters()}
