"""Binary networks of Brevitas as networks of this package."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError, MissingExtraError
from art_disc.networks.binarised import Binarization, BinarizedConv2d, BinarizedLinear
from art_disc.networks.fixed_signs import ALPHA
from art_disc.networks.sign import SignActivation


def from_brevitas(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose one-bit modules of Brevitas are layers of signs.

    `QuantLinear` and `QuantConv2d` become `BinarizedLinear` and `BinarizedConv2d` of the signs that
    Brevitas predicts with, its scales behind the product (logits are equal but for float rounding);
    `QuantIdentity` becomes `SignActivation`. The copy is attacked and saved like any binarised
    network, and is not trained: train in Brevitas, then convert. Modules of more bits stay
    Brevitas' own.

    Args:
        network: It stays as it is.

    Raises:
        MissingExtraError: Brevitas is not installed.
        InputError: No one-bit module, or one whose inputs, outputs or bias are quantised too, or
            with more than one scale of activations.
    """
    try:
        from brevitas import nn as theirs
    except ImportError as error:
        msg = "from_brevitas needs Brevitas; pip install 'art-disc[brevitas]'"
        raise MissingExtraError(msg) from error
    # asking Brevitas for its weights may clip them in place
    whole = nn.Sequential(copy.deepcopy(network).eval())
    converted = 0
    for parent in list(whole.modules()):
        # one module may stand in two places
        children: dict[str, Any] = parent._modules
        for name, child in list(children.items()):
            made = _converted(child, theirs)
            if made is not None:
                setattr(parent, name, made)
                converted += 1
            elif hasattr(child, "return_quant_tensor"):
                child.return_quant_tensor = False
    if not converted:
        msg = (
            f"{type(network).__name__} has no QuantLinear, QuantConv2d or QuantIdentity of one "
            "bit; give build_classifier the network as it is"
        )
        raise InputError(msg)
    return whole[0]


@torch.no_grad()
def _converted(module: Any, theirs: Any) -> nn.Module | None:
    """Return ours in the place of a module; None where it stays."""
    if type(module) is theirs.QuantIdentity and _bits(module.act_quant) == 1:
        return _activation(module)
    makers = {theirs.QuantLinear: _linear, theirs.QuantConv2d: _convolution}
    if type(module) in makers and _bits(module.weight_quant) == 1:
        return _fixed(module, makers[type(module)])
    return None


def _bits(quantiser: Any) -> int | None:
    """Return the bits of a quantiser, None if it is off."""
    return int(quantiser.bit_width()) if quantiser.is_quant_enabled else None


def _fixed(layer: Any, make: Any) -> nn.Module:
    """Return a layer of the signs of a layer of Brevitas."""
    others = {name: getattr(layer, f"{name}_quant") for name in ("input", "output", "bias")}
    on = [name for name, quantiser in others.items() if quantiser.is_quant_enabled]
    if on:
        msg = (
            f"of a {type(layer).__name__} of one bit the weights alone may be quantised, got "
            f"{', '.join(on)} too; put a QuantIdentity before or behind it"
        )
        raise InputError(msg)
    quantised = layer.quant_weight()
    weight = layer.weight
    value, scale = quantised.value, quantised.scale
    scales = scale.expand(len(weight), *scale.shape[1:]).flatten()
    plain = bool((scales == 1).all())
    how = Binarization(weights="binary" if plain else "scaled", activations="real")
    made: nn.Module = make(layer, layer.bias is not None, how)
    bias = {} if layer.bias is None else {"bias": layer.bias}
    made.load_state_dict({"weight": value, ALPHA: scales, **bias})
    return made.to(weight.device).eval()


def _linear(layer: Any, bias: bool, how: Binarization) -> nn.Module:
    return BinarizedLinear(layer.in_features, layer.out_features, bias, binarization=how)


def _convolution(layer: Any, bias: bool, how: Binarization) -> nn.Module:
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    options = {name: getattr(layer, name) for name in names}
    return BinarizedConv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, bias=bias, binarization=how,
        **options,
    )  # fmt: skip


def _activation(module: Any) -> nn.Module:
    scale: Tensor = module.act_quant.scale()
    if module.input_quant.is_quant_enabled or scale.numel() != 1:
        msg = (
            "a QuantIdentity of one bit may have one scale and no other quantiser, got "
            f"{scale.numel()} scales; take SignedBinaryActPerTensorConst"
        )
        raise InputError(msg)
    return SignActivation(float(scale))
