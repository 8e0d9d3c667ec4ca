"""A training that was interrupted goes on at the end of its last whole epoch."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel

from art_disc.core.errors import ArtDiscError, FileFormatError, InputError
from art_disc.core.files import read_npz, write_npz

_HEADER = "art_disc_header"
_MADE = ("lr_lambdas", "optimizer")


@dataclass(eq=False)
class State:
    """What a training consists of between two epochs.

    Attributes:
        model: The network.
        optimizer: Of its parameters.
        schedule: Of the learning rate.
        generators: Every stream that the training draws from, by name.
        facts: What decides the training; a file of another one is refused.
        averaged: Weights averaged so far, if any are.
        epoch: Epochs done; `losses` and `accuracies` after each of them.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Any
    generators: dict[str, torch.Generator]
    facts: dict[str, Any]
    averaged: AveragedModel | None = None
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    def save(self, path: str | Path) -> None:
        """Write everything as npz, in one step."""
        arrays: dict[str, NDArray[Any]] = {
            f"{room}/{name}": tensor.detach().cpu().numpy()
            for room, network in self._networks().items()
            for name, tensor in network.state_dict().items()
        }
        state = self.optimizer.state_dict()
        for place, entries in state["state"].items():
            for name, value in entries.items():
                arrays[f"optimizer/{place}/{name}"] = torch.as_tensor(value).cpu().numpy()
        for name, generator in self.generators.items():
            arrays[f"generator/{name}"] = generator.get_state().numpy()
        header = {
            "format": "art_disc checkpoint",
            "facts": self.facts,
            "epoch": self.epoch,
            "losses": self.losses,
            "accuracies": self.accuracies,
            "groups": state["param_groups"],
            # but for its functions, which the settings make anew
            "schedule": {k: v for k, v in self.schedule.state_dict().items() if k not in _MADE},
        }
        write_npz(path, {**arrays, _HEADER: np.array(json.dumps(header))})

    def _networks(self) -> dict[str, nn.Module]:
        averaged = {} if self.averaged is None else {"averaged": self.averaged}
        return {"model": self.model, **averaged}

    def load(self, path: str | Path) -> None:
        """Take up what `save` wrote, if there is such a file; refuse that of another training."""
        source = Path(path)
        if not source.is_file():
            return
        arrays = read_npz(source)
        header = _header_in(arrays, source)
        facts = header["facts"]
        if facts != json.loads(json.dumps(self.facts)):
            odd = sorted(k for k in {*facts, *self.facts} if facts.get(k) != self.facts.get(k))
            msg = (
                f"{source} is of a training with another {', '.join(odd) or 'setting'}; give "
                "another file, or remove this one"
            )
            raise InputError(msg)
        try:
            self._take(arrays, header)
        except ArtDiscError:
            raise
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            msg = f"{source} is a damaged checkpoint: {error}"
            raise FileFormatError(msg) from error

    def _take(self, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
        rooms = (*self._networks(), "optimizer", "generator")
        parts: dict[str, dict[str, torch.Tensor]] = {room: {} for room in rooms}
        for key, array in arrays.items():
            room, _, name = key.partition("/")
            parts[room][name] = torch.from_numpy(array)
        entries: dict[int, dict[str, Any]] = {}
        for key, tensor in parts["optimizer"].items():
            place, _, name = key.partition("/")
            entries.setdefault(int(place), {})[name] = tensor
        for room, network in self._networks().items():
            network.load_state_dict(parts[room])
        self.optimizer.load_state_dict({"state": entries, "param_groups": header["groups"]})
        for weight, state in self.optimizer.state.items():
            # a fused step goes over memory, whose order a file does not keep
            like = {k: v for k, v in state.items() if getattr(v, "shape", None) == weight.shape}
            state.update((k, torch.empty_like(weight).copy_(v)) for k, v in like.items())
        functions = self.schedule.state_dict().get("lr_lambdas")
        own = {} if functions is None else {"lr_lambdas": [None] * len(functions)}
        self.schedule.load_state_dict({**header["schedule"], **own})
        for name, generator in self.generators.items():
            generator.set_state(parts["generator"][name])
        self.epoch = header["epoch"]
        self.losses, self.accuracies = header["losses"], header["accuracies"]


def _header_in(arrays: dict[str, NDArray[Any]], source: str | Path) -> dict[str, Any]:
    """Take the header, which has facts, out of a checkpoint's arrays."""
    try:
        header: dict[str, Any] = json.loads(str(arrays.pop(_HEADER)))
        _ = header["facts"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        msg = f"{source} is no checkpoint of a training: {error}"
        raise FileFormatError(msg) from error
    return header


def facts_of(path: str | Path) -> dict[str, Any] | None:
    """Return the facts of the training that a checkpoint is of; None where it cannot be read."""
    try:
        facts: dict[str, Any] = _header_in(read_npz(path, (_HEADER,)), path)["facts"]
    except ArtDiscError:
        return None
    return facts
