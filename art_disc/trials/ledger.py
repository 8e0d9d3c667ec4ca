"""A ledger of what an attack asked of the network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from art_disc.estimators.repeats import hearing_of_repeats


class Ledger:
    """Images passed through a network, and gradients really taken, counted per image and draw.

    A forward pass is a query until a gradient is taken of it; each backward pass is a gradient.
    Draws that are equal count one by one, although the network may have seen them once.
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
        untaken = [rows]

        def taken(grad: Tensor) -> None:  # noqa: ARG001 - torch's signature
            self.gradients += rows
            self.queries -= untaken.pop() if untaken else 0

        output.register_hook(taken)

    def _spared(self, rows: int) -> None:
        self.queries += rows

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator["Ledger"]:
        """Count inside the block; the network is shared by every classifier around it."""
        with network.register_forward_hook(self._note), hearing_of_repeats(network, self._spared):
            yield self
