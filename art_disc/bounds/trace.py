"""From a torch module to a `Graph`: what is not understood is refuse by its name."""

import copy
import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from art_disc.bounds.graph import Graph, Step
from art_disc.bounds.layers import LAYERS, arithmetic, refuse
from art_disc.core.errors import CertificateError

_ARITHMETIC: dict[Any, Any] = {
    torch.add: operator.add,
    torch.sub: operator.sub,
    torch.mul: operator.mul,
    torch.div: operator.truediv,
    torch.neg: operator.neg,
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    **{f: f for f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.neg)},
}
_METHODS: dict[str, Any] = {"relu": torch.relu, "flatten": torch.flatten}
_TRIED, _AGREE = 4, 1e-6


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Layers that there are bounds for, and torch's that there are none for."""
        return type(m) in LAYERS or super().is_leaf_module(m, module_qualified_name)


def trace(network: nn.Module, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Graph:
    """Return a network in evaluation mode as a graph of the steps that bounds understand.

    Args:
        network: A module of one argument, made of layers in `LAYERS`, of sums of values, and of
            sums and products of a value and a constant, without control flow; not changed.
        shape: Of one input, without the batch axis.
        dtype: Precision of the graph's numbers, which are worked out in float64.

    Raises:
        CertificateError: A layer or a function that has no bounds, or a graph that does not
            compute what the network computes (something else happens when the module is called).
    """
    # one more level, so that a network that is one layer has it inside
    copied = copy.deepcopy(network).to("cpu", torch.float64)
    root = nn.Sequential(copied)
    for module in root.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            refuse(f"{type(module).__name__} with hooks", "remove what registered them")
    try:
        traced = _Tracer().trace(root)
    except (TypeError, RuntimeError, fx.proxy.TraceError) as error:
        refuse(f"{type(network).__name__}, which torch.fx cannot follow ({error})")
    for node in reversed(traced.nodes):
        if not node.users and node.op not in ("placeholder", "output"):
            traced.erase_node(node)
    builder = _Builder(root, shape)
    for node in traced.nodes:
        builder.take(node)
    graph = Graph(tuple(builder.steps), tuple(builder.inputs), tuple(builder.shapes))
    _check_agreement(graph, copied, shape)
    return graph.to(dtype)


class _Builder:
    """Nodes of torch.fx to steps, one after the other."""

    def __init__(self, root: nn.Module, shape: tuple[int, ...]) -> None:
        self.root = root
        self.steps: list[Step] = []
        self.inputs: list[tuple[int, ...]] = []
        self.shapes = [torch.Size(shape)]
        # numbers of the values, and the constants
        self.values: dict[fx.Node, int] = {}
        self.constants: dict[fx.Node, Any] = {}

    def take(self, node: fx.Node) -> None:
        """Add the steps of one node."""
        if node.op == "placeholder":
            if self.values:
                refuse("a network of several arguments")
            self.values[node] = 0
        elif node.op == "get_attr":
            self.constants[node] = operator.attrgetter(str(node.target))(self.root)
        elif node.op == "output":
            if not isinstance(node.args[0], fx.Node) or node.args[0] not in self.values:
                refuse("a network that does not return one tensor")
            if self.values[node.args[0]] != len(self.steps):
                refuse("a network that returns what it goes on to use")
        elif node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            self._add_layer(node, type(module), module)
        else:
            self._call(node)

    def _call(self, node: fx.Node) -> None:
        function = _METHODS.get(str(node.target)) if node.op == "call_method" else node.target
        if function in _ARITHMETIC and not node.kwargs:
            self._add_arithmetic(node, _ARITHMETIC[function])
        elif function is torch.flatten and node.args[1:] in ((1,), (1, -1)) and not node.kwargs:
            self._add_layer(node, nn.Flatten, nn.Flatten())
        elif function in (torch.relu, functional.relu):
            self._add_layer(node, nn.ReLU, nn.ReLU())
        else:
            name = getattr(node.target, "__name__", str(node.target))
            refuse(f"{name}{node.args[1:]} in forward")

    def _add_layer(self, node: fx.Node, kind: Any, module: Any) -> None:
        if kind not in LAYERS:
            refuse(kind.__name__)
        value = self.values[node.args[0]]  # type: ignore[index]
        steps = LAYERS[kind](module, tuple(self.shapes[value]))
        self._append(node, steps, (value,))

    def _add_arithmetic(self, node: fx.Node, function: Any) -> None:
        given = [self.constants.get(a, a) if isinstance(a, fx.Node) else a for a in node.args]
        taken = tuple(self.values[a] for a in given if isinstance(a, fx.Node))
        if not taken:
            self.constants[node] = function(*given)
            return
        constants = [None if isinstance(a, fx.Node) else a for a in given]
        self._append(node, arithmetic(function, constants, tuple(self.shapes[taken[0]])), taken)

    def _append(self, node: fx.Node, steps: list[Step], taken: tuple[int, ...]) -> None:
        for step in steps:
            sample = [torch.zeros(1, *self.shapes[i], dtype=torch.float64) for i in taken]
            self.shapes.append(step(*sample).shape[1:])
            self.steps.append(step)
            self.inputs.append(taken)
            taken = (len(self.steps),)
        self.values[node] = taken[0]


def _check_agreement(graph: Graph, network: nn.Module, shape: tuple[int, ...]) -> None:
    """Try the graph on random inputs; a module's call may do what no graph shows."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(_TRIED, *shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        expected, found = network(x), graph(x)
    scale = expected.abs().max().clamp(min=1.0)
    if expected.shape != found.shape or not bool((expected - found).abs().max() <= _AGREE * scale):
        msg = (
            f"the layers of {type(network).__name__} do not compute what calling it computes; "
            "bounds need a forward that its layers and sums say all of"
        )
        raise CertificateError(msg)
