"""Norms of layers: proved upper bounds, and weights that are rescaled to at most a given one.

A convolution that pads with zeros is one without padding, of a larger image whose rim is 0, and
that is a part of one of the whole plane: its norm is at most the plane's, for images of any size.
There the inner product of two rows, outputs as functions of the input, depends on channels and
shift alone, and waves are stretched frequency by frequency.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from art_disc.core.checks import check_choice

# frequencies looked at in a period of the fastest wave of a squared norm
_FREQUENCIES = 24


def gram_magnitudes(weight: Tensor, stride: int = 1) -> Tensor:
    """Return for two output channels the sum over all shifts of |inner product of their rows|.

    Args:
        weight: Of a linear layer (out, in), or of a convolution (out, in, k, k).
        stride: Of the convolution; rows are that far apart.

    Returns:
        (out, out), >= 0, on the graph of the weight.
    """
    if weight.ndim == 2:
        return (weight @ weight.T).abs()
    # shifts that are multiples of the stride, from the largest at which the windows overlap
    reach = (weight.shape[2] - 1) // stride * stride
    shifts = functional.conv2d(weight, weight, stride=stride, padding=reach)
    return shifts.abs().sum(dim=(2, 3))


def norm_bound(layer: nn.Linear | nn.Conv2d, order: float = 2) -> float:
    """Return an upper bound of a layer's l2 or l_inf operator norm, for images of any size.

    In l_inf: the largest absolute sum of a row, of a convolution that of a kernel.

    In l2: of a linear layer the norm; of a convolution that of the whole plane, up to 1 %: the
    largest stretch of a wave, of those on a grid of frequencies, over what may lie between these.
    The squared length of what becomes of a unit wave is, in each of its two frequencies, a
    trigonometric polynomial of a degree d between 0 and its maximum M, which at one of N evenly
    spaced points is at least M cos(pi d / 2 N)^2 (M. Riesz: less M / 2, it falls from its maximum
    no faster than a cosine of its degree). All in 64 bits, rounded outwards. Infinite for weights
    that are no numbers, and for a convolution with dilation, groups, unequal sides or strides, or
    another padding than zeros.

    Args:
        layer: A linear layer, or a convolution.
        order: 2 or inf.

    Raises:
        InputError: Another order.
    """
    check_choice(order, "order", (2, math.inf))
    weight = layer.weight.detach().to("cpu", torch.float64)
    largest = float(weight.abs().max())
    if not math.isfinite(largest) or (isinstance(layer, nn.Conv2d) and not _plain(layer)):
        return math.inf
    if largest == 0:
        return 0.0
    # in 64 bits a sum of so many products is off by less, as are eigenvalues
    slack = 1 + weight.numel() * 2.0**-51
    if order == math.inf:
        return float(weight.flatten(1).abs().sum(dim=1).max()) * slack
    weight = weight / largest
    if isinstance(layer, nn.Linear):
        return largest * math.sqrt(_largest(weight)) * slack
    return largest * math.sqrt(_stretch(_phases(weight, layer.stride[0]))) * slack


def _plain(layer: nn.Conv2d) -> bool:
    sides = {*layer.kernel_size}, {*layer.stride}, {*layer.dilation}
    alike = all(len(each) == 1 for each in sides) and layer.dilation[0] == layer.groups == 1
    return alike and layer.padding_mode == "zeros"


def _stretch(kernel: Tensor) -> float:
    """Return an upper bound of how far the squares of waves of the plane are stretched."""
    degree = kernel.shape[2] - 1
    points = max(1, _FREQUENCIES * degree)
    # real kernels stretch waves of opposite frequencies alike
    half = torch.fft.rfft(kernel, n=points, dim=3)
    most = 0.0
    for turn in range(points):
        phase = torch.arange(degree + 1) * (-2j * math.pi * turn / points)
        symbols = torch.einsum("oikf,k->foi", half, phase.to(half.dtype).exp())
        most = max(most, _largest(symbols))
    return most / math.cos(math.pi * degree / (2 * points)) ** 4


def _largest(matrices: Tensor) -> float:
    """Return the largest squared norm of matrices (..., rows, columns)."""
    wide = matrices.shape[-2] <= matrices.shape[-1]
    gram = matrices @ matrices.mH if wide else matrices.mH @ matrices
    return max(0.0, float(torch.linalg.eigvalsh(gram).max()))


def _phases(weight: Tensor, stride: int) -> Tensor:
    """Return a convolution with a stride as one without, of images whose pixels are blocks."""
    out, channels, size, _ = weight.shape
    blocks = -(-size // stride)
    wide = functional.pad(weight, (0, blocks * stride - size) * 2)
    cut = wide.view(out, channels, blocks, stride, blocks, stride)
    return cut.permute(0, 1, 3, 5, 2, 4).reshape(out, channels * stride**2, blocks, blocks)


class Contraction(nn.Module):
    """The weight of a layer whose l2 norm is at most `norm`, whatever the weight that is learned.

    Row i is divided by the root of sum_j M_ij, M being `gram_magnitudes`: D M D with D_i =
    (sum_j M_ij)^-1/2 is similar to D^2 M, whose rows sum to 1.

    Args:
        stride: Of the convolution.
        norm: The bound.

    Source: Prach, Lampert 2022 (almost-orthogonal layers), here of rows.
    """

    order = 2.0

    def __init__(self, stride: int = 1, norm: float = 1.0) -> None:
        super().__init__()
        self.stride = stride
        self.norm = norm

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rescaled weight."""
        sums = gram_magnitudes(weight, self.stride).sum(dim=1)
        # a row of zeros has no length to divide by
        scale = self.norm * sums.clamp(min=1e-30).rsqrt()
        return weight * scale.view(-1, *[1] * (weight.ndim - 1))


class RowSums(nn.Module):
    """The weight of a layer whose rows have absolute sums of `norm`, which is its l_inf norm.

    Rows of 0 stay so.
    """

    order = math.inf

    def __init__(self, norm: float = 1.0) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rescaled weight."""
        sums = weight.flatten(1).abs().sum(dim=1)
        scale = self.norm / sums.clamp(min=1e-30)
        return weight * scale.view(-1, *[1] * (weight.ndim - 1))


def contract(layer: nn.Linear | nn.Conv2d, norm: float = 1.0, order: float = 2) -> None:
    """Let a layer learn weights of a norm of at most `norm`, until `release` is called.

    Args:
        layer: A linear layer, or a convolution.
        norm: The bound.
        order: Of the norm, 2 or inf.

    Raises:
        InputError: Another order.
    """
    check_choice(order, "order", (2, math.inf))
    stride = layer.stride[0] if isinstance(layer, nn.Conv2d) else 1
    kept = RowSums(norm) if order == math.inf else Contraction(stride, norm)
    parametrize.register_parametrization(layer, "weight", kept)


def release(model: nn.Module) -> None:
    """Turn every layer of `contract` into a plain one again, of the weights that it has then.

    What rounding adds to a norm is taken away, and of a convolution what `norm_bound` may say too
    much: that is at most the norm that was asked for.
    """
    for module in list(model.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d) and parametrize.is_parametrized(module):
            (kept,) = (p for p in module.modules() if isinstance(p, Contraction | RowSums))
            parametrize.remove_parametrizations(module, "weight")
            over = norm_bound(module, kept.order) / kept.norm
            if over > 1:
                with torch.no_grad():
                    module.weight /= over * (1 + 2.0**-20)
