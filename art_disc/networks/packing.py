"""The signs of a network's weights as arrays: a bit each, or int8."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.core.checks import check_choice
from art_disc.core.errors import FileFormatError, InputError
from art_disc.networks.binarised import BinarizedConv2d, BinarizedLinear
from art_disc.networks.fixed_signs import ALPHA
from art_disc.networks.latent import binarised_layers

Layer = BinarizedLinear | BinarizedConv2d
Arrays = dict[str, NDArray[Any]]
FORMS = ("bits", "int8")
# a second plane of bits, where some weights are 0
_NONZERO = "nonzero"


def signed_layers(model: nn.Module) -> dict[str, Layer]:
    """Return a network's layers of binarised weights, by name."""
    layers = set(binarised_layers(model))
    return {
        name: module
        # a layer in two places has two names in a state dict
        for name, module in model.named_modules(remove_duplicate=False)
        if module in layers and module.binarization.weights != "real"
    }


def pack(model: nn.Module, form: str) -> tuple[Arrays, dict[str, Any]]:
    """Return a network's state with signs in the place of latent weights, and what they are.

    Raises:
        InputError: An unknown form, no binarised weights, or some that are NaN.
    """
    check_choice(form, "signs", FORMS)
    layers = signed_layers(model)
    if not layers:
        msg = f"signs={form!r} is for binarised weights, and {type(model).__name__} has none"
        raise InputError(msg)
    arrays = {name: t.numpy(force=True) for name, t in model.state_dict().items()}
    told: dict[str, Any] = {}
    for name, layer in layers.items():
        real = layer.signs.numpy(force=True)
        if np.isnan(real).any():
            msg = f"weights of {name} are NaN, which no sign stands for; expected numbers"
            raise InputError(msg)
        signs = real.astype(np.int8)
        arrays[f"{name}.{ALPHA}"] = layer.scales.numpy(force=True)
        told[name] = {"form": form, **_facts(layer)}
        if form == "int8":
            arrays[f"{name}.weight"] = signs
            continue
        arrays[f"{name}.weight"] = np.packbits(signs > 0)
        if not signs.all():
            arrays[f"{name}.{_NONZERO}"] = np.packbits(signs != 0)
    return arrays, told


def unpack(model: nn.Module, arrays: Arrays, told: Any, source: Path) -> Arrays:
    """Return the state of `pack`, with signs in the shape of latent weights.

    Raises:
        FileFormatError: The arrays are not what the header says.
        InputError: The network's layers are others.
    """
    layers, state = signed_layers(model), dict(arrays)
    for name, facts in _entries(told, source).items():
        layer = layers.get(name)
        wanted = None if layer is None else _facts(layer)
        found = {key: value for key, value in facts.items() if key != "form"}
        if layer is None or wanted != found:
            msg = (
                f"{source} holds signs of another architecture than {type(model).__name__}: of "
                f"{name} expected {wanted or 'no signs'}, got {found}"
            )
            raise InputError(msg)
        signs = _signs(name, state, facts, source)
        missing = layer.signs.numpy(force=True) == 0
        if layer.binarization.zero and not np.array_equal(signs == 0, missing):
            msg = f"{source} has weights of 0 in {name} that its layer does not have, or lacks some"
            raise InputError(msg)
        state[f"{name}.weight"] = signs.astype(np.float32)
    return state


def shapes(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a state dict of the network has where it fixes what `state` fixes."""
    made = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if not name.endswith(ALPHA)
    }
    layers = signed_layers(model).items()
    fixed = {f"{name}.{ALPHA}": (len(layer.weight),) for name, layer in layers}
    return made | {name: shape for name, shape in fixed.items() if name in state}


def _facts(layer: Layer) -> dict[str, Any]:
    """Return what decides a layer's predictions besides its arrays."""
    how = asdict(layer.binarization)
    # its estimator decides gradients alone
    del how["estimator"]
    return {"shape": list(layer.weight.shape), **how}


def _entries(told: Any, source: Path) -> dict[str, dict[str, Any]]:
    if isinstance(told, dict) and all(isinstance(facts, dict) for facts in told.values()):
        return told
    msg = f"{source} does not say which signs it holds; save it anew with save_weights"
    raise FileFormatError(msg)


def _signs(name: str, state: Arrays, facts: dict[str, Any], source: Path) -> NDArray[np.int8]:
    """Take a layer's signs out of the state: -1, 0 or 1, in the shape of its weights."""
    shape, weight = tuple(facts["shape"]), state.get(f"{name}.weight")
    made = None
    if facts.get("form") == "bits":
        positive, nonzero = _bits(weight, shape), state.pop(f"{name}.{_NONZERO}", None)
        kept = np.ones(shape, dtype=np.int8) if nonzero is None else _bits(nonzero, shape)
        made = None if positive is None or kept is None else (2 * positive - 1) * kept
    elif facts.get("form") == "int8" and weight is not None and weight.dtype == np.int8:
        made = weight if weight.shape == shape and np.isin(weight, (-1, 0, 1)).all() else None
    if made is None or f"{name}.{ALPHA}" not in state:
        msg = f"{source} lacks the signs or scales of {name} that its header tells of"
        raise FileFormatError(msg)
    return made


def _bits(packed: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[np.int8] | None:
    """Return bits in a shape; None where they are not as many, to the byte."""
    count = math.prod(shape)
    if packed is None or packed.dtype != np.uint8 or packed.shape != (-(-count // 8),):
        return None
    bits = np.unpackbits(packed).astype(np.int8)
    return None if bits[count:].any() else bits[:count].reshape(shape)
