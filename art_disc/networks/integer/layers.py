"""A layer of a network of signs, read in whole numbers, and what comes behind its sums."""

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.core.checks import Float64Array
from art_disc.core.errors import CertificateError
from art_disc.networks.binarised import OutputScale
from art_disc.networks.integer.network import Sums, Windows

# bits of weights that are not whole
_BITS = 16


def refuse(what: str) -> NoReturn:
    """Say what there is no network of whole numbers for.

    Raises:
        CertificateError: Always.
    """
    msg = (
        f"no network of whole numbers for {what}; it takes chains of BinarizedLinear and "
        "BinarizedConv2d with signs between them (sign(0) = +1), MaxPool2d, and one batch "
        "normalisation a layer"
    )
    raise CertificateError(msg)


@dataclass(frozen=True, slots=True)
class Entry:
    """How inputs follow from whole numbers L: (L unit - mean) / std, arrays of their shape.

    None of them is larger than `largest`.
    """

    mean: Float64Array
    std: Float64Array
    unit: Fraction
    largest: float


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch normalisation: gain (z - mean) / sqrt(variance) + shift, numbers of a channel."""

    gain: Float64Array
    shift: Float64Array
    mean: Float64Array
    variance: Float64Array


@dataclass(frozen=True, slots=True)
class Open:
    """A layer whose outputs are not used yet.

    Of whole sums X it makes alpha (X - offset) unit + bias, then normalises that. `late` says
    whether its largest values are taken behind the normalisation, or before it.
    """

    sums: Sums
    units: tuple[Fraction, ...]
    alpha: Float64Array
    bias: Float64Array
    norm: Norm
    # a mean of inputs, and for each sum the weights of those that have it
    offsets: tuple[tuple[Fraction, Float64Array], ...]
    largest: float
    done: frozenset[type] = field(default_factory=frozenset)
    pool: Windows | None = None
    late: bool = False
    factor: float = 1.0

    def offset(self, place: int) -> Fraction:
        """What a sum would be of inputs that are all at their means."""
        return sum((mean * int(count[place]) for mean, count in self.offsets), Fraction(0))

    def behind(self, kind: type, **changes: Any) -> "Open":
        """Return it with one more step behind it; each kind comes once, a scale as the last."""
        if kind in self.done or OutputScale in self.done:
            refuse(f"{kind.__name__} behind another one, or behind an OutputScale")
        return replace(self, done=self.done | {kind}, **changes)


def array_of(values: Tensor) -> Float64Array:
    """Return numbers of a network in float64; refuse NaN and infinite ones."""
    made: Float64Array = values.detach().double().numpy(force=True)
    if not np.isfinite(made).all():
        refuse("a network of which a number is NaN or infinite")
    return made


def sums_of(
    module: Any, shape: tuple[int, ...], weight: Float64Array, entry: Entry | None
) -> tuple[Sums, tuple[Fraction, ...]]:
    """Return the sums of a layer in whole numbers, and the worth of 1 in each filter's."""
    unit = Fraction(1)
    if entry is not None:
        if not (entry.std > 0).all():
            refuse("a standardisation by deviations that are not positive")
        unit = entry.unit / Fraction(float(entry.std.flat[0]))
        if (entry.std != entry.std.flat[0]).any():
            weight = weight * _relative(module, entry.std)
    whole, units = np.empty_like(weight), []
    for place, row in enumerate(weight):
        largest = np.abs(row).max(initial=0)
        bits = 0 if np.isin(row, (-1, 0, 1)).all() else _BITS - math.frexp(largest)[1]
        whole[place] = np.rint(np.ldexp(row, bits))
        units.append(unit / Fraction(2) ** bits)
    if isinstance(module, nn.Linear):
        if weight.shape[1] != math.prod(shape):
            refuse(f"a matrix of {weight.shape[1]} inputs behind {math.prod(shape)} values")
        made = Sums(torch.from_numpy(whole), (weight.shape[1],))
    else:
        made = Sums(torch.from_numpy(whole), shape, windows_of(module), module.groups)
    return made, tuple(units)


def _relative(module: Any, std: Float64Array) -> Float64Array:
    """Return the first deviation over that of each weight's input, to multiply weights with."""
    ratio = std.flat[0] / std
    if isinstance(module, nn.Linear):
        return np.asarray(ratio.reshape(1, -1))
    if (ratio != ratio[:, :1, :1]).any():
        refuse("a convolution of inputs whose deviations differ within a channel")
    by_group = ratio[:, 0, 0].reshape(module.groups, 1, -1)
    filters = module.out_channels // module.groups
    return np.repeat(by_group, filters, axis=1).reshape(module.out_channels, -1, 1, 1)


def windows_of(module: Any) -> Windows:
    """Return stride, padding and dilation of a layer as pairs; refuse what pads otherwise."""
    padding = (0, 0) if module.padding == "valid" else module.padding
    if isinstance(padding, str) or getattr(module, "padding_mode", "zeros") != "zeros":
        refuse(f"{module}")
    given = {"stride": module.stride, "padding": padding, "dilation": module.dilation}
    return {name: (v, v) if isinstance(v, int) else tuple(v) for name, v in given.items()}


def offsets_of(sums: Sums, entry: Entry) -> tuple[tuple[Fraction, Float64Array], ...]:
    """Return each mean of inputs but 0, and for each sum the weights of those that have it."""
    found = []
    for mean in np.unique(entry.mean[entry.mean != 0]):
        inputs = torch.from_numpy((entry.mean == mean).astype(np.float64))[None]
        counts = array_of(sums(inputs)).reshape(-1)
        found.append((Fraction(float(mean)) / entry.unit, counts))
    return tuple(found)
