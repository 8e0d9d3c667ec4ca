"""Which inputs each unit of a fully connected layer sees: few, so that it can be verified."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.core.seeds import check_seed, generator_of
from art_disc.core.showing import Shown


@runtime_checkable
class Connections(Protocol):
    """A rule that says of a layer of any size which inputs its units see; its `repr` tells it."""

    def mask(self, inputs: int, outputs: int) -> Tensor:
        """Return whether each unit sees each input, bool (outputs, inputs).

        Raises:
            InputError: The layer is of a size that does not fit.
        """


@dataclass(frozen=True, slots=True)
class RandomConnections(Shown, Connections):
    """Each unit sees `fan_in` inputs, drawn without replacement.

    Args:
        fan_in: Inputs of a unit, >= 1.
        seed: Of the draw, which is a layer's own: nothing else decides it but the layer's size.

    Raises:
        InputError: A value does not fit.
    """

    fan_in: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.fan_in, "fan_in")
        check_seed(self.seed)

    def mask(self, inputs: int, outputs: int) -> Tensor:
        """Return `fan_in` True values in each row; see `Connections`."""
        if self.fan_in > inputs:
            msg = f"fan_in must be at most the {inputs} inputs of the layer, got {self.fan_in}"
            raise InputError(msg)
        order = generator_of(self.seed).random((outputs, inputs)).argsort(axis=1)
        return torch.from_numpy(order < self.fan_in)


@dataclass(frozen=True, slots=True)
class LocalConnections(Shown, Connections):
    """Units see square windows of their inputs, as those of a convolution that shares no weights.

    Units are ordered as the outputs of a convolution, `(features, *places)`, so that the next layer
    may be local again, of inputs of that shape.

    Args:
        shape: (c, h, w) of the inputs.
        kernel: Side of the windows, which reach through all channels.
        stride: From one window to the next; nothing is padded.

    Raises:
        InputError: A value does not fit, or the windows leave a border unseen.
    """

    shape: tuple[int, int, int]
    kernel: int
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("kernel", "stride"):
            check_count(getattr(self, name), name)
        fits = self.kernel <= min(self.shape[1:]) and self.stride <= self.kernel
        if not fits or any((side - self.kernel) % self.stride for side in self.shape[1:]):
            msg = (
                f"windows of {self.kernel} at every {self.stride} pixels must tile inputs of "
                f"{self.shape}; give stride <= kernel, with side - kernel a multiple of stride"
            )
            raise InputError(msg)

    @property
    def places(self) -> tuple[int, int]:
        """Windows down and across."""
        down, across = ((side - self.kernel) // self.stride + 1 for side in self.shape[1:])
        return down, across

    @property
    def windows(self) -> int:
        """How many windows there are."""
        down, across = self.places
        return down * across

    @property
    def fan_in(self) -> int:
        """Inputs of a unit."""
        return self.shape[0] * self.kernel**2

    def mask(self, inputs: int, outputs: int) -> Tensor:
        """Return each unit's window; see `Connections`."""
        if inputs != np.prod(self.shape) or outputs % self.windows:
            msg = (
                f"a local layer must have the {np.prod(self.shape)} inputs of shape {self.shape} "
                f"and a multiple of its {self.windows} windows as units, got {inputs} and {outputs}"
            )
            raise InputError(msg)
        seen = np.zeros((*self.places, *self.shape), dtype=bool)
        for i, j in np.ndindex(*self.places):
            top, left = i * self.stride, j * self.stride
            seen[i, j, :, top : top + self.kernel, left : left + self.kernel] = True
        every = np.tile(seen.reshape(self.windows, inputs), (outputs // self.windows, 1))
        return torch.from_numpy(every)
