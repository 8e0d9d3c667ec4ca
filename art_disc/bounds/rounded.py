"""Exact arithmetic: a network whose numbers are so short that float64 never rounds.

Factors of normalisation and of average pooling are folded into weights, then all numbers are
rounded to multiples of 2^-bits. On inputs that are such multiples too, every value of the network
is a multiple of some 2^-f, and the sizes of all terms of a sum add up to less than 2^(53 - f): each
sum is exact in any order, with fused products or without. That is checked for each step, from the
range of the inputs. Convolutions are matrix products of patches: fast algorithms (Winograd, FFT)
take sums that are not of this kind.
"""

import math
from dataclasses import fields, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_disc.bounds.affine import Affine, Box, Dense, Reshape, Scale
from art_disc.bounds.convolutions import Convolution, TransposedConvolution
from art_disc.bounds.graph import Graph, Step
from art_disc.bounds.interval import boxes_of
from art_disc.bounds.smooth import Tanh
from art_disc.core.errors import CertificateError

_PATCH = ("kernel_size", "stride", "padding", "dilation")
# of float64, less one for the middles of boxes
_MOST_BITS = 52


class PatchConvolution(Convolution):
    """A convolution as a product of a matrix and the patches of an image."""

    __slots__ = ()

    @property
    def _patches(self) -> dict[str, Any]:
        kept = {name: self.options[name] for name in ("stride", "padding", "dilation")}
        return {"kernel_size": self.weight.shape[2:], **kept}

    def _grouped(self, weight: Tensor) -> Tensor:
        groups = int(self.options["groups"])
        return weight.reshape(groups, weight.shape[0] // groups, -1)

    def linear(self, *values: Tensor, absolute: bool = False) -> Tensor:
        """See `Affine`."""
        weight = self._grouped(self.weight.abs() if absolute else self.weight)
        patches = functional.unfold(values[0], **self._patches)
        grouped = patches.reshape(len(patches), len(weight), weight.shape[2], patches.shape[2])
        sides = zip(self.shape[1:], *(self._patches[name] for name in _PATCH), strict=True)
        after = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides]
        return (weight @ grouped).reshape(len(patches), len(self.weight), *after)

    def pull(self, rows: Tensor) -> tuple[Tensor, ...]:
        """See `Affine`."""
        weight = self._grouped(self.weight)
        flat = rows.reshape(len(rows), *weight.shape[:2], math.prod(rows.shape[2:]))
        patches = (weight.mT @ flat).reshape(
            len(rows), len(weight) * weight.shape[2], flat.shape[3]
        )
        return (functional.fold(patches, self.shape[1:], **self._patches),)


class _Grid(torch.autograd.Function):
    """Rounding to multiples of a step, with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, step: float) -> Tensor:  # noqa: ARG004
        return torch.round(value / step) * step

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grads[0], None


class RoundedNetwork(nn.Module):
    """A network of numbers that are multiples of 2^-bits, in float64, without rounding.

    Its scores are the logits less the largest one: differences that float32, to which ART turns
    predictions, cannot make vanish.

    Args:
        graph: The network, in float64.
        low: Least input that there can be, shape (...), without a batch axis.
        high: Largest input that there can be.
        bits: Of the fractions of its numbers.

    Attributes:
        graph: The rounded network behind `entry`, whose linear bounds are `rigorous`.

    Raises:
        CertificateError: Some sum could be inexact; fewer bits, or fewer layers, are the cure. Or a
            layer that has no exact arithmetic.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, graph: Graph, low: Tensor, high: Tensor, bits: int = 8) -> None:
        super().__init__()
        self.bits = bits
        factor, offset, rest = _entry(graph)
        self.register_buffer("factor", factor)
        self.register_buffer("offset", offset)
        self.graph = _rounded(_folded(rest), bits)
        # so that hashes of weights and state dicts see them
        for i, step in enumerate(self.graph.steps):
            for j, number in enumerate(_numbers(step)):
                self.register_buffer(f"number_{i}_{j}", torch.as_tensor(number))
        self.check_exact(low, high)

    def check_exact(self, low: Tensor, high: Tensor) -> None:
        """Refuse numbers that are not of `bits`, and inputs for which a sum could be inexact.

        Args:
            low: Least input that there can be, shape (...), without a batch axis.
            high: Largest input that there can be.

        Raises:
            CertificateError: They are not what the constructor made, or other inputs than it was
                told of.
        """
        numbers = [torch.as_tensor(n) for step in self.graph.steps for n in _numbers(step)]
        short = all(bool((n.isfinite() & (_short(n, self.bits) == n)).all()) for n in numbers)
        rising = bool((self.factor.isfinite() & (self.factor > 0) & self.offset.isfinite()).all())
        if not (short and rising):
            msg = (
                f"the numbers of a rounded network must be multiples of 2^-{self.bits}, and its "
                "factors of inputs positive, got others; change the network that it was rounded "
                "from, and round that again"
            )
            raise CertificateError(msg)
        ends = [self.entry(end[None].to(self.factor.device)) for end in (low, high)]
        _check_exact(self.graph, (ends[0], ends[1]), self.bits)

    def entry(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Return inputs as the network takes them: standardised, multiples of 2^-bits.

        They are images (n, ...), or values (n, p) at `places` of the flattened images.
        """
        factor, offset = self.factor, self.offset
        if places is not None:
            factor, offset = factor.flatten()[places], offset.flatten()[places]
        x = x.to(torch.float64) * factor + offset
        return cast(Tensor, _Grid.apply(x, 2.0**-self.bits))  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits less the largest one, float64 (n, classes), of inputs (n, ...)."""
        logits = self.graph(self.entry(x))
        return logits - logits.amax(dim=1, keepdim=True)


def _entry(graph: Graph) -> tuple[Tensor, Tensor, Graph]:
    """Split off leading factors, all positive, and offsets, which inputs are rounded behind."""
    shape = graph.shapes[0]
    factor = torch.ones(shape, dtype=torch.float64)
    offset = torch.zeros(shape, dtype=torch.float64)
    count = 0
    for (made, step, _), users in zip(graph, _users(graph), strict=False):
        if not isinstance(step, Scale) or users != [made] or not bool((step.factor > 0).all()):
            break
        factor, offset, count = factor * step.factor, step(offset), made
    rest = tuple(tuple(i - count for i in taken) for taken in graph.inputs[count:])
    return (
        factor,
        offset,
        replace(graph, steps=graph.steps[count:], inputs=rest, shapes=graph.shapes[count:]),
    )


def _users(graph: Graph) -> list[list[int]]:
    """Of each value, the values made from it."""
    return [
        [made for made, _, taken in graph if value in taken] for value in range(len(graph.shapes))
    ]


def _folded(graph: Graph) -> Graph:
    """Fold factors into the convolution or matrix before them, and averages into the one behind."""
    steps, users = list(graph.steps), _users(graph)
    one = torch.ones((), dtype=torch.float64)
    for made, step, taken in graph:
        before = taken[0]
        maker = steps[before - 1] if before else None
        if isinstance(step, Scale) and users[before] == [made]:
            merged = _scaled(maker, step)
            if merged is not None:
                steps[before - 1] = merged
                steps[made - 1] = replace(step, factor=one, offset=None, terms_of_offset=None)
        if isinstance(steps[made - 1], Dense) and isinstance(maker, Reshape):
            source = graph.inputs[before - 1][0]
            pooled = steps[source - 1] if source else None
            chain = users[before] == [made] and source and users[source] == [before]
            if chain and isinstance(pooled, Convolution) and _is_average(pooled):
                share = float(pooled.weight.flatten()[0])
                steps[source - 1] = replace(pooled, weight=torch.ones_like(pooled.weight))
                dense = cast(Dense, steps[made - 1])
                steps[made - 1] = replace(dense, weights=(dense.weights[0] * share,))
    return replace(graph, steps=tuple(steps))


def _is_average(step: Convolution) -> bool:
    return step.offset is None and bool((step.weight == step.weight.flatten()[0]).all())


def _scaled(maker: Step | None, step: Scale) -> Step | None:
    """Return a matrix or a convolution with a factor and an offset of its outputs folded in."""
    if isinstance(maker, Dense) and step.factor.ndim <= 1:
        by = step.factor.reshape(-1, 1)
        weights: dict[str, Any] = {"weights": tuple(w * by for w in maker.weights)}
    elif isinstance(maker, Convolution) and _by_channel(step.factor):
        weights = {"weight": maker.weight * step.factor.reshape(-1, 1, 1, 1)}
    else:
        return None
    zero = torch.zeros_like(step.factor)
    offset = step(zero if maker.offset is None else maker.offset)
    return replace(maker, offset=offset.expand(maker.outputs), **weights)


def _by_channel(factor: Tensor) -> bool:
    """Whether a factor is one number, or one a channel; shape (w,) is one a column."""
    return factor.ndim == 0 or (factor.ndim == 3 and factor[0].numel() == 1)


def _rounded(graph: Graph, bits: int) -> Graph:
    steps = []
    for step in graph.steps:
        if isinstance(step, Tanh | TransposedConvolution):
            msg = f"no exact arithmetic for {type(step).__name__}; use arithmetic='float'"
            raise CertificateError(msg)
        values = {f.name: _short(getattr(step, f.name), bits) for f in fields(step)}
        if isinstance(step, Scale):
            # an offset is one rounded number here
            values["terms_of_offset"] = None
        kind = PatchConvolution if isinstance(step, Convolution) else type(step)
        steps.append(kind(**values))
    return replace(graph, steps=tuple(steps), rigorous=True)


def _short(value: Any, bits: int) -> Any:
    """Return numbers, alone, in tensors or in tuples of them, as multiples of 2^-bits."""
    if isinstance(value, tuple):
        return tuple(_short(each, bits) if isinstance(each, Tensor) else each for each in value)
    if isinstance(value, float):
        return round(value * 2**bits) / 2**bits
    if isinstance(value, Tensor) and value.is_floating_point():
        return torch.round(value.to(torch.float64) * 2**bits) / 2**bits
    return value


def _length(value: Any, bits: int) -> int:
    """How many bits the fractions of numbers really have."""
    numbers = torch.as_tensor(value, dtype=torch.float64) * 2**bits
    while bits and bool((numbers / 2 == torch.round(numbers / 2)).all()):
        numbers, bits = numbers / 2, bits - 1
    return bits


def _numbers(step: Step) -> list[Any]:
    """Return the numbers, tensors of them too, that a step works with."""
    values = (getattr(step, f.name) for f in fields(step))
    parts = (part for v in values for part in (v if isinstance(v, tuple) else (v,)))
    return [
        part
        for part in parts
        if isinstance(part, float) or (isinstance(part, Tensor) and part.is_floating_point())
    ]


def _check_exact(graph: Graph, ends: Box, bits: int) -> None:
    """Refuse a graph of which a sum could need more bits than float64 has.

    Sizes go through runs of affine steps without regard to what cancels, so that matrices for whole
    runs are exact too.
    """
    boxes = boxes_of(graph, *ends)
    sizes = [torch.maximum(*(end.abs() for end in box)) for box in boxes]
    lengths = [bits]
    for made, step, taken in graph:
        own = max((_length(number, bits) for number in _numbers(step)), default=0)
        lengths.append(max(lengths[i] for i in taken) + own)
        if isinstance(step, Affine):
            sizes[made] = step.size(*[sizes[i] for i in taken])
        # margins are differences of two logits
        largest = float(sizes[made].max()) * (2 if made == len(graph.steps) else 1)
        need = lengths[-1] + math.ceil(math.log2(max(largest, 1.0)))
        if need > _MOST_BITS:
            msg = (
                f"step {made} of {len(graph.steps)} ({type(step).__name__}) of the rounded network "
                f"needs {need} bits, exact sums in float64 have {_MOST_BITS}; use fewer bits than "
                f"{bits}, fewer layers, or arithmetic='float'"
            )
            raise CertificateError(msg)
