"""The layers of an LQ-VAE: encoder and decoder, of the sizes that a `Stack` says.

Source: Kyatham, Mishra, Yadav, Mishra, Prathosh 2020, tables 8 and 9; the linear encoder is ours.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown

SLOPE = 0.2
Layers = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Stack(Shown):
    """Which layers an `LQVAENet` has; all convolutions are 3x3.

    Attributes:
        down: Channels and stride (1 or 2) of the encoder's convolutions.
        up: Those of the decoder's transposed convolutions, but for the last, to the image.
        hidden: Units of the fully connected layer between convolutions and latent variables.

    Raises:
        InputError: No layers, other strides, or not as many strides of 2 in both.
    """

    down: Layers
    up: Layers
    hidden: int = 1024

    def __post_init__(self) -> None:
        for name in ("down", "up"):
            layers = tuple((int(c), int(s)) for c, s in getattr(self, name))
            object.__setattr__(self, name, layers)
            if not layers or min(c for c, _ in layers) < 1 or {s for _, s in layers} - {1, 2}:
                msg = f"{name} must be pairs of channels >= 1 and a stride of 1 or 2, got {layers}"
                raise InputError(msg)
        check_count(self.hidden, "hidden")
        down, up = (sum(s == 2 for _, s in layers) for layers in (self.down, self.up))
        if down != up:
            msg = f"down and up must have as many strides of 2, got {down} and {up}"
            raise InputError(msg)

    @classmethod
    def table8(cls) -> Self:
        """Return the layers for 28x28 grey images."""
        return cls(((64, 1), (64, 2), (128, 2), (128, 1)), ((128, 1), (128, 2), (64, 2)))

    @classmethod
    def table9(cls) -> Self:
        """Return the layers for colour images: 64x64 as printed, 32x32 with a quarter of FC(4096).

        The printed table does not name the size; 64x64 is what its FC(4096) fits.
        """
        down = ((64, 1), (64, 2), (128, 2), (128, 2), (256, 2))
        return cls(down, ((128, 2), (128, 2), (64, 2), (64, 2)))

    def sides(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the sizes of an image and of what each stride of 2 leaves of it, halves up."""
        found = [(height, width)]
        for _, stride in self.down:
            if stride == 2:
                found.append(((found[-1][0] + 1) // 2, (found[-1][1] + 1) // 2))
        return found


def default_stack(input_shape: tuple[int, int, int]) -> Stack:
    """Return table 8's layers for grey images, table 9's for others."""
    return Stack.table8() if input_shape[0] == 1 else Stack.table9()


class LatentEncoder(nn.Module):
    """Images to means and log-variances of independent normal variables.

    Args:
        input_shape: (c, h, w).
        latent: Number of variables.
        stack: The layers before; None: no others, means are linear, and log-variances 0.
    """

    def __init__(self, input_shape: tuple[int, int, int], latent: int, stack: Stack | None) -> None:
        super().__init__()
        if stack is None:
            self.body = nn.Sequential(nn.Flatten())
            self.mean = nn.Linear(math.prod(input_shape), latent)
            self.log_variance: nn.Module | None = None
            return
        layers: list[nn.Module] = []
        channels = input_shape[0]
        for width, stride in stack.down:
            layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.LeakyReLU(SLOPE)]
            channels = width
        height, width = stack.sides(*input_shape[1:])[-1]
        layers += [nn.Flatten(), nn.Linear(channels * height * width, stack.hidden)]
        self.body = nn.Sequential(*layers, nn.LeakyReLU(SLOPE))
        self.mean = nn.Linear(stack.hidden, latent)
        self.log_variance = nn.Linear(stack.hidden, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances, (n, latent) each, of images (n, c, h, w) in [-1, 1]."""
        features = self.body(x)
        mean: Tensor = self.mean(features)
        if self.log_variance is None:
            # a product, which bounds can follow
            return mean, 0 * mean
        return mean, self.log_variance(features)


def latent_decoder(input_shape: tuple[int, int, int], latent: int, stack: Stack) -> nn.Sequential:
    """Return a decoder of codes (n, latent) to images (n, c, h, w) in [-1, 1].

    Args:
        input_shape: (c, h, w) of the images.
        latent: Number of bits.
        stack: The layers.
    """
    sides = stack.sides(*input_shape[1:])
    (height, width), channels = sides.pop(), stack.down[-1][0]
    room = channels * height * width
    layers: list[nn.Module] = [
        *(nn.Linear(latent, stack.hidden), nn.LeakyReLU(SLOPE)),
        *(nn.Linear(stack.hidden, room), nn.LeakyReLU(SLOPE)),
        nn.Unflatten(1, (channels, height, width)),
    ]
    for wide, stride in stack.up:
        beyond = (0, 0)
        if stride == 2:
            # 2 n - 1, or one more where the encoder halved an even side
            beyond = (sides[-1][0] - 2 * height + 1, sides[-1][1] - 2 * width + 1)
            height, width = sides.pop()
        layers += [nn.ConvTranspose2d(channels, wide, 3, stride, 1, beyond), nn.LeakyReLU(SLOPE)]
        channels = wide
    last = nn.ConvTranspose2d(channels, input_shape[0], 3, 1, 1)
    return nn.Sequential(*layers, last, nn.Tanh())


def local_averages(spread: Tensor, count: int) -> Tensor:
    """Return weights (count, c * h * w) of averages of parts of an image; each sums to 1.

    The parts are tents in rows that overlap, as many in each channel, and closer to one another
    where images vary more.

    Args:
        spread: How much each pixel varies, (c, h, w), >= 0.
        count: Number of averages.
    """
    made = spread.new_zeros(count, *spread.shape)
    first = 0
    for channel, number in enumerate(_shares(count, len(spread))):
        own = spread[channel]
        height, width = own.shape
        rows = min(max(1, round(math.sqrt(number * height / width))), number)
        down = _tents(rows, own.sum(dim=1))
        for row, columns in enumerate(_shares(number, rows)):
            last = first + columns
            across = _tents(columns, own.sum(dim=0))
            made[first:last, channel] = down[row][:, None] * across[:, None, :]
            first = last
    made = made.flatten(1)
    return made / made.sum(dim=1, keepdim=True)


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]


def _tents(count: int, weight: Tensor) -> Tensor:
    """Return tents (count, length) that overlap, in the middles of equal shares of a weight.

    None is narrower than a pixel, and a tenth of the weight is spread evenly.
    """
    length = len(weight)
    weight = weight / weight.sum().clamp(min=1e-30) + 0.1 / length
    total = functional.pad(weight.cumsum(dim=0), (1, 0))
    wanted = (torch.arange(count) + 0.5) * (total[-1] / count)
    place = torch.searchsorted(total, wanted).clamp(1, length)
    inside = (wanted - total[place - 1]) / (total[place] - total[place - 1])
    centres = place - 1.5 + inside
    widths = torch.gradient(centres)[0] if count > 1 else centres.new_tensor([length])
    far = (torch.arange(length) - centres[:, None]).abs()
    return (1 - far / widths.clamp(min=1.0)[:, None]).clamp(min=0)
