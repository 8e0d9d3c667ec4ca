"""A ledger of what an attack asked of the network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class Ledger:
    """Images passed through a network, and gradients really taken, counted per image.

    A forward pass is a query until a gradient is taken of it; each backward pass is a gradient.
    """

    def __init__(self) -> None:
        self.gradients = 0
        self.queries = 0

    def _note(self, module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002 - hook
        if not isinstance(output, Tensor):
            return
        rows = output.shape[0]
        self.queries += rows
        if not output.requires_grad:
            return
        first = [True]

        def taken(grad: Tensor) -> None:  # noqa: ARG001 - torch's signature
            self.gradients += rows
            if first:
                first.clear()
                self.queries -= rows

        output.register_hook(taken)

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator["Ledger"]:
        """Count inside the block; the network is shared by every classifier around it."""
        handle = network.register_forward_hook(self._note)
        try:
            yield self
        finally:
            handle.remove()
