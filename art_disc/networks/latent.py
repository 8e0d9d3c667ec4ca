"""Latent weights of a whole network: kept within their bounds, whoever trains it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError
from art_disc.networks.binarised import BinarizedConv2d, BinarizedLinear


def binarised_layers(model: nn.Module) -> list[BinarizedLinear | BinarizedConv2d]:
    """Return a network's layers of which something is binarised."""
    kinds = (BinarizedLinear, BinarizedConv2d)
    return [m for m in model.modules() if isinstance(m, kinds) and not m.binarization.is_real]


def clamp_latent_(model: nn.Module) -> None:
    """Bring the latent weights of every binarised layer into [-1, 1], in place."""
    for layer in binarised_layers(model):
        layer.clamp_latent_()


def check_connections(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Refuse weights of a network with other connections: nothing else tells them from its own.

    Raises:
        InputError: A weight where a layer has no connection.
    """
    for name, layer in model.named_modules():
        mask = getattr(layer, "mask", None) if isinstance(layer, BinarizedLinear) else None
        if mask is not None and (state[f"{name}.weight"][~mask.cpu()] != 0).any():
            msg = (
                f"weights of other connections than those of {name}, {layer.connections!r}; load "
                "them into a network that is made as theirs was"
            )
            raise InputError(msg)


class _Clamping:
    """What an optimiser calls after its steps."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, *_: Any) -> None:
        clamp_latent_(self.model)


def clamp_after_steps(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    """Let an optimiser clamp a network's latent weights after each of its steps.

    Whoever steps, the latent weights are within their bounds; a network without any, and a second
    call, change nothing.
    """
    layers = set(binarised_layers(model))
    if not layers:
        return
    known = (
        hook.model
        for hook in optimizer._optimizer_step_post_hooks.values()
        if isinstance(hook, _Clamping)
    )
    if not any(layers <= set(binarised_layers(model)) for model in known):
        optimizer.register_step_post_hook(_Clamping(model))
