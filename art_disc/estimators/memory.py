"""What a network needs of one image for its forward and backward pass."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

# a network is measured once, not again in every classifier around it
_KNOWN: WeakKeyDictionary[nn.Module, dict[tuple[int, ...], int]] = WeakKeyDictionary()


def bytes_for_backward(network: nn.Module, run: Callable[[Tensor], Any], row: Tensor) -> int:
    """Return what `measure_bytes` does, measured once for each network and shape of row."""
    known = _KNOWN.setdefault(network, {})
    shape = tuple(row.shape)
    if shape not in known:
        known[shape] = measure_bytes(network, run, row)
    return known[shape]


def measure_bytes(network: nn.Module, run: Callable[[Tensor], Any], row: Tensor) -> int:
    """Return the bytes that a forward and backward pass of one row needs, weights apart.

    What autograd keeps, and once more the largest part of it: that of the layer at work. The
    network is in eval mode meanwhile, and the global random streams are as before. `run` passes
    a batch through it, and `row` is one image, shape (1, ...).
    """
    weights = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    training = [module for module in network.modules() if module.training]
    network.eval()
    devices = [row.device] if row.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            leaf = row.detach().clone().requires_grad_()
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                # held, or memory that is freed is counted once for all that lie in it in turn
                output = run(leaf)
            del output
    finally:
        for module in training:
            module.training = True
    # beside what is kept, a layer's output or its gradient is alive while it is computed
    widest = max(kept.values(), default=0)
    return max(sum(kept.values()) + widest, leaf.element_size() * leaf.nelement())
