"""Weights as npz: arrays and a JSON header, nothing that could run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.core.files import read_npz, write_npz

_HEADER = "art_disc_header"


def save_weights(model: nn.Module, path: str | Path, *, header: Mapping[str, Any] = {}) -> Path:
    """Write a network's parameters and buffers as npz.

    Args:
        model: The network.
        path: File to write, in one step.
        header: Facts to keep beside the weights, as JSON.
    """
    arrays = {name: t.detach().cpu().numpy() for name, t in model.state_dict().items()}
    text = json.dumps({"format": "art_disc weights", "version": 1, **header})
    return write_npz(path, {**arrays, _HEADER: np.array(text)})


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Put weights into a network, in place, and return the file's header.

    Args:
        model: A network of the same architecture; untouched if the file does not fit.
        path: npz of `save_weights`, or a state dict that `torch.save` wrote (`.pt`, `.pth`), read
            with `weights_only=True`.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Damaged, or it could only be read by unpickling objects.
        InputError: The weights are of another architecture.
    """
    source = Path(path)
    if not source.is_file():
        msg = f"no such weight file: {source}"
        raise DataNotFoundError(msg)
    header: dict[str, Any] = {}
    if source.suffix in (".pt", ".pth"):
        state = _read_torch(source)
    else:
        arrays = read_npz(source)
        try:
            header = json.loads(str(arrays.pop(_HEADER, "{}")))
            state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        except (json.JSONDecodeError, TypeError) as error:
            msg = f"{source} holds no weights with a JSON header: {error}"
            raise FileFormatError(msg) from error
    own = model.state_dict()
    # older state dicts lack these counters, which decide no prediction
    counters = {name: t for name, t in own.items() if name.endswith(".num_batches_tracked")}
    state = {**counters, **state}
    expected = {name: tuple(t.shape) for name, t in own.items()}
    found = {name: tuple(t.shape) for name, t in state.items()}
    if expected != found:
        odd = sorted(set(expected.items()) ^ set(found.items()))[:3]
        msg = f"{source} holds weights of another architecture than {type(model).__name__}: {odd}"
        raise InputError(msg)
    model.load_state_dict(state)
    return header


def _read_torch(source: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises its own, pickle's and zipfile's errors here
        msg = f"{source} cannot be read as plain tensors: {type(error).__name__}"
        raise FileFormatError(msg) from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        msg = f"{source} is no state dict; save model.state_dict()"
        raise FileFormatError(msg)
    return state


def weights_hash(model: nn.Module) -> str:
    """Return 16 hexadecimal digits that identify the weights and their names.

    Buffers that no state dict holds count too.
    """
    digest = hashlib.sha256()
    for name, tensor in {**model.state_dict(), **dict(model.named_buffers())}.items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]
