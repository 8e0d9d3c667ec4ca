"""What a surrogate is, and pixels as codebooks see them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from art_disc.codebooks import Codebook


class Surrogate(Protocol):
    """A differentiable stand-in for what a defence does; which ones, its `Vocabulary` says."""

    @property
    def name(self) -> str:
        """Short name for tables, with its parameter."""
        ...


@runtime_checkable
class PixelSurrogate(Surrogate, Protocol):
    """A differentiable stand-in for the map of each pixel to its nearest codeword."""

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:
        """Return smoothed images of images (n, c, h, w), both float32 on the [0, 1] scale."""
        ...


def channels_255(x: Tensor, codebook: Codebook) -> list[Tensor]:
    """Return images (n, c, h, w) as one tensor a codeword channel, on the 255 scale."""
    scaled = 255 * x
    return [scaled] if codebook.per_channel else list(scaled.unbind(dim=1))


def from_channels(channels: Sequence[Tensor], codebook: Codebook) -> Tensor:
    """Return images (n, c, h, w) of one tensor a codeword channel."""
    return channels[0] if codebook.per_channel else torch.stack(list(channels), dim=1)
