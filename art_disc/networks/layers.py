"""Layers of a binarisation, torch's own where nothing is binarised."""

from dataclasses import replace
from typing import Any

from torch import nn

from art_disc.core.checks import check_choice
from art_disc.networks.binarised import Binarization, BinarizedConv2d, BinarizedLinear
from art_disc.networks.connections import Connections


def first_layer(how: Binarization, word: str) -> Binarization:
    """Return the binarisation of a first layer, whose input is real.

    Raises:
        InputError: The word for its weights is neither `binary` nor `real`.
    """
    real = check_choice(word, "first", ("binary", "real")) == "real"
    return replace(how, activations="real", weights="real" if real else how.weights)


def linear(
    inputs: int,
    outputs: int,
    how: Binarization,
    *,
    bias: bool = False,
    connections: Connections | None = None,
) -> nn.Linear:
    """Return a layer of some or all connections, torch's own where nothing is binarised."""
    if how.is_real and connections is None:
        return nn.Linear(inputs, outputs, bias)
    return BinarizedLinear(inputs, outputs, bias, binarization=how, connections=connections)


def convolution(*args: Any, how: Binarization, **options: Any) -> nn.Conv2d:
    """Return a convolution of `nn.Conv2d`'s arguments, torch's own where nothing is binarised."""
    if how.is_real:
        return nn.Conv2d(*args, **options)
    return BinarizedConv2d(*args, binarization=how, **options)
