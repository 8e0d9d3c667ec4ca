"""Norms of layers: proved upper bounds, and weights that are rescaled to at most a given one.

Both stand on the Gram matrix G of a layer's rows, its outputs as functions of the input. A
convolution that pads with zeros is one without padding, of a larger image whose rim is 0; without
padding, the inner product of two of its rows depends on channels and shift alone.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

# of positive vectors that are tried; each gives a bound, the last ones the best
_ROUNDS = 50


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


def norm_bound(layer: nn.Linear | nn.Conv2d) -> float:
    """Return an upper bound of a layer's l2 operator norm, for images of any size.

    |W|_2^2 = |W W^T|_2, which is at most the spectral radius of the magnitudes M of W W^T, and that
    is at most max_i (M v)_i / v_i for every v > 0 (Collatz, Wielandt): a v that is chosen badly
    gives a larger bound, never a wrong one. In 64 bits, rounded outwards.

    Args:
        layer: A linear layer, or a square convolution without dilation and groups.
    """
    stride = layer.stride[0] if isinstance(layer, nn.Conv2d) else 1
    weight = layer.weight.detach().to(torch.float64)
    # each inner product, and each sum of them over shifts, is off by less than this
    slack = weight[0].numel() ** 2 * 2.0**-51 * float(weight.abs().max()) ** 2
    magnitudes = gram_magnitudes(weight, stride) + slack
    tried = magnitudes.new_ones(len(magnitudes))
    least = math.inf
    for _ in range(_ROUNDS):
        grown = magnitudes @ tried
        least = min(least, float((grown / tried).max()))
        # a row of zeros stays positive
        tried = (grown / grown.max().clamp(min=1e-300)).clamp(min=1e-12)
    return math.sqrt(least) * (1 + 1e-10)


class Contraction(nn.Module):
    """The weight of a layer whose l2 norm is at most `norm`, whatever the weight that is learned.

    Row i is divided by the root of sum_j M_ij, M being `gram_magnitudes`: D M D with D_i =
    (sum_j M_ij)^-1/2 is similar to D^2 M, whose rows sum to 1.

    Args:
        stride: Of the convolution.
        norm: The bound.

    Source: Prach, Lampert 2022 (almost-orthogonal layers), here of rows.
    """

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


def contract(layer: nn.Linear | nn.Conv2d, norm: float = 1.0) -> None:
    """Let a layer learn weights of an l2 norm of at most `norm`, until `release` is called."""
    stride = layer.stride[0] if isinstance(layer, nn.Conv2d) else 1
    parametrize.register_parametrization(layer, "weight", Contraction(stride, norm))


def release(model: nn.Module) -> None:
    """Turn every layer of `contract` into a plain one again, of the weights that it has then.

    What rounding adds to a norm is taken away: `norm_bound` is at most the norm that was asked for.
    """
    for module in list(model.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d) and parametrize.is_parametrized(module):
            (kept,) = (part for part in module.modules() if isinstance(part, Contraction))
            parametrize.remove_parametrizations(module, "weight")
            over = norm_bound(module) / kept.norm
            if over > 1:
                with torch.no_grad():
                    module.weight /= over * (1 + 2.0**-20)
