"""What a cell of the zoo is watched for: gradients and bypasses."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.estimators.contract import WhiteBoxClassifier


class Watch:
    """Rows at the network, and the gradients that came back to the raw input.

    Attributes:
        seen: Gradients at the raw input, counted per image and backward pass.
        zero: Those of them that were zero in every pixel.
        bypassed: Rows that reached the network without having passed the defences.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.zero = 0
        self._arrived = 0
        self._passed = 0
        self._inside = 0

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
        own_list = getattr(classifier, "preprocessing_defences", None) or ()
        listed = [d.map for d in own_list if hasattr(d, "map")]
        entrance = listed[0] if listed else classifier.model
        with ExitStack() as stack:
            stack.callback(entrance.register_forward_pre_hook(self._enter).remove)
            if listed:
                stack.callback(listed[-1].register_forward_hook(self._leave_list).remove)
            else:
                model = classifier.model
                stack.callback(model.register_forward_pre_hook(self._go_in).remove)
                # also where the forward pass raises
                out = model.register_forward_hook(self._go_out, always_call=True)
                stack.callback(out.remove)
            if classifier.defences:
                network = classifier.base_network
                stack.callback(network.register_forward_pre_hook(self._arrive).remove)
            yield self

    def _go_in(self, module: nn.Module, inputs: Any) -> None:  # noqa: ARG002 - hook
        self._inside += 1

    def _go_out(self, module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002 - hook
        self._inside -= 1

    def _leave_list(
        self,
        module: nn.Module,  # noqa: ARG002 - hook
        inputs: Any,  # noqa: ARG002 - hook
        output: Any,
    ) -> None:
        self._passed += len(output)

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
