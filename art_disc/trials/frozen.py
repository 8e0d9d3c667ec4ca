"""No gradients of weights while an attack runs: it wants those of images alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

_LOCK = threading.Lock()
# parameters that blocks hold, by id: networks are shared, and blocks of several threads may overlap
_HELD: dict[int, tuple[nn.Parameter, int]] = {}


@contextmanager
def frozen_parameters(model: Any) -> Iterator[None]:
    """Let a model's parameters require no gradient inside the block, and what they did after it.

    ART's attacks call `loss.backward()`, which takes the gradients of all weights too: a third of
    the work of a convolution, that nobody reads.

    Args:
        model: A torch module; anything else is left as it is.
    """
    every = model.parameters() if isinstance(model, nn.Module) else ()
    with _LOCK:
        held = [one for one in every if _hold(one)]
    try:
        yield
    finally:
        with _LOCK:
            for one in held:
                _release(one)


def _hold(one: nn.Parameter) -> bool:
    """Freeze a parameter, unless it is already by somebody else's will."""
    _, count = _HELD.get(id(one), (one, 0))
    if not count and not one.requires_grad:
        return False
    one.requires_grad = False
    _HELD[id(one)] = one, count + 1
    return True


def _release(one: nn.Parameter) -> None:
    """Let go of it; the last block gives it its gradient back."""
    _, count = _HELD.pop(id(one))
    if count > 1:
        _HELD[id(one)] = one, count - 1
    else:
        one.requires_grad = True
