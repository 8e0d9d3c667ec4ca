"""What a cell of the zoo is watched for: gradients and bypasses."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.estimators.applied import applied
from art_disc.estimators.contract import WhiteBoxClassifier


class Watch:
    """Rows at the network, and the gradients that came back to the raw input.

    Attributes:
        seen: Gradients at the raw input, counted per image and backward pass.
        zero: Those of them that were zero in every pixel.
        bypassed: Rows that reached the network without having passed the defences.
    """

    def __init__(self) -> None:
        self.seen = self.zero = 0
        self._arrived = self._passed = self._inside = 0

    @property
    def bypassed(self) -> int:
        """Rows that passed the defences by."""
        return max(0, self._arrived - self._passed)

    @contextmanager
    def watching(self, classifier: WhiteBoxClassifier) -> Iterator["Watch"]:
        """Watch inside the block; classifiers that attacks build around the model are seen too.

        Defences that live in the module are passed by what goes through the module; those in
        ART's list are watched at their maps, row by row.
        """
        own_list = applied(getattr(classifier, "preprocessing_defences", None) or ())
        listed = [d.map for d in own_list if hasattr(d, "map")]
        entrance = listed[0] if listed else classifier.model
        with ExitStack() as stack:
            stack.enter_context(entrance.register_forward_pre_hook(self._enter))
            if listed:
                stack.enter_context(listed[-1].register_forward_hook(self._leave_list))
            else:
                stack.enter_context(entrance.register_forward_pre_hook(partial(self._go, 1)))
                # also where the forward pass raises
                out = entrance.register_forward_hook(partial(self._go, -1), always_call=True)
                stack.enter_context(out)
            if classifier.defences:
                network = classifier.base_network
                stack.enter_context(network.register_forward_pre_hook(self._arrive))
            yield self

    def _go(self, step: int, *_: Any) -> None:
        self._inside += step

    def _leave_list(self, *given: Any) -> None:
        self._passed += len(given[-1])

    def _arrive(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:  # noqa: ARG002 - hook
        rows = len(inputs[0])
        self._arrived += rows
        # on the way back a checkpointed part is computed once more, outside the module's forward
        backwards = torch._C._current_graph_task_id() != -1
        if self._inside or backwards:
            self._passed += rows

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:  # noqa: ARG002 - hook
        x = inputs[0]
        # a leaf that an attack feeds again and again must not be counted once for every time
        if isinstance(x, Tensor) and x.requires_grad and not hasattr(x, "_zoo_watched"):
            x._zoo_watched = True  # type: ignore[attr-defined]  # a mark of ours on the tensor
            x.register_hook(self._gradient)

    def _gradient(self, grad: Tensor) -> None:
        rows = grad.detach().reshape(len(grad), -1)
        self.seen += len(rows)
        self.zero += int((rows == 0).all(dim=1).sum())
