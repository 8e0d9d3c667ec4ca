"""Images on the 8-bit grid."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_images


def to_levels(images: NDArray[Any], name: str = "x") -> NDArray[np.uint8]:
    """Return a batch on the 8-bit grid: uint8 as it is, floats in [0, 1] to the nearest level."""
    if images.dtype == np.uint8:
        return images
    scaled = np.float32(255) * check_images(images, name=name)
    levels: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return levels
