"""The classifiers A, B and C of Kyatham et al. 2020, each a substitute for the others.

Their paddings are not printed. They are those of Defense-GAN's code, which has the same layers: the
first convolution keeps the size, or halves it; the others have no padding.

Source: Kyatham, Mishra, Yadav, Mishra, Prathosh 2020, supplement; Samangouei, Kabkab, Chellappa
2018, appendix.
"""

import math

from torch import nn

from art_disc.core.errors import InputError

Shape = tuple[int, int, int]


def classifier_a(input_shape: Shape = (1, 28, 28), nb_classes: int = 10) -> nn.Sequential:
    """Return A: two convolutions 5x5 and FC(128), from images (n, c, h, w) to logits.

    Raises:
        InputError: Images smaller than 5x5.
    """
    channels, height, width = _at_least(input_shape, 5)
    room = 64 * _after(height, 5, 2) * _after(width, 5, 2)
    return nn.Sequential(
        *(nn.Conv2d(channels, 64, 5, 1, 2), nn.ReLU(), nn.Conv2d(64, 64, 5, 2), nn.ReLU()),
        *(nn.Dropout(0.25), nn.Flatten(), nn.Linear(room, 128), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(128, nb_classes)),
    )


def classifier_b(input_shape: Shape = (1, 28, 28), nb_classes: int = 10) -> nn.Sequential:
    """Return B: three convolutions 8x8, 6x6 and 5x5; see `classifier_a`.

    Raises:
        InputError: Images smaller than 28x28.
    """
    channels, height, width = _at_least(input_shape, 28)
    sides = (_after(_after(side // 2, 6, 2), 5, 1) for side in (height, width))
    return nn.Sequential(
        *(nn.Dropout(0.2), nn.Conv2d(channels, 64, 8, 2, 3), nn.ReLU()),
        *(nn.Conv2d(64, 128, 6, 2), nn.ReLU(), nn.Conv2d(128, 128, 5), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * math.prod(sides), nb_classes)),
    )


def classifier_c(input_shape: Shape = (1, 28, 28), nb_classes: int = 10) -> nn.Sequential:
    """Return C: two fully connected layers of 200 units; see `classifier_a`."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(math.prod(input_shape), 200), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, nb_classes)),
    )


def _after(side: int, kernel: int, stride: int) -> int:
    """Return what a convolution without padding leaves of a side."""
    return (side - kernel) // stride + 1


def _at_least(input_shape: Shape, side: int) -> Shape:
    if min(input_shape[1:]) < side:
        msg = f"this classifier takes images of at least {side}x{side}, got {input_shape}"
        raise InputError(msg)
    return input_shape
