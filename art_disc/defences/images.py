"""What every map does with the images that it is given, before and after its own work."""

import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError


def as_float_images(x: Tensor, upper: float) -> Tensor:
    """Return a batch of images as float32 in the range that it came in.

    Args:
        x: Four axes; floats of any precision in [0, upper] or outside it, or uint8, which is read
            as fractions of 255.
        upper: Top of the input range, 1 or 255.

    Raises:
        InputError: Not four axes, or another integer type.
    """
    if x.ndim != 4:
        msg = f"expected a batch of images with 4 axes, got shape {tuple(x.shape)}"
        raise InputError(msg)
    if x.dtype == torch.uint8:
        return x.to(torch.float32) / 255 * upper
    if not x.is_floating_point():
        msg = f"expected float or uint8 images, got {x.dtype}; convert with .float()"
        raise InputError(msg)
    return x.to(torch.float32)


class ImageMap(nn.Module):
    """A map on (n, c, h, w), whatever the layout of the images that come and go.

    Args:
        channels_first: Images are (n, c, h, w); otherwise (n, h, w, c).
        upper: Top of the input range, 1 or 255.
    """

    def __init__(self, *, channels_first: bool = True, upper: float = 1.0) -> None:
        super().__init__()
        self.channels_first = channels_first
        self.upper = upper

    def forward(self, x: Tensor) -> Tensor:
        """Return the images that the map makes, float32, in the layout and range of `x`.

        Args:
            x: Images, floats of any precision in [0, upper], or uint8.

        Raises:
            InputError: Not four axes, another integer type, or what the map refuses.
        """
        images = as_float_images(x, self.upper)
        made = self.changed(images if self.channels_first else images.movedim(-1, 1))
        return made if self.channels_first else made.movedim(1, -1)

    def changed(self, images: Tensor) -> Tensor:
        """Return images (n, c, h', w') of images (n, c, h, w), float32 in [0, upper]."""
        raise NotImplementedError
