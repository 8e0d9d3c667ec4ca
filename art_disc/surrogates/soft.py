"""The softmax-weighted mean of codewords with its gradient in closed form.

Autograd would keep k distances, their branches and k weights of every pixel; here its c means and
their c x c slopes are kept.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.autograd.function import once_differentiable

from art_disc.core.compiled import compiler
from art_disc.surrogates.soft_blocks import SoftBlocks


def soft_mean(
    channels: Sequence[Tensor],
    levels: ArrayLike,
    metric: str,
    rate: float,
    *,
    exact: bool = False,
) -> tuple[Tensor, ...]:
    """Return sum_j c_j w_j for each channel, with w_j = softmax_j(-rate d(x, c_j)).

    Codewords are left out that together weigh less than a rounding of the whole: 2**-24 of all
    weights in float32, 2**-53 in float64. Loops that numba compiles, for float32 colours on a CPU,
    leave out none and differ by rounding. Where several channels are equally far from a codeword
    under l_inf, each takes an equal part of the slope, as in the papers' TensorFlow. The means can
    be differentiated once.

    Args:
        channels: One tensor a channel, float32 or float64 on the 255 scale, all of one shape.
        levels: The codewords, (k, c) on the 255 scale.
        metric: `l1`, `l2` or `l_inf`.
        rate: Inverse temperature, in 1 / grey levels.
        exact: Leave out none.
    """
    sloped = torch.is_grad_enabled() and any(values.requires_grad for values in channels)
    how = metric, rate, exact, sloped
    found: tuple[Tensor, ...] = _SoftMean.apply(levels, how, *channels)  # type: ignore[no-untyped-call]
    return found


class _SoftMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        levels: ArrayLike,
        how: tuple[str, float, bool, bool],
        *channels: Tensor,
    ) -> tuple[Tensor, ...]:
        pixels: Any = torch.stack([values.detach().flatten() for values in channels])
        codes: Any = pixels.new_tensor(levels).T.contiguous()
        means, slopes = (torch.as_tensor(part) for part in _found(pixels, codes, how))
        ctx.save_for_backward(slopes)
        return tuple(means.view(-1, *channels[0].shape))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        (slopes,) = ctx.saved_tensors
        wanted = torch.stack(grads).flatten(1)
        # a channel after the other, so that no copy of all slopes is made
        return (None, None, *((some * wanted).sum(dim=0).view_as(grads[0]) for some in slopes))


def _found(pixels: Tensor, codes: Tensor, how: tuple[str, float, bool, bool]) -> tuple[Any, Any]:
    """Return means and slopes; see `SoftBlocks.of`."""
    if pixels.device.type != "cpu":
        return SoftBlocks(codes, *how, torch).of(pixels, 1)
    # NumPy has less to do before it begins, and its threads do not wait for one another
    threads = torch.get_num_threads()
    if len(codes) == 3 and pixels.dtype == torch.float32 and compiler() is not None:
        from art_disc.surrogates.soft_loops import colours

        metric, rate, _, sloped = how
        return colours(pixels.numpy(), codes.numpy(), (metric, rate, sloped), threads)
    return SoftBlocks(codes.numpy(), *how, np).of(pixels.numpy(), threads)
