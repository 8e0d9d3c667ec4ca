"""From a network of binarised layers to one of whole numbers.

Read in real numbers, what a layer's sums go through before the next sign (scale, bias, batch
normalisation) rises or falls with the sum, so a whole number stands for it: the least sum whose
sign is +1. That is found exactly, by fractions of the network's float numbers; the root of a
variance is compared by its square.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from art_disc.core.checks import Float64Array
from art_disc.networks.binarised import BinarizedConv2d, BinarizedLinear, OutputScale
from art_disc.networks.integer.crossing import Rule
from art_disc.networks.integer.layers import (
    Entry,
    Norm,
    Open,
    array_of,
    offsets_of,
    refuse,
    sums_of,
    windows_of,
)
from art_disc.networks.integer.network import IntegerNetwork, Sums, Thresholds

# bits of logits that are not whole, and of a grey level
_LOGIT_BITS, _LEVEL_BITS = 20, 8
# so that differences of scores are still numbers of float32
_MOST_BITS = 100
# codewords went through float32 on [0, 1]
_ON_GRID = 2.0**-10
# of gradients alone
_LEAST_SLOPE = 1e-30


def integer_network(
    network: nn.Module,
    shape: tuple[int, int, int],
    levels: Float64Array,
    *,
    upper: float = 1.0,
    standardisation: tuple[Tensor, Tensor] | None = None,
) -> IntegerNetwork:
    """Return a network that computes in whole numbers what a binarised one computes in floats.

    In real arithmetic it is the same network, but for weights that are not -1, 0 and +1, which are
    rounded to 16 bits, logits that are not whole, to 20 bits, and codewords off the grey levels, to
    1/256 of a level.

    Args:
        network: A chain of `BinarizedLinear` and `BinarizedConv2d` with signs of activations
            between them, each with max pooling and batch normalisation behind it or not; the first
            one takes real inputs, and may be torch's own layer. Read in evaluation mode.
        shape: Of an input.
        levels: Codewords that inputs are made of, on the 255 scale, any shape.
        upper: Top of the input range, 1 or 255.
        standardisation: Mean and deviation that inputs are standardised by first, tensors that fit
            an input.

    Raises:
        CertificateError: It is made of something else, or its sums could be too large.
    """
    steps = _steps(levels)
    mean, std = standardisation or (torch.zeros(()), torch.ones(()))
    entry = Entry(
        np.broadcast_to(array_of(mean), shape),
        np.broadcast_to(array_of(std), shape),
        Fraction(upper) / (255 * steps),
        255.0 * steps,
    )
    folding = _Folding(tuple(shape), entry)
    for module in _chain(network):
        folding.take(module)
    return folding.network(upper, steps)


def _steps(levels: Float64Array) -> int:
    """Return into how many parts a grey level is divided, so that codewords are whole."""
    for bits in range(_LEVEL_BITS):
        scaled = np.asarray(levels, np.float64) * 2**bits
        if (np.abs(scaled - np.rint(scaled)) <= _ON_GRID).all():
            return 1 << bits
    return 1 << _LEVEL_BITS


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """The layers that are read as they are, and torch's."""
        ours = isinstance(m, BinarizedLinear | BinarizedConv2d | OutputScale)
        return ours or super().is_leaf_module(m, module_qualified_name)


def _chain(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of a network, each of which takes what the one before returns."""
    root = nn.Sequential(network)
    try:
        nodes = list(_Tracer().trace(root).nodes)
    # the user's own code runs here, on what is no tensor, and may raise anything
    except Exception as error:  # noqa: BLE001 - see above
        refuse(f"{type(network).__name__}, which torch.fx cannot follow ({error})")
    for before, node in itertools.pairwise(nodes):
        if node.op == "call_module" and node.args == (before,) and not node.kwargs:
            yield root.get_submodule(str(node.target))
        elif node.op != "output" or node.args != (before,):
            flattened = node.target in (torch.flatten, "flatten") and node.args == (before, 1)
            if not flattened or node.kwargs:
                refuse(f"{node.format_node()} in forward")


class _Folding:
    """The layers so far, and the one that is open."""

    def __init__(self, shape: tuple[int, ...], entry: Entry) -> None:
        self.shape = shape
        self.entry: Entry | None = entry
        self.hidden: list[Thresholds] = []
        self.open: Open | None = None

    def take(self, module: Any) -> None:
        """Fold one layer more."""
        kind = type(module)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            self._layer(module)
        elif kind is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
            pass
        elif kind in _BEHIND and self.open is not None:
            self.open = _BEHIND[kind](module, self.open)
        elif kind not in (nn.Identity, nn.Dropout, nn.Dropout2d):
            refuse(f"{module}" + ("" if self.open is not None else " before the first layer"))

    def _layer(self, module: Any) -> None:
        how = _check_layer(module, first=self.open is None)
        if self.open is not None:
            layer = _closed(self.open)
            self.hidden.append(layer)
            self.shape, self.entry = layer.outputs, None
        given = array_of(module.weight if how is None else module.signs)
        sums, units = sums_of(module, self.shape, given, self.entry)
        alpha = None if how is None else module.alpha
        ones, zeros = np.ones(len(given)), np.zeros(len(given))
        self.open = Open(
            sums,
            units,
            ones if alpha is None else array_of(alpha),
            zeros if module.bias is None else array_of(module.bias),
            Norm(ones, zeros, zeros, ones),
            () if self.entry is None else offsets_of(sums, self.entry),
            1.0 if self.entry is None else self.entry.largest,
        )

    def network(self, upper: float, steps: int) -> IntegerNetwork:
        """Return the network, the open layer being its last."""
        last = self.open
        if last is None or len(last.sums.outputs) != 1 or last.pool is not None:
            refuse("a network that does not end with a fully connected layer")
        if nn.Hardtanh in last.done:
            refuse("a network that cuts its logits off")
        scale = last.factor * last.norm.gain / np.sqrt(last.norm.variance)
        unit = np.array([float(each) for each in last.units]) * last.alpha
        offset = np.array([float(last.offset(place)) for place in range(len(unit))])
        rows = array_of(last.sums.weight) * (scale * unit)[:, None]
        constants = scale * (last.bias - last.norm.mean - unit * offset)
        constants = constants + last.factor * last.norm.shift
        bits = _logit_bits(rows, constants)
        whole = [torch.from_numpy(np.rint(v * 2.0**bits)) for v in (rows, constants)]
        return IntegerNetwork(
            self.hidden,
            Sums(whole[0], last.sums.shape),
            whole[1],
            upper=upper,
            steps=steps,
            fractions=bits,
        )


def _check_layer(module: Any, *, first: bool) -> Any:
    """Return a layer's binarisation; refuse one whose inputs are not what its place asks."""
    name, how = type(module).__name__, getattr(module, "binarization", None)
    if type(module).forward not in (
        nn.Linear.forward,
        nn.Conv2d.forward,
        BinarizedLinear.forward,
    ):
        refuse(f"{name}, which has a forward of its own")
    activations = "real" if how is None else how.activations
    if activations != ("real" if first else "binary"):
        refuse(f"{name}, {'the first, on' if first else 'behind others, on'} {activations} inputs")
    if how is not None and how.zero != 1:
        refuse(f"{name} with sign(0) = 0 (the preset paper)")
    return how


def _normalised(module: Any, given: Open) -> Open:
    if module.running_mean is None:
        refuse(f"{module}, which takes the batch's statistics")
    mean = array_of(module.running_mean)
    if len(mean) != given.sums.outputs[0] or nn.Hardtanh in given.done:
        refuse(f"{module} of other than a layer's channels")
    gain = np.ones_like(mean) if module.weight is None else array_of(module.weight)
    shift = np.zeros_like(mean) if module.bias is None else array_of(module.bias)
    # in float64, so that eps is not lost; read from there on as it is
    norm = Norm(gain, shift, mean, array_of(module.running_var) + module.eps)
    if not (norm.variance > 0).all():
        refuse(f"{module} of a variance that is not positive")
    return given.behind(Norm, norm=norm)


def _pooled(module: nn.MaxPool2d, given: Open) -> Open:
    if module.ceil_mode or module.return_indices or len(given.sums.outputs) != 3:
        refuse(f"{module}")
    kernel = module.kernel_size
    pair = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
    pool = {**windows_of(module), "kernel_size": pair}
    return given.behind(nn.MaxPool2d, pool=pool, late=Norm in given.done)


def _cut(module: nn.Hardtanh, given: Open) -> Open:
    if not module.min_val < 0 <= module.max_val:
        refuse(f"{module}, which may change a sign")
    return given.behind(nn.Hardtanh)


def _scaled(module: OutputScale, given: Open) -> Open:
    return given.behind(OutputScale, factor=float(array_of(module.scale)))


_BEHIND: dict[type, Callable[[Any, Open], Open]] = {
    nn.BatchNorm1d: _normalised,
    nn.BatchNorm2d: _normalised,
    nn.MaxPool2d: _pooled,
    nn.Hardtanh: _cut,
    OutputScale: _scaled,
}


def _closed(given: Open) -> Thresholds:
    """Return the signs of a layer's outputs."""
    if OutputScale in given.done:
        refuse("an OutputScale that is not the last")
    weight = given.sums.weight.clone()
    filters, each = len(weight), math.prod(given.sums.outputs[1:])
    largest = weight.abs().flatten(1).sum(dim=1) * given.largest + 1
    thresholds = np.empty((filters, each))
    slopes, turns = torch.ones(filters), torch.ones(filters)
    for place in range(filters):
        rule = Rule.of(given, place)
        # the largest sum of a window comes before what turns it
        turned = rule.direction < 0 and given.pool is not None and not given.late
        turns[place] = -1 if turned else 1
        slopes[place] = max(rule.slope, _LEAST_SLOPE)
        weight[place] *= 1 if turned else rule.direction
        offsets = [given.offset(place * each + i) for i in range(each)]
        known = {offset: rule.threshold(offset, turned=turned) for offset in set(offsets)}
        most = int(largest[place])
        thresholds[place] = [max(-most, min(most, known[offset])) for offset in offsets]
    sums = Sums(weight, given.sums.shape, given.sums.windows, given.sums.groups)
    made = torch.from_numpy(thresholds).reshape(given.sums.outputs)
    return Thresholds(sums, made, slopes, turns, given.pool)


def _logit_bits(rows: Float64Array, constants: Float64Array) -> int:
    """Return how many bits the fractions of logits keep: as few as are whole, or `_LOGIT_BITS`."""
    numbers = np.concatenate([rows.reshape(-1), constants])
    for bits in range(_LOGIT_BITS):
        scaled = numbers * 2.0**bits
        if (scaled == np.rint(scaled)).all():
            return bits
    return min(_LOGIT_BITS - math.frexp(np.abs(numbers).max())[1], _MOST_BITS)
