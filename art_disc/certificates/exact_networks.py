"""Which networks of exact arithmetic a certificate knows."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from art_disc.bounds.graph import Graph
from art_disc.bounds.rounded import RoundedNetwork
from art_disc.core.checks import Float32Array
from art_disc.core.errors import CertificateError
from art_disc.networks.integer import IntegerNetwork, Sums, Thresholds

_Ends = Callable[[tuple[int, ...]], tuple[Float32Array, Float32Array]]


def exact_network(
    classifier: Any, steps: Sequence[Any], ends: _Ends, upper: float
) -> RoundedNetwork | IntegerNetwork | None:
    """Return the network of exact arithmetic, where it takes images of codewords as they are.

    Args:
        classifier: Whose network it is.
        steps: What happens to an input before the network.
        ends: From a shape to the least and the largest values of its images of codewords.
        upper: Top of the input range.

    Raises:
        CertificateError: It is not what was made exact, or not exact for these codewords.
    """
    module = getattr(classifier, "model", None)
    network = getattr(module, "base", None)
    if not isinstance(network, RoundedNetwork | IntegerNetwork):
        return None
    _check_kinds(network)
    if len(steps) != 1 or getattr(module, "standardisation", None) is not None:
        return None
    if isinstance(network, IntegerNetwork):
        network.check_exact()
        if network.upper != upper:
            msg = (
                f"the network takes images in [0, {network.upper:g}], its classifier in "
                f"[0, {upper:g}]; make integer_classifier(classifier) anew"
            )
            raise CertificateError(msg)
        return network
    low, high = ends(tuple(classifier.input_shape))
    network.check_exact(torch.from_numpy(low), torch.from_numpy(high))
    return network


def _check_kinds(network: RoundedNetwork | IntegerNetwork) -> None:
    """Refuse classes that are derived from the known ones."""
    if isinstance(network, RoundedNetwork):
        known, cure = type(network) is RoundedNetwork and type(network.graph) is Graph, "rounded"
    else:
        sums = [getattr(layer, "sums", None) for layer in network.layers]
        parts = [network.last, *network.layers, *sums]
        kinds = {type(part) for part in parts} | {type(network)}
        known, cure = kinds <= {IntegerNetwork, Thresholds, Sums}, "integer"
    if not known:
        kind = RoundedNetwork if isinstance(network, RoundedNetwork) else IntegerNetwork
        msg = (
            f"{type(network).__name__} may compute something else than a {kind.__name__}; certify "
            f"{cure}_classifier(classifier), of the network that it is made from"
        )
        raise CertificateError(msg)
