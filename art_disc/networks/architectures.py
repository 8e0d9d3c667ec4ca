"""Networks of the papers, and a small one for a quick start."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.networks.binarised import Binarization, as_binarization
from art_disc.networks.layers import convolution, first_layer, linear
from art_disc.networks.remembered import Remembered


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation, around which the input is added.

    Args:
        channels: Of the input.
        width: Channels of the output.
        stride: Of the first convolution; where it is 2, or the width changes, a 1x1 convolution
            brings the input to the output's shape.
        binarization: Of the convolutions; what is added stays real, and where activations are
            binarised it is cut off at -1 and 1 instead of 0.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        stride: int = 1,
        *,
        binarization: Binarization | str = "real",
    ) -> None:
        super().__init__()
        how = as_binarization(binarization)
        self._signed = how.activations != "real"
        self.inner = nn.Sequential(
            convolution(channels, width, 3, stride, 1, how=how, bias=False),
            nn.BatchNorm2d(width),
            # the sign at the next layer's entry takes its place
            nn.Identity() if self._signed else nn.ReLU(),
            convolution(width, width, 3, 1, 1, how=how, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                convolution(channels, width, 1, stride, how=how, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (n, width, h / stride, w / stride)."""
        made = self.inner(x) + self.shortcut(x)
        return functional.hardtanh(made) if self._signed else torch.relu(made)


class ResNet32(Remembered):
    """The residual network of He et al. for 32x32 images: three stages of width w, 2w and 4w.

    `depth` 8 trains in minutes on a CPU; 20 to 110 are the published ones. Shortcuts that change
    the shape are 1x1 convolutions, where the paper's CIFAR-10 networks pad with zeros.

    Args:
        input_shape: (c, h, w), h and w at least 8.
        nb_classes: Number of logits.
        depth: 6n + 2 layers, n blocks a stage.
        width: Channels of the first stage; the published 16.
        binarization: Of the convolutions, see `ResidualBlock`.
        first: `binary` or `real` weights of the first convolution, whose input is real; of a real
            network both are.
        last: `real`, or `binary`: the last layer is as the others, and batch normalisation follows.

    Raises:
        InputError: A depth that is not 6n + 2, no width, images smaller than 8x8, or an unknown
            word.

    Source: He, Zhang, Ren, Sun 2016, section 4.2.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own
        self,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        nb_classes: int = 10,
        *,
        depth: int = 8,
        width: int = 16,
        binarization: Binarization | str = "real",
        first: str = "binary",
        last: str = "real",
    ) -> None:
        super().__init__()
        how = as_binarization(binarization)
        check_choice(last, "last", ("binary", "real"))
        if depth < 8 or (depth - 2) % 6 or width < 1:
            msg = f"expected depth 8, 14, 20, ... (6n + 2) and width >= 1, got {depth} and {width}"
            raise InputError(msg)
        if min(input_shape[1:]) < 8:
            msg = f"ResNet32 needs images of at least 8x8, got {input_shape}"
            raise InputError(msg)
        layers: list[Any] = [
            convolution(
                input_shape[0], width, 3, padding=1, how=first_layer(how, first), bias=False
            ),
            nn.BatchNorm2d(width),
            nn.ReLU() if how.activations == "real" else nn.Hardtanh(),
        ]
        channels = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                layers.append(ResidualBlock(channels, width << stage, stride, binarization=how))
                channels = width << stage
        self.features = nn.Sequential(*layers)
        end: list[nn.Module] = [nn.Linear(channels, nb_classes)]
        if last == "binary" and not how.is_real:
            end = [linear(channels, nb_classes, how), nn.BatchNorm1d(nb_classes)]
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *end)
        # the same numbers in the order that narrow convolutions on a CPU are fastest in; where the
        # channels do not fill AVX2's vectors, gradients of a strided 1x1 convolution in that order
        # write past their memory (oneDNN 3.12, in torch 2.13)
        if width % 8 == 0:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of images (n, c, h, w) in [0, 1]."""
        # 1/4 is close to the spread of natural images, so that the first layer starts well
        logits: Tensor = self.head(self.features((x - 0.5) / 0.25))
        return logits


class DigitsNet(Remembered):
    """A small convolutional network for images from 8x8 up (about 40,000 weights on 8x8 grey).

    Args:
        input_shape: (c, h, w), h and w at least 8.
        nb_classes: Number of logits.

    Raises:
        InputError: Images smaller than 8x8.
    """

    def __init__(self, input_shape: tuple[int, int, int] = (1, 8, 8), nb_classes: int = 10) -> None:
        super().__init__()
        if min(input_shape[1:]) < 8:
            msg = f"DigitsNet needs images of at least 8x8, got {input_shape}"
            raise InputError(msg)
        self.features = nn.Sequential(
            nn.Conv2d(input_shape[0], 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, nb_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of images (n, c, h, w) in [0, 1]."""
        logits: Tensor = self.head(self.features(x))
        return logits


class MadryMnistNet(Remembered):
    """The MNIST network of Madry et al.: two 5x5 convolutions with pooling, 1024 units, logits.

    Args:
        input_shape: (c, h, w), h and w multiples of 4.
        nb_classes: Number of logits.

    Raises:
        InputError: Height or width is no multiple of 4.

    Source: Madry, Makelov, Schmidt, Tsipras, Vladu 2018, section 5 (the MNIST challenge's network).
    """

    def __init__(
        self, input_shape: tuple[int, int, int] = (1, 28, 28), nb_classes: int = 10
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        if height % 4 or width % 4:
            msg = f"MadryMnistNet needs sides that are multiples of 4, got {input_shape}"
            raise InputError(msg)
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), 1024),
            nn.ReLU(),
            nn.Linear(1024, nb_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of images (n, c, h, w) in [0, 1]."""
        logits: Tensor = self.head(self.features(x))
        return logits


def default_network(input_shape: tuple[int, int, int], nb_classes: int) -> nn.Module:
    """Return the network that the command line takes where the user names none.

    Madry's for 28x28 grey images, a `ResNet32` of 8 layers for 32x32 ones, `DigitsNet` for every
    other size.
    """
    if input_shape == (1, 28, 28):
        return MadryMnistNet(input_shape, nb_classes)
    if input_shape[1:] == (32, 32):
        return ResNet32(input_shape, nb_classes)
    return DigitsNet(input_shape, nb_classes)
