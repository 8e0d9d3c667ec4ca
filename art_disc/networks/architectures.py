"""Networks of the papers, and a small one for a quick start."""

from torch import Tensor, nn

from art_disc.core.errors import InputError
from art_disc.networks.residual import ResNet32


class DigitsNet(nn.Module):
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


class MadryMnistNet(nn.Module):
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
