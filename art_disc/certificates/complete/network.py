"""The torch network that a classifier runs on images of codewords."""

import torch
from torch import nn

from art_disc.bounds import Graph, trace
from art_disc.certificates.target import Target, applied_defences
from art_disc.core.errors import CertificateError
from art_disc.estimators.module import BehindMaps, DefendedModule

# what ART does not call: it goes over the children itself
_OF_SEQUENTIAL = ("forward", "__call__", "__iter__")


def graph_of(target: Target, shape: tuple[int, ...]) -> Graph:
    """Return what happens to an image of codewords as a graph of bounds, in float64.

    That of a rounded network is its own, behind its `entry`.

    Args:
        target: The classifier.
        shape: Of one image.

    Raises:
        CertificateError: Something else acts between the codebook map and the network, no torch
            network is there, it has a layer that there are no bounds for, or it is a sequence with
            a forward of its own, which ART does not call.
    """
    if target.integer is not None:
        msg = "there are no bounds for an IntegerNetwork; use method='solver'"
        raise CertificateError(msg)
    module = module_behind(target, "bounds need")
    if target.rounded is not None:
        return target.rounded.graph
    after = BehindMaps(module) if isinstance(module, DefendedModule) else module
    return trace(after.eval(), shape, torch.float64)


def module_behind(target: Target, who: str) -> nn.Module:
    """Return the torch module of a classifier, right behind one codebook map or holding it.

    Raises:
        CertificateError: As `graph_of`; the message begins with who asks.
    """
    module = getattr(target.classifier, "model", None)
    steps = applied_defences(target.classifier)
    # one of a class of its own may run something else than its base
    other = isinstance(module, DefendedModule) and type(module) is not DefendedModule
    if len(steps) != 1 or other or not isinstance(module, nn.Module):
        names = ", ".join(type(step).__name__ for step in steps)
        msg = (
            f"{who} a torch network right behind one codebook map, got "
            f"{type(module).__name__} behind {names}; use method='enumeration'"
        )
        raise CertificateError(msg)
    _check_sequential(module)
    return module


def _check_sequential(module: nn.Module) -> None:
    """Refuse a sequence that ART, which runs its children one by one, computes otherwise."""
    if not isinstance(module, nn.Sequential):
        return
    kind = type(module)
    own = [n for n in _OF_SEQUENTIAL if getattr(kind, n) is not getattr(nn.Sequential, n)]
    if own:
        msg = (
            f"{kind.__name__} is an nn.Sequential with its own {', '.join(own)}, which ART does "
            "not call; derive it from nn.Module, or give it to build_classifier, for bounds"
        )
        raise CertificateError(msg)
