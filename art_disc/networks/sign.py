"""The sign of a number, forward, and a chosen straight-through estimator, backward."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_disc.core.checks import check_choice, check_positive
from art_disc.surrogates import straight_through


class _ClippedValue(torch.autograd.Function):
    """The identity, whose gradient's values are clipped to [-1, 1]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - protocol
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004 - protocol
        return grads[0].clamp(-1, 1)


def _polynomial(x: Tensor) -> Tensor:
    inside = x.clamp(-1, 1)
    return inside * (2 - inside.abs())


def _clipped(x: Tensor) -> Tensor:
    made: Tensor = _ClippedValue.apply(x)  # type: ignore[no-untyped-call] # torch
    return made


# what is differentiated in the place of sign(x), by name
ESTIMATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": torch.clone,
    # torch's gradient is 0 at -1 and 1 themselves, as the published code's
    "hard_tanh": functional.hardtanh,
    "clipped": _clipped,
    "polynomial": _polynomial,
}

_CHOSEN: ContextVar[str | None] = ContextVar("estimator", default=None)


def sign(x: Tensor, estimator: str = "hard_tanh", *, zero: int = 1) -> Tensor:
    """Return +1 or -1 for every value, differentiable through an estimator.

    With g the gradient of the result, that of x is

    * `identity`: g;
    * `hard_tanh`: g where |x| < 1, else 0;
    * `clipped`: g, its values clipped to [-1, 1];
    * `polynomial`: g (2 - 2 |x|) where |x| < 1, else 0.

    >>> sign(torch.tensor([-2.0, -0.0, 0.5]))
    tensor([-1.,  1.,  1.])

    Args:
        x: Floats, shape (n, ...); NaN stays NaN.
        estimator: One of the four.
        zero: What 0 becomes: 1, or 0 as in code that calls `torch.sign`, whose activations have
            three values.

    Raises:
        InputError: Another estimator, or another `zero`.

    Source: Hubara et al. 2016, section 1.3 (hard tanh); Galloway et al. 2018 (published code,
    clipped); Liu et al. 2018, section 3.3 (polynomial).
    """
    smooth = ESTIMATORS[check_choice(estimator, "estimator", ESTIMATORS)]
    return hard_sign(x, smooth, check_choice(zero, "zero", (1, 0)))


def hard_sign(x: Tensor, smooth: Callable[[Tensor], Tensor], zero: int) -> Tensor:
    """Return the sign, differentiated as `smooth`; see `sign`."""

    def hard(values: Tensor) -> Tensor:
        if zero:
            # one new tensor: for the weights of wide layers they cost most; -0 + 0 is 0
            made = values + 0.0
            torch.copysign(values.new_ones(()), made, out=made)
            return made.masked_fill_(values.isnan(), torch.nan)
        # what is neither is NaN, or the 0 that is to stay
        return torch.where(values > 0, 1.0, torch.where(values < 0, -1.0, values))

    return straight_through(x, hard, smooth, max(1, len(x)))


@contextmanager
def estimating(estimator: str | None) -> Iterator[None]:
    """Inside the block, signs of activations have this estimator's gradient; None: their own.

    It counts where the forward pass runs; the backward pass may run later.
    """
    token = _CHOSEN.set(estimator)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen(own: str) -> str:
    """Return the estimator of the block that this is called in; `own` outside of any."""
    return _CHOSEN.get() or own


class SignActivation(nn.Module):
    """A scale times the sign of x, as a module between layers; see `sign`.

    Args:
        scale: What the signs are multiplied by; the estimator sees x / scale.
        estimator: Gradient of the sign, unless an attack chooses another one.

    Raises:
        InputError: A scale that is not positive, or an unknown estimator.
    """

    def __init__(self, scale: float = 1.0, *, estimator: str = "hard_tanh") -> None:
        super().__init__()
        self.scale = check_positive(scale, "scale")
        self.estimator = check_choice(estimator, "estimator", ESTIMATORS)

    def extra_repr(self) -> str:
        """Tell scale and estimator: the cache of trainings knows a network by its description."""
        return f"{self.scale}, estimator={self.estimator!r}"

    def forward(self, x: Tensor) -> Tensor:
        """Return values -scale and +scale in the shape of x."""
        return self.scale * sign(x / self.scale, chosen(self.estimator))
