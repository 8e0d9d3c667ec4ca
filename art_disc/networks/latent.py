"""Latent weights of a whole network: kept within their bounds, whoever trains it."""

from typing import Any

import torch
from torch import nn

from art_disc.networks.binarised import BinarizedConv2d, BinarizedLinear


def binarised_layers(model: nn.Module) -> list[BinarizedLinear | BinarizedConv2d]:
    """Return a network's layers of which something is binarised."""
    kinds = (BinarizedLinear, BinarizedConv2d)
    return [m for m in model.modules() if isinstance(m, kinds) and not m.binarization.is_real]


def clamp_latent_(model: nn.Module) -> None:
    """Bring the latent weights of every binarised layer into [-1, 1], in place."""
    for layer in binarised_layers(model):
        layer.clamp_latent_()


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
