"""The wide residual network of the CIFAR-10 tables: a definition for users with a GPU."""

import math

from torch import Tensor, nn
from torch.nn import functional

from art_disc.core.checks import check_count
from art_disc.core.errors import InputError

_LEAK = 0.1


class WideResNet(nn.Module):
    """The pre-activation wide ResNet of Madry et al., w28-10 as it stands.

    A 3x3 convolution to 16 channels, three groups of `units` residual units with 16, 32 and 64
    times `width` channels, batch normalisation, leaky ReLU (slope 0.1), mean over the map, logits.
    Every image is standardised inside, after any defence. Where a unit widens, its skip connection
    is average-pooled and padded with zero channels on both sides, so it has no weights.

    The published training: batches of 128, SGD with momentum 0.9 and weight decay 2e-4, learning
    rate 0.1, 0.01 and 0.001 from steps 0, 40,000 and 60,000 on, random crops out of 36x36 and
    flips, PGD of 7 or 10 steps of 2/255 at 8/255.

    Args:
        input_shape: (c, h, w), h and w multiples of 4.
        nb_classes: Number of logits.
        units: Residual units a group, >= 1; the published network has 5.
        width: Factor on the channels, >= 1; the published network has 10.

    Raises:
        InputError: A side is no multiple of 4, or a number below 1.

    Source: Madry, Makelov, Schmidt, Tsipras, Vladu 2018, section 5 (the CIFAR-10 challenge's
    network); Zagoruyko, Komodakis 2016, section 2.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        nb_classes: int = 10,
        units: int = 5,
        width: int = 10,
    ) -> None:
        super().__init__()
        if input_shape[1] % 4 or input_shape[2] % 4 or min(input_shape) < 1:
            msg = f"WideResNet needs sides that are multiples of 4, got {input_shape}"
            raise InputError(msg)
        check_count(units, "units")
        check_count(width, "width")
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.standardise = PerImageStandardisation()
        self.first = nn.Conv2d(input_shape[0], widths[0], 3, padding=1, bias=False)
        self.groups = nn.Sequential()
        for group in range(3):
            for unit in range(units):
                into = widths[group] if unit == 0 else widths[group + 1]
                stride = 2 if group and unit == 0 else 1
                shared = group == unit == 0
                self.groups.append(_Unit(into, widths[group + 1], stride, shared=shared))
        self.last = _activation(widths[3])
        self.head = nn.Linear(widths[3], nb_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # normal with variance 2 / (9 * channels out)
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        limit = math.sqrt(3 / self.head.in_features)
        nn.init.uniform_(self.head.weight, -limit, limit)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of images (n, c, h, w) in [0, 1]."""
        maps = self.last(self.groups(self.first(self.standardise(x))))
        logits: Tensor = self.head(maps.mean(dim=(2, 3)))
        return logits


class PerImageStandardisation(nn.Module):
    """Each image less its mean, divided by its standard deviation over all pixels and channels.

    The deviation is at least 1 / sqrt(c h w) grey levels of 255, so that a flat image gives 0. A
    brighter or higher-contrast copy of an image gives the same values.

    Source: TensorFlow's `per_image_standardization`, which the published network applies to images
    in [0, 255]; on images in [0, 1] its floor is therefore 255 times smaller here.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return images (n, c, h, w) in [0, 1] with mean 0 and, unless flat, deviation 1."""
        floor = 1 / (255**2 * math.prod(x.shape[1:]))
        variance, mean = _moments(x)
        # the floor comes before the root, whose slope at 0 would make the gradient not a number
        return (x - mean) / variance.clamp_min(floor).sqrt()


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean).square().mean(dim=(1, 2, 3), keepdim=True), mean


class _Unit(nn.Module):
    """Twice normalise, activate, convolve; then add the input.

    Args:
        into: Channels in.
        out: Channels out.
        stride: Of the first convolution and the skip connection.
        shared: Whether the skip connection too starts after the first activation.
    """

    def __init__(self, into: int, out: int, stride: int, *, shared: bool) -> None:
        super().__init__()
        self.stride, self.shared = stride, shared
        self.before = _activation(into)
        self.conv1 = nn.Conv2d(into, out, 3, stride=stride, bias=False)
        self.between = _activation(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.added = out - into

    def forward(self, x: Tensor) -> Tensor:
        active = self.before(x)
        skip = active if self.shared else x
        # TensorFlow pads even sides at the bottom and right alone where the stride is 2
        edge = (0, 1, 0, 1) if self.stride == 2 else (1, 1, 1, 1)
        value: Tensor = self.conv2(self.between(self.conv1(functional.pad(active, edge))))
        if self.added:
            skip = functional.avg_pool2d(skip, self.stride)
            half = self.added // 2
            skip = functional.pad(skip, (0, 0, 0, 0, half, half))
        return value + skip


def _activation(channels: int) -> nn.Sequential:
    """Return batch normalisation with TensorFlow's constants, and the leaky ReLU."""
    # PyTorch's momentum is the weight of the new batch, TensorFlow's decay that of the old mean
    norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)
    return nn.Sequential(norm, nn.LeakyReLU(_LEAK))
