"""Binarised networks made to be verified exactly: every unit but the logits sees few others."""

from collections.abc import Sequence
from typing import Any

from art_disc.core.errors import InputError
from art_disc.networks.binarised_networks import BinarizedNet, Convolution, Shape
from art_disc.networks.connections import LocalConnections


def verifiable_bnn(
    input_shape: Shape = (1, 28, 28),
    nb_classes: int = 10,
    *,
    features: Sequence[int] = (8, 8),
    windows: Sequence[tuple[int, int]] = ((7, 3), (2, 2)),
    shared: bool = False,
    **options: Any,
) -> BinarizedNet:
    """Return a network whose hidden units see a small window of the layer before, for MNIST.

    What a unit does then rests on few pixels, and a solver decides an image in seconds; of a dense
    network of as many units it leaves most undecided. Train it behind input codes, against a
    `CodeAdversary`: what attacks leave is what such a network can be proven to withstand.

    Args:
        input_shape: (c, h, w).
        nb_classes: Number of logits, each of all units of the last hidden layer, by real weights.
        features: Units of a window, for each hidden layer.
        windows: Side and stride of the windows, for each hidden layer; see `LocalConnections`.
        shared: Whether units of a feature in the first layer share their weights: a convolution.
        **options: Those of `BinarizedNet`.

    Raises:
        InputError: Not as many `features` as `windows`, windows that do not tile their inputs, or
            as for `BinarizedNet`.
    """
    if len(features) != len(windows) or not features:
        msg = f"expected features and windows of as many layers, got {features} and {windows}"
        raise InputError(msg)
    shape, rules = input_shape, []
    for count, (kernel, stride) in zip(features, windows, strict=True):
        rule = LocalConnections(shape, kernel, stride)
        rules.append(rule)
        shape = (count, *rule.places)
    widths = [n * rule.windows for n, rule in zip(features, rules, strict=True)]
    first: list[Convolution] = []
    if shared:
        (kernel, stride), rules, widths = windows[0], rules[1:], widths[1:]
        first = [Convolution(features[0], kernel, stride, padding=0)]
    return BinarizedNet(
        input_shape, nb_classes, convolutions=first, widths=widths, connections=rules, **options
    )
