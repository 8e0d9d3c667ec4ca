"""The softmax-weighted mean of codewords with its gradient in closed form.

Autograd would keep k distances, their branches and k weights of every pixel; here each codeword is
visited twice and nothing of it is kept, which for hundreds of colours is faster.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from art_disc.codebooks import distance

# below this squared distance, in squared grey levels, the root has no usable slope
_FLOOR = 1e-12


def soft_mean(
    channels: Sequence[Tensor], levels: Sequence[Sequence[float]], metric: str, rate: float
) -> tuple[Tensor, ...]:
    """Return sum_j c_j w_j for each channel, with w_j = softmax_j(-rate d(x, c_j)).

    Where several channels are equally far from a codeword under l_inf, each takes an equal part of
    the slope, as in the papers' TensorFlow. The means can be differentiated once.

    Args:
        channels: One tensor a channel, float32 on the 255 scale, all of one shape.
        levels: The codewords, k rows of c numbers on the 255 scale.
        metric: `l1`, `l2` or `l_inf`.
        rate: Inverse temperature, in 1 / grey levels.
    """
    found: tuple[Tensor, ...] = _SoftMean.apply(levels, metric, rate, *channels)  # type: ignore[no-untyped-call]
    return found


def _rooted(squared: Tensor, metric: str, channels: int) -> Tensor:
    return squared.clamp_min(_FLOOR).sqrt() if metric == "l2" and channels > 1 else squared


class _SoftMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, levels: Sequence[Sequence[float]], metric: str, rate: float, *channels: Tensor
    ) -> tuple[Tensor, ...]:
        nearest = distance(channels, levels[0], metric, torch)
        for code in levels[1:]:
            nearest = torch.minimum(nearest, distance(channels, code, metric, torch))
        least = _rooted(nearest, metric, len(channels))
        total = torch.zeros_like(channels[0])
        sums = [torch.zeros_like(channels[0]) for _ in levels[0]]
        for code in levels:
            away = _rooted(distance(channels, code, metric, torch), metric, len(channels))
            weight = away.sub_(least).mul_(-rate).exp_()
            total += weight
            for part, level in zip(sums, code, strict=True):
                part.add_(weight, alpha=level)
        means = tuple(part.div_(total) for part in sums)
        ctx.save_for_backward(least, total, *means, *channels)
        ctx.how = levels, metric, rate
        return means

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Any, ...]:
        levels, metric, rate = ctx.how
        least, total, *rest = ctx.saved_tensors
        means, channels = rest[: len(slopes)], rest[len(slopes) :]
        middle = sum((v * m for v, m in zip(slopes, means, strict=True)), torch.zeros_like(total))
        sums = [torch.zeros_like(total) for _ in channels]
        for code in levels:
            away = _rooted(distance(channels, code, metric, torch), metric, len(channels))
            pull = -middle
            for slope, level in zip(slopes, code, strict=True):
                pull.add_(slope, alpha=level)
            pull *= (away - least).mul_(-rate).exp_()
            _add_slopes(sums, pull, channels, code, metric, away)
        factor = -rate / total
        return (None, None, None, *(part.mul_(factor) for part in sums))


def _add_slopes(
    sums: Sequence[Tensor],
    pull: Tensor,
    channels: Sequence[Tensor],
    code: Sequence[float],
    metric: str,
    away: Tensor,
) -> None:
    """Add pull times the slope of the distance to one codeword, in each channel."""
    differences = [values - level for values, level in zip(channels, code, strict=True)]
    if metric == "l2" and len(channels) > 1:
        pull = torch.where(away * away > _FLOOR, pull / away, 0.0)
        for part, difference in zip(sums, differences, strict=True):
            part.addcmul_(pull, difference)
        return
    if metric == "l_inf" and len(channels) > 1:
        farthest = [(d.abs() == away).to(pull.dtype) for d in differences]
        # a tie of all channels is shared too
        pull = pull / sum(farthest[1:], farthest[0])
        for part, difference, mask in zip(sums, differences, farthest, strict=True):
            part.addcmul_(pull, difference.sign_().mul_(mask))
        return
    for part, difference in zip(sums, differences, strict=True):
        part.addcmul_(pull, difference.sign_())
