"""Networks of signs in whole numbers: sums of integers, and thresholds in the place of norms.

Every sum is of whole numbers below 2^52, so that float64 never rounds it, in whatever order a
kernel takes it. Convolutions are products with patches: fast algorithms (Winograd, FFT) take sums
that are not of this kind.
"""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from art_disc.core.checks import IntArray
from art_disc.core.errors import CertificateError
from art_disc.networks.sign import chosen, sign
from art_disc.surrogates import straight_through

# whole numbers that float64 adds without rounding
_MOST = 2.0**52
_TIE_BITS = 16
# so that levels are whole numbers of float32, and differences of scores are numbers of it
_MOST_LEVEL, _MOST_BITS = 2.0**24, 100
# of kernels, each a pair
Windows = Mapping[str, tuple[int, ...]]


def _unfolded(x: Tensor, windows: Windows) -> Tensor:
    """Return the patches of images (n, c, h, w), shape (n, c kh kw, places)."""
    names = ("kernel_size", "dilation", "padding", "stride")
    return functional.unfold(x, *(windows[name] for name in names))


def _sides(shape: Sequence[int], windows: Windows) -> tuple[int, ...]:
    names = ("kernel_size", "stride", "padding", "dilation")
    each = zip(shape[1:], *(windows[name] for name in names), strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in each)


def _numbered(shape: Sequence[int]) -> Tensor:
    """Return an image (1, ...) of the places of its values, from 1: padding is 0."""
    return torch.arange(1, math.prod(shape) + 1, dtype=torch.float64).reshape(1, *shape)


class Sums(nn.Module):
    """Weighted sums of whole numbers: a matrix, or a convolution whose border is padded with 0.

    Args:
        weight: Whole numbers, (out, in) or (out, in / groups, kh, kw).
        shape: Of one input, (features,) or (c, h, w).
        windows: Of a convolution: `stride`, `padding` and `dilation`, pairs; None: a matrix.
        groups: Of a convolution.

    Attributes:
        outputs: Shape of one output.
    """

    weight: Tensor

    def __init__(
        self,
        weight: Tensor,
        shape: Sequence[int],
        windows: Windows | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().to("cpu", torch.float64))
        self.shape, self.groups = tuple(shape), groups
        kernel = tuple(weight.shape[2:])
        self.windows = None if windows is None else {**windows, "kernel_size": kernel}
        sides = () if self.windows is None else _sides(self.shape, self.windows)
        self.outputs = (len(weight), *sides)

    def extra_repr(self) -> str:
        """Tell the geometry."""
        weight = tuple(self.weight.shape)
        return f"{weight}, shape={self.shape}, windows={self.windows}, groups={self.groups}"

    @property
    def connections(self) -> int:
        """Weights other than 0, each as often as its filter is applied."""
        return int(self.weight.count_nonzero()) * math.prod(self.outputs[1:])

    def _grouped(self, weight: Tensor) -> Tensor:
        return weight.reshape(self.groups, len(weight) // self.groups, -1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums `(n, *outputs)` of inputs (n, ...), float64."""
        if self.windows is None:
            return functional.linear(x.flatten(1), self.weight)
        patches = _unfolded(x.reshape(len(x), *self.shape), self.windows)
        weight = self._grouped(self.weight)
        made = weight @ patches.reshape(len(x), *weight.shape[::2], patches.shape[2])
        return made.reshape(len(x), *self.outputs)

    def matrix(self) -> csr_matrix:
        """Return the weights as a sparse matrix (outputs, inputs) of int64, without zeros."""
        if self.windows is None:
            return csr_matrix(self.weight.to(torch.int64).numpy(force=True))
        weight = self._grouped(self.weight.to("cpu"))
        groups, filters, size = weight.shape
        columns = _unfolded(_numbered(self.shape), self.windows).reshape(groups, 1, size, -1) - 1
        columns = columns.expand(groups, filters, size, columns.shape[3])
        values = weight[..., None].expand(columns.shape)
        units = torch.arange(math.prod(self.outputs)).reshape(groups, filters, 1, -1)
        kept = (columns >= 0) & (values != 0)
        rows, cols, data = (
            part.expand(columns.shape)[kept].to(torch.int64).numpy()
            for part in (units, columns, values)
        )
        shape = math.prod(self.outputs), math.prod(self.shape)
        return csr_matrix((data, (rows, cols)), shape=shape)


class Thresholds(nn.Module):
    """Signs of sums: +1 where the largest sum of a window reaches the threshold, else -1.

    Args:
        sums: The sums.
        thresholds: Whole numbers, shape of one output of `sums`.
        slopes: What a sum's distance from its threshold is multiplied with before the sign, one
            positive number a channel; it is seen by gradients alone.
        turns: What a channel's signs are multiplied with, +1 or -1.
        pool: Windows of max pooling, as for `Sums`, with `kernel_size`; None: each sum by itself.

    Attributes:
        outputs: Shape of one output.
    """

    thresholds: Tensor
    slopes: Tensor
    turns: Tensor

    def __init__(
        self,
        sums: Sums,
        thresholds: Tensor,
        slopes: Tensor,
        turns: Tensor,
        pool: Windows | None = None,
    ) -> None:
        super().__init__()
        self.sums, self.pool = sums, None if pool is None else dict(pool)
        for name, values in (("thresholds", thresholds), ("slopes", slopes), ("turns", turns)):
            self.register_buffer(name, values.detach().to("cpu", torch.float64))
        sides = sums.outputs[1:] if pool is None else _sides(sums.outputs, pool)
        self.outputs = (sums.outputs[0], *sides)

    def extra_repr(self) -> str:
        """Tell what pools."""
        return f"pool={self.pool}"

    def forward(self, x: Tensor) -> Tensor:
        """Return signs `(n, *outputs)` of inputs (n, ...), float64."""
        # never 0: half a step below the least sum that counts
        above = self.sums(x) - (self.thresholds - 0.5)
        if self.pool is not None:
            names = ("kernel_size", "stride", "padding", "dilation")
            kernel, stride, padding, dilation = (self.pool[name] for name in names)
            above = functional.max_pool2d(above, kernel, stride, padding, dilation)
        each = (-1, *(1,) * (above.ndim - 2))
        signs = sign(above * self.slopes.reshape(each), chosen("hard_tanh"))
        return signs * self.turns.reshape(each)

    def windows(self) -> IntArray:
        """Return the places of the sums of each output, (outputs, m), -1 beyond the border."""
        if self.pool is None:
            return np.arange(math.prod(self.outputs))[:, None]
        channels = _numbered(self.sums.outputs).reshape(-1, 1, *self.sums.outputs[1:])
        places = _unfolded(channels, self.pool) - 1
        return places.transpose(1, 2).flatten(0, 1).to(torch.int64).numpy()


class IntegerNetwork(nn.Module):
    """A network of signs on the grey levels of codewords, in whole numbers.

    Its scores are the logits less the largest one, in the unit of the network that it was made
    from: 0 for the class predicted and less for all others. Equal logits are ordered as `argmax`
    takes them, the lowest class first, so that no two scores are equal, in float32 neither.

    Args:
        hidden: Its layers of signs; may be none.
        last: Sums whose outputs, plus `constants`, are its logits, (classes,).
        constants: Whole numbers, (classes,).
        upper: Top of the input range, 1 or 255.
        steps: Into how many whole numbers a grey level is divided, a power of 2.
        fractions: Logits are multiples of 2^-fractions of those of the network it was made from.

    Raises:
        CertificateError: Numbers that are not whole, or sums that float64 may round.
    """

    constants: Tensor

    def __init__(
        self,
        hidden: Sequence[Thresholds],
        last: Sums,
        constants: Tensor,
        *,
        upper: float,
        steps: int,
        fractions: int,
    ) -> None:
        super().__init__()
        self.hidden, self.last = nn.ModuleList(hidden), last
        self.register_buffer("constants", constants.detach().to("cpu", torch.float64))
        self.upper, self.steps, self.fractions = float(upper), steps, fractions
        self.check_exact()

    def extra_repr(self) -> str:
        """Tell how levels and logits are scaled."""
        return f"upper={self.upper:g}, steps={self.steps}, fractions={self.fractions}"

    @property
    def layers(self) -> list[Thresholds]:
        """Its layers of signs."""
        return [cast(Thresholds, layer) for layer in self.hidden]

    @property
    def _order(self) -> int:
        """A power of 2, at least the number of classes: logits times it leave room for ties.

        It is so large that what orders equal logits moves a score by less than 2^-16.
        """
        bits = (len(self.constants) - 1).bit_length()
        return 1 << (bits + max(0, _TIE_BITS - self.fractions))

    def levels(self, x: Tensor) -> Tensor:
        """Return images in the input range as whole multiples of 1 / steps grey levels."""
        # of float32 the product is exact
        factor = self.steps * 255 / self.upper

        def smooth(values: Tensor) -> Tensor:
            return values.to(torch.float64) * factor

        return straight_through(x, lambda v: smooth(v).round(), smooth, max(1, len(x)))

    def logits(self, levels: Tensor) -> Tensor:
        """Return the logits, whole numbers (n, classes), of levels (n, ...)."""
        made = levels
        for layer in self.hidden:
            made = layer(made)
        logits: Tensor = self.last(made) + self.constants
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Return scores, float64 (n, classes), of images (n, ...) in the input range."""
        return self.scored(self.logits(self.levels(x)))

    def scored(self, logits: Tensor) -> Tensor:
        """Return the scores of logits (n, classes)."""
        classes = torch.arange(logits.shape[1], dtype=torch.float64, device=logits.device)
        ordered = logits * self._order - classes
        return (ordered - ordered.amax(dim=1, keepdim=True)) / (self._order * 2.0**self.fractions)

    def check_exact(self) -> None:
        """Refuse numbers that are not whole, and sums that could exceed what float64 adds exactly.

        Raises:
            CertificateError: There are such.
        """
        self._check_sizes()
        largest = 255.0 * self.steps
        for layer in self.layers:
            self._check(layer.sums.weight, layer.thresholds, largest)
            signs = bool((layer.turns.abs() == 1).all()) and bool((layer.slopes > 0).all())
            if not signs or layer.turns.dtype != torch.float64:
                msg = "turns of an IntegerNetwork must be +1 or -1 and slopes positive, in float64"
                raise CertificateError(msg)
            largest = 1.0
        # ordered, and the difference of two
        self._check(self.last.weight, self.constants, largest, 4.0 * self._order)

    def _check_sizes(self) -> None:
        """Refuse levels and logits that float32 does not hold, and numbers of other shapes."""
        if not (255 * self.steps < _MOST_LEVEL and abs(self.fractions) <= _MOST_BITS):
            msg = (
                f"levels of an IntegerNetwork must lie below 2^24 and fractions in "
                f"-{_MOST_BITS}..{_MOST_BITS}, got steps={self.steps}, fractions={self.fractions}"
            )
            raise CertificateError(msg)
        shapes = [(self.constants, self.last.outputs)]
        for layer in self.layers:
            filters = layer.sums.outputs[:1]
            shapes += [(layer.thresholds, layer.sums.outputs)]
            shapes += [(layer.slopes, filters), (layer.turns, filters)]
        for numbers, shape in shapes:
            if tuple(numbers.shape) != tuple(shape):
                msg = (
                    f"numbers beside sums of an IntegerNetwork must have shape {tuple(shape)}, got "
                    f"{tuple(numbers.shape)}"
                )
                raise CertificateError(msg)

    def _check(self, weight: Tensor, beside: Tensor, largest: float, times: float = 2.0) -> None:
        for numbers in (weight, beside):
            whole = bool((numbers.isfinite() & (numbers == numbers.round())).all())
            if not whole or numbers.dtype != torch.float64:
                msg = "the numbers of an IntegerNetwork must be whole, in float64; make it anew"
                raise CertificateError(msg)
        size = weight.abs().flatten(1).sum(dim=1).max() * largest + beside.abs().max()
        if not float(size) * times < _MOST:
            msg = (
                f"sums of an IntegerNetwork may reach {float(size):.3g}, float64 adds whole "
                f"numbers below {_MOST / times:.3g}; use fewer inputs a unit, or smaller weights"
            )
            raise CertificateError(msg)
