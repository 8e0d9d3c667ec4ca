"""Weights as npz: arrays and a JSON header, nothing that could run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.core.errors import (
    DataNotFoundError,
    FileChangedError,
    FileFormatError,
    FileVersionError,
    InputError,
)
from art_disc.core.files import read_npz, write_npz
from art_disc.networks.latent import check_connections
from art_disc.networks.packing import Arrays, pack, shapes, unpack

# what a header says of its own file
_OWN = ("format", "version", "signs", "sha256")
_HEADER, _FORMAT, _VERSION = "art_disc_header", "art_disc weights", 2


def save_weights(
    model: nn.Module,
    path: str | Path,
    *,
    header: Mapping[str, Any] = {},
    signs: str | None = None,
) -> Path:
    """Write a network's parameters and buffers as npz.

    With `signs`, binarised weights are written as -1 and +1 beside one scale an output filter,
    which is all that predictions need, to the last bit. Their latent weights are not in such a
    file: a network that loads it predicts and can be attacked, and refuses to be trained.

    Args:
        model: The network.
        path: File to write, in one step.
        header: Facts to keep beside the weights, as JSON; what `load_weights` says of another
            file's own arrays is left out.
        signs: `bits`: one bit a weight, as `np.packbits` makes them, in the order of the weights,
            1 for +1. `int8`: arrays of -1 and +1 in the shape of the weights, for programs that
            read npz. None: latent weights, as they are trained. Everything else is written as it
            is. Zeros (of `zero=0`, or where there is no connection) are a second plane of bits,
            0 for 0.

    Raises:
        InputError: Another word for `signs`, the network has no binarised weights, or something in
            its state is no array of NumPy.
    """
    # a header that was loaded tells of another file too
    facts = {name: value for name, value in header.items() if name not in _OWN}
    told: dict[str, Any] = {}
    if signs is None:
        arrays = {name: _array(name, t) for name, t in model.state_dict().items()}
    else:
        arrays, layers = pack(model, signs)
        told = {"signs": layers}
    arrays = dict(sorted(arrays.items()))
    told["sha256"] = _digest(arrays)
    text = json.dumps({**facts, "format": _FORMAT, "version": _VERSION, **told})
    return write_npz(path, {**arrays, _HEADER: np.array(text)})


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Put weights into a network, in place, and return the file's header.

    Args:
        model: A network of the same architecture; untouched if the file does not fit.
        path: npz of `save_weights`, or a state dict that `torch.save` wrote (`.pt`, `.pth`), read
            with `weights_only=True`.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Damaged, changed since `save_weights` wrote it (its digest finds accidents
            and is no signature), or it could only be read by unpickling objects.
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
        header = _header_in(arrays, source)
        arrays = unpack(model, arrays, header.get("signs", {}), source)
        try:
            state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        except TypeError as error:
            msg = f"{source} holds no weights: {error}"
            raise FileFormatError(msg) from error
    # older state dicts lack these counters, which decide no prediction
    own = model.state_dict().items()
    counters = {name: t for name, t in own if name.endswith(".num_batches_tracked")}
    state = {**counters, **state}
    expected = shapes(model, state)
    found = {name: tuple(t.shape) for name, t in state.items()}
    if expected != found:
        odd = sorted(set(expected.items()) ^ set(found.items()))[:3]
        msg = (
            f"{source} holds weights of another architecture than {type(model).__name__}: {odd}; "
            "give a network that is made as theirs was"
        )
        raise InputError(msg)
    check_connections(model, state)
    model.load_state_dict(state)
    return header


def weights_header(path: str | Path) -> dict[str, Any]:
    """Return the header of an npz of `save_weights`, without its weights; {} where there is none.

    Raises:
        DataNotFoundError: No such file.
        FileFormatError: Damaged, or of something else.
    """
    return _told_in(read_npz(path, (_HEADER,)), Path(path))


def _header_in(arrays: Arrays, source: Path) -> dict[str, Any]:
    """Take the header out of all of a file's arrays, which must be those that it tells of."""
    header = _told_in(arrays, source)
    if "sha256" in header and header["sha256"] != _digest(dict(sorted(arrays.items()))):
        msg = f"{source} is not as save_weights wrote it: its arrays have another digest"
        raise FileChangedError(msg)
    return header


def _told_in(arrays: Arrays, source: Path) -> dict[str, Any]:
    """Take the header out of a file's arrays; it is empty where another program wrote them."""
    try:
        header = json.loads(str(arrays.pop(_HEADER, "{}")))
    except json.JSONDecodeError as error:
        msg = f"{source} holds no weights with a JSON header: {error}"
        raise FileFormatError(msg) from error
    if not isinstance(header, dict) or header.get("format", _FORMAT) != _FORMAT:
        msg = f"{source} holds something else than weights; give a file of save_weights"
        raise FileFormatError(msg)
    if header.get("version", 1) not in range(1, _VERSION + 1):
        msg = (
            f"{source} is of version {header['version']!r}, expected at most {_VERSION}; it needs "
            "a newer art_disc"
        )
        raise FileVersionError(msg)
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
    tensors = {**model.state_dict(), **dict(model.named_buffers())}
    return _digest({name: _array(name, t) for name, t in tensors.items()})[:16]


def _array(name: str, value: Any) -> NDArray[Any]:
    try:
        array: NDArray[Any] = value.numpy(force=True)
    # no tensor, or one of a type that NumPy lacks
    except (AttributeError, RuntimeError, TypeError) as error:
        is_tensor = isinstance(value, Tensor)
        kind = f"torch tensor of {value.dtype}" if is_tensor else type(value).__name__
        cure = "convert it, network.float() for example" if is_tensor else "keep it elsewhere"
        msg = f"{name} of the network must be an array of a type of NumPy's, got a {kind}; {cure}"
        raise InputError(msg) from error
    return array


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        # torch's name of the type: records hold such hashes
        digest.update(f"{name}{array.shape}torch.{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
