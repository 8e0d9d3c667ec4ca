"""Residual networks for small colour images."""

from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation, around which the input is added.

    Args:
        channels: Of the input.
        width: Channels of the output.
        stride: Of the first convolution; where it is 2, or the width changes, a 1x1 convolution
            brings the input to the output's shape.
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (n, width, h / stride, w / stride)."""
        return torch.relu(self.inner(x) + self.shortcut(x))


class ResNet32(nn.Module):
    """The residual network of He et al. for 32x32 images: three stages of width w, 2w and 4w.

    `depth` 8 trains in minutes on a CPU; 20 to 110 are the published ones. Shortcuts that change
    the shape are 1x1 convolutions, where the paper's CIFAR-10 networks pad with zeros.

    Args:
        input_shape: (c, h, w), h and w at least 8.
        nb_classes: Number of logits.
        depth: 6n + 2 layers, n blocks a stage.
        width: Channels of the first stage; the published 16.

    Raises:
        InputError: A depth that is not 6n + 2, no width, or images smaller than 8x8.

    Source: He, Zhang, Ren, Sun 2016, section 4.2.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        nb_classes: int = 10,
        *,
        depth: int = 8,
        width: int = 16,
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6 or width < 1:
            msg = f"expected depth 8, 14, 20, ... (6n + 2) and width >= 1, got {depth} and {width}"
            raise InputError(msg)
        if min(input_shape[1:]) < 8:
            msg = f"ResNet32 needs images of at least 8x8, got {input_shape}"
            raise InputError(msg)
        layers: list[Any] = [
            nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                layers.append(ResidualBlock(channels, width << stage, stride))
                channels = width << stage
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, nb_classes)
        )
        # the same numbers in the order that narrow convolutions on a CPU are fastest in
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of images (n, c, h, w) in [0, 1]."""
        # 1/4 is close to the spread of natural images, so that the first layer starts well
        logits: Tensor = self.head(self.features((x - 0.5) / 0.25))
        return logits
