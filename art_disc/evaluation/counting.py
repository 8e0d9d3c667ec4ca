"""A ledger of what an attack asked of the network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Ledger:
    """Images passed through a network, with and without a gradient."""

    def __init__(self) -> None:
        self.gradients = 0
        self.queries = 0

    def _note(self, module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002
        rows = output.shape[0] if isinstance(output, Tensor) else 0
        if torch.is_grad_enabled() and isinstance(output, Tensor) and output.requires_grad:
            self.gradients += rows
        else:
            self.queries += rows

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator["Ledger"]:
        """Count inside the block; the network is shared by every classifier around it."""
        handle = network.register_forward_hook(self._note)
        try:
            yield self
        finally:
            handle.remove()
