"""One autograd function: the value of a hard map, the gradient of a smooth one.

`soft + (hard - soft).detach()` would give the same gradient, but its value is off by a last bit for
about 1 % of the pixels with 20 codewords, and an attacked pixel would be no codeword.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


class HardStep(torch.autograd.Function):
    """Forward: `hard(x)`, bit for bit. Backward: the vector-Jacobian product of `soft` at x.

    `soft` is evaluated in the backward pass only, one chunk of `chunk` images at a time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, hard: Map, soft: Map, chunk: int) -> Tensor:
        """Return the hard value and keep what the backward pass needs."""
        ctx.save_for_backward(x)
        ctx.soft, ctx.chunk = soft, chunk
        return hard(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the surrogate's gradient with respect to x."""
        (x,) = ctx.saved_tensors
        parts = []
        for start in range(0, x.shape[0], ctx.chunk):
            piece = slice(start, start + ctx.chunk)
            with torch.enable_grad():
                leaf = x[piece].detach().requires_grad_()
                value = ctx.soft(leaf)
                (part,) = torch.autograd.grad(value, leaf, grads[0][piece])
            parts.append(part)
        return torch.cat(parts), None, None, None


def straight_through(x: Tensor, hard: Map, soft: Map, chunk: int) -> Tensor:
    """Return `hard(x)`, differentiable as `soft` where a gradient is asked for.

    Both make as many rows as `x` has, of equal shapes; the backward pass handles `chunk` at once.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        result: Tensor = HardStep.apply(x, hard, soft, chunk)  # type: ignore[no-untyped-call]
        return result
    with torch.no_grad():
        return hard(x)
