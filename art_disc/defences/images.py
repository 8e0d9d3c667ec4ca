"""What every map does with the images that it is given, before its own work."""

import torch
from torch import Tensor

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
