"""From a torch module to a `Graph`: what is not understood is refused by its name."""

import copy
import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from art_disc.bounds.affine import Reshape
from art_disc.bounds.graph import Graph, Step, cast
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
_IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)
_METHODS: dict[str, Any] = {"relu": torch.relu, "flatten": torch.flatten}
_RELU = (torch.relu, functional.relu)
_NO_OPTIONS: tuple[Any, ...] = ({}, {"inplace": False})
_TRIED, _AGREE = 4, 1e-6


class _Proxy(fx.Proxy):
    """A value that writes `h += z` down as in place; for torch.fx it is `h = h + z`."""

    def _written(self, function: Any, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self._written(operator.iadd, other)

    def __isub__(self, other: Any) -> fx.Proxy:
        return self._written(operator.isub, other)

    def __imul__(self, other: Any) -> fx.Proxy:
        return self._written(operator.imul, other)

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self._written(operator.itruediv, other)


class _Tracer(fx.Tracer):
    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return what stands for a node's value while a forward runs."""
        return _Proxy(node, self)

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
            compute what the network computes (something else happens when the module is called),
            or a value that is changed in place and may be read elsewhere.
    """
    return follow(network, shape).graph.to(dtype)


@dataclass(frozen=True, slots=True)
class Followed:
    """A network as it was read.

    Attributes:
        graph: Its steps, with numbers in float64.
        layers: Where the steps of each layer are, in order.
        learned: Names of parameters that no layer holds, but forward itself.
        constants: Tensors that forward takes from the network itself, by name, as they were.
    """

    graph: Graph
    layers: tuple["Layered", ...]
    learned: tuple[str, ...]
    constants: tuple[tuple[str, Tensor], ...]


@dataclass(frozen=True, slots=True)
class Layered:
    """A layer's steps: the value that the first one makes, their number, and the layer's place.

    `path` is that in `nn.Sequential(network)`, and `shape` that of the layer's input.
    """

    first: int
    count: int
    path: str
    shape: tuple[int, ...]


def follow(network: nn.Module, shape: tuple[int, ...], *, training: bool = False) -> Followed:
    """Read a network as `trace` does; in `training`, as it is in evaluation mode."""
    # not those of a copy, which leaves compiled calls out
    for module in network.modules():
        _check_call(module)
    copied = copy.deepcopy(network).to("cpu").requires_grad_(requires_grad=False)
    if training:
        copied.eval()
    exact = copy.deepcopy(copied).to(torch.float64)
    # what forward makes of constants alone it makes in its own precision, which may decide
    made = _read(copied, exact, shape)
    _check_agreement(_graph_of(_read(exact, exact, shape)), exact, shape)
    learned = [str(n) for n, v in made.constants.items() if isinstance(v, nn.Parameter)]
    constants = {
        str(n.target): v.clone()
        for n, v in made.constants.items()
        # torch.fx names so what is no attribute of the network
        if n.op == "get_attr" and hasattr(copied, str(n.target).removeprefix("0.").split(".")[0])
    }
    return Followed(
        _graph_of(made), tuple(made.layers), tuple(learned), tuple(constants.items())
    )  # fmt: skip


def _read(network: nn.Module, exact: nn.Module, shape: tuple[int, ...]) -> "_Builder":
    """Follow a network: its constants as they are, layers of a copy in float64."""
    # one more level, so that a network that is one layer has it inside
    root = nn.Sequential(network)
    try:
        # a forward may ask for the mode, and predictions need no gradients
        with torch.no_grad():
            traced = _Tracer().trace(root)
    except (TypeError, RuntimeError, NameError, fx.proxy.TraceError) as error:
        refuse(f"{type(network).__name__}, which torch.fx cannot follow ({error})")
    for node in reversed(traced.nodes):
        if not node.users and _is_pure(root, node):
            traced.erase_node(node)
    builder = _Builder(root, nn.Sequential(exact), shape)
    for node in traced.nodes:
        builder.take(node)
    return builder


def _graph_of(builder: "_Builder") -> Graph:
    return Graph(tuple(builder.steps), tuple(builder.inputs), tuple(builder.shapes))


def _check_call(module: nn.Module) -> None:
    """Refuse a module whose call is not what its class says."""
    name = type(module).__name__
    if module._forward_hooks or module._forward_pre_hooks:
        refuse(f"{name} with hooks", "remove what registered them")
    for own, value in vars(module).items():
        shadows = own == "_compiled_call_impl" or callable(getattr(type(module), own, None))
        if shadows and value is not None:
            refuse(f"{name} with a {own} of its own", "define it in a class, and do not compile")


def _function(node: fx.Node) -> Any:
    return _METHODS.get(str(node.target)) if node.op == "call_method" else node.target


def _writes(root: nn.Module, node: fx.Node) -> bool:
    """Whether a step that is understood changes its first argument."""
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(str(node.target)), "inplace", False))
    return node.target in _IN_PLACE or bool(node.kwargs.get("inplace", False))


def _is_pure(root: nn.Module, node: fx.Node) -> bool:
    """Whether a step does nothing but make its value, as far as that is known."""
    if node.op == "call_module":
        return type(root.get_submodule(str(node.target))) in LAYERS and not _writes(root, node)
    known = _function(node) in (*_ARITHMETIC, *_RELU, torch.flatten)
    known &= node.kwargs in _NO_OPTIONS and not _writes(root, node)
    return node.op == "get_attr" or (node.op in ("call_function", "call_method") and known)


class _Builder:
    """Nodes of torch.fx to steps, one after the other.

    Layers are those of `exact`, a copy in float64; what forward makes of constants alone is made of
    those of `root`, in the precision that the network makes it in.
    """

    def __init__(self, root: nn.Module, exact: nn.Module, shape: tuple[int, ...]) -> None:
        self.root, self.exact = root, exact
        self.steps: list[Step] = []
        self.inputs: list[tuple[int, ...]] = []
        self.shapes = [torch.Size(shape)]
        # numbers of the values, and the constants
        self.values: dict[fx.Node, int] = {}
        self.constants: dict[fx.Node, Any] = {}
        self.layers: list[Layered] = []
        # values in the memory of what they are made of
        self.views: set[fx.Node] = set()

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
            module = self.exact.get_submodule(str(node.target))
            self._add_layer(node, type(module), module)
        else:
            self._call(node)

    def _call(self, node: fx.Node) -> None:
        function = _function(node)
        if function in _ARITHMETIC and not node.kwargs:
            self._add_arithmetic(node, _ARITHMETIC[function])
        elif function is torch.flatten and node.args[1:] in ((1,), (1, -1)) and not node.kwargs:
            self._add_layer(node, nn.Flatten, nn.Flatten())
        elif function in _RELU and set(node.kwargs) <= {"inplace"}:
            self._add_layer(node, nn.ReLU, nn.ReLU())
        else:
            name = getattr(node.target, "__name__", str(node.target))
            options = f", {dict(node.kwargs)}" if node.kwargs else ""
            refuse(f"{name}{node.args[1:]}{options} in forward")

    def _add_layer(self, node: fx.Node, kind: Any, module: Any) -> None:
        if kind not in LAYERS:
            refuse(kind.__name__)
        if node.op == "call_module" and (len(node.args) > 1 or node.kwargs):
            refuse(f"{kind.__name__} of several arguments")
        given = node.args[0] if node.args else None
        if not isinstance(given, fx.Node) or given not in self.values:
            refuse(f"{kind.__name__} of anything but one value of the network")
        value = self.values[given]
        shape = tuple(self.shapes[value])
        steps = LAYERS[kind](module, shape)
        if node.op == "call_module":
            self.layers.append(Layered(len(self.steps) + 1, len(steps), str(node.target), shape))
        self._append(node, steps, (value,))

    def _add_arithmetic(self, node: fx.Node, function: Any) -> None:
        if len(node.args) != (1 if function is operator.neg else 2):
            refuse(f"{function.__name__} of {len(node.args)} arguments")
        given = [self.constants.get(a, a) if isinstance(a, fx.Node) else a for a in node.args]
        taken = tuple(self.values[a] for a in given if isinstance(a, fx.Node))
        shapes = [tuple(self.shapes[value]) for value in taken]
        if not taken:
            self._check_alone(node)
            self.constants[node] = function(*given)
            return
        if len(set(shapes)) > 1:
            refuse(f"{function.__name__} of values of shapes {shapes}", "give them one shape")
        constants = [None if isinstance(a, fx.Node) else cast(a, torch.float64) for a in given]
        self._append(node, arithmetic(function, constants, shapes[0]), taken)

    def _check_alone(self, node: fx.Node) -> None:
        """Refuse a step in place on a value that another step, or the caller, may read."""
        value: Any = node.args[0] if _writes(self.root, node) else None
        while value is not None:
            if value.op in ("placeholder", "get_attr") or len(value.users) > 1:
                name = getattr(node.target, "__name__", str(node.target))
                refuse(
                    f"{name} in place on a value that is used elsewhere too",
                    "leave out inplace=True, and write h = h + z for h += z",
                )
            value = value.args[0] if value in self.views else None

    def _append(self, node: fx.Node, steps: list[Step], taken: tuple[int, ...]) -> None:
        self._check_alone(node)
        if all(isinstance(step, Reshape) for step in steps):
            self.views.add(node)
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
