"""Networks that are trained for their interval bounds, and how they begin."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_choice, check_positive
from art_disc.core.errors import InputError
from art_disc.networks.remembered import Remembered

ACTIVATIONS = ("relu", "ramp")
# convolutions (channels, kernel, stride), and units of the hidden layer behind them
SIZES: dict[str, tuple[Sequence[tuple[int, int, int]], int]] = {
    "small": (((16, 4, 2), (32, 4, 2)), 100),
    "medium": (((16, 3, 1), (16, 4, 2), (32, 4, 2)), 512),
}


class ParametrisedRamp(nn.Module):
    """A ramp that is learned for each neuron: from 0 to its cap r, x in between.

    r g(x / r) with g(z) = leak z + (1 - leak) min(max(z, 0), 1). Bounded activations have bounded
    boxes. What is learned is log r, so that r stays positive.

    Args:
        shape: Of the values, without the batch axis; 1 where neurons share a cap.
        cap: What each r begins at, > 0.

    Attributes:
        log_cap: log r, a parameter of `shape`.
        leak: Slope outside the ramp, a buffer; 0 unless `set_leaks_` sets it.

    Raises:
        InputError: A cap that is not > 0.

    Source: Lyu, Guo, Wang, Lin, Yang 2021 (parametrised ramp, leaky in the first half).
    """

    log_cap: nn.Parameter
    leak: Tensor

    def __init__(self, shape: Sequence[int], cap: float = 1.0) -> None:
        super().__init__()
        begin = math.log(check_positive(cap, "cap"))
        self.log_cap = nn.Parameter(torch.full(tuple(shape), begin))
        self.register_buffer("leak", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the ramp of each value."""
        cap = self.log_cap.exp()
        scaled = x / cap
        return cap * (self.leak * scaled + (1 - self.leak) * scaled.clamp(0, 1))

    def extra_repr(self) -> str:
        """Return the shape."""
        return f"shape={tuple(self.log_cap.shape)}"


def set_leaks_(network: nn.Module, leak: float) -> None:
    """Set the slope outside the ramp, in [0, 1), of every `ParametrisedRamp` of a network."""
    for module in network.modules():
        if isinstance(module, ParametrisedRamp):
            module.leak.fill_(leak)


class CertifiedNet(Remembered):
    """A convolutional network of plain layers, for interval bounds behind a codebook map.

    `small`: convolutions to 16 and 32 channels, 4x4 with stride 2, and 100 units (166,406 weights
    on MNIST without batch normalisation); `medium`: a 3x3 convolution to 16 channels, then 4x4 with
    stride 2 to 16 and 32, and 512 units (822,106 with it).

    Args:
        input_shape: (c, h, w), h and w at least 4.
        nb_classes: Number of logits.
        size: `small` or `medium`.
        batch_norm: Batch normalisation before each activation.
        activation: `relu`, or `ramp`: a `ParametrisedRamp`, with a cap for each channel of a
            convolution and each unit.

    Raises:
        InputError: Another word, or images that are too small.

    Source: the networks of Gowal et al. 2018 in kind; batch normalisation as Shi et al. 2021.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        nb_classes: int = 10,
        *,
        size: str = "medium",
        batch_norm: bool = True,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check_choice(size, "size", tuple(SIZES))
        check_choice(activation, "activation", ACTIVATIONS)
        if min(input_shape[1:]) < 4:
            msg = f"CertifiedNet needs images of at least 4x4, got {input_shape}"
            raise InputError(msg)
        convolutions, units = SIZES[size]
        channels, *sides = input_shape
        layers: list[nn.Module] = []
        for width, kernel, stride in convolutions:
            layers.append(nn.Conv2d(channels, width, kernel, stride, padding=1))
            layers += _hidden((width, 1, 1), activation, nn.BatchNorm2d if batch_norm else None)
            sides = [(side + 2 - kernel) // stride + 1 for side in sides]
            channels = width
        layers += [nn.Flatten(), nn.Linear(channels * math.prod(sides), units)]
        layers += _hidden((units,), activation, nn.BatchNorm1d if batch_norm else None)
        self.layers = nn.Sequential(*layers, nn.Linear(units, nb_classes))
        # the same numbers in the order that narrow convolutions on a CPU are fastest in
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of images (n, c, h, w) in [0, 1]."""
        logits: Tensor = self.layers(x)
        return logits


def _hidden(shape: tuple[int, ...], activation: str, norm: Any) -> list[nn.Module]:
    """Return what follows a layer of so many channels or units."""
    act = nn.ReLU() if activation == "relu" else ParametrisedRamp(shape)
    return [act] if norm is None else [norm(shape[0]), act]


def ibp_initialised_(network: nn.Module) -> nn.Module:
    """Draw the weights of all linear and convolutional layers but the last anew; return it.

    From a normal law of deviation sqrt(2 pi) / fan-in, from torch's global stream, so that interval
    bounds neither grow nor shrink from layer to layer. Biases stay.

    Source: Shi, Wang, Zhang, Yi, Hsieh 2021, section 3.1 (IBP initialisation).
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    for layer in layers[:-1]:
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2 * math.pi) / layer.weight[0].numel())
    return network
