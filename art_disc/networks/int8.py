"""Fully connected layers of signs whose predictions are products of int8."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError
from art_disc.networks.binarised import BinarizedLinear
from art_disc.networks.fixed_signs import ALPHA
from art_disc.networks.packing import signed_layers


class Int8Linear(BinarizedLinear):
    """A `BinarizedLinear` of fixed signs that predicts from int8, on a CPU.

    `with_int8` makes it of a `BinarizedLinear`. Sums are in int32, the same whole numbers as
    those in float32. Under grad it is a `BinarizedLinear`, so that attacks lose nothing.
    """

    integers: Tensor | None

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        # torch multiplies by the transposed, which is a view
        self.integers = self.weight.detach().to(torch.int8).t() if self.is_fixed else None

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        plain = torch.is_grad_enabled() or x.dim() != 2 or x.device.type != "cpu"
        if plain or self.integers is None:
            return super()._product(x, weight)
        return torch._int_mm(x.to(torch.int8), self.integers).to(x.dtype)


def with_int8(network: nn.Module) -> nn.Module:
    """Return a copy of a network that predicts faster on a CPU, the same to the last bit.

    Each `BinarizedLinear` of binarised weights and activations becomes an `Int8Linear`, and no
    layer keeps latent weights: signs are not taken anew in every pass. What is no number (NaN)
    becomes some number in int8. `studies/binarised_cost.py` measures what it saves: much on a
    processor that multiplies int8, perhaps nothing on another.

    Args:
        network: It stays as it is.

    Raises:
        InputError: No such layer.
    """
    made = copy.deepcopy(network)
    signed = signed_layers(made).values()
    layers = [layer for layer in signed if _takes_signs(layer)]
    if not layers:
        msg = (
            f"{type(network).__name__} has no BinarizedLinear of binarised weights and "
            "activations; predict with it as it is"
        )
        raise InputError(msg)
    for layer in layers:
        layer.register_buffer("integers", None, persistent=False)
        # as torch's parametrisations do: the layer keeps whatever it has
        layer.__class__ = Int8Linear
    for layer in signed:
        fixed = {"weight": layer.signs, ALPHA: layer.scales}
        layer.load_state_dict({**layer.state_dict(), **fixed})
    return made


def _takes_signs(layer: nn.Module) -> bool:
    return type(layer) is BinarizedLinear and layer.binarization.activations == "binary"
