"""How images are resized, and defences that may change height and width."""

import torch
from torch import Tensor

from art_disc.defences.preprocessor import MapPreprocessor


def bilinear(images: Tensor, height: int, width: int) -> Tensor:
    """Return images (n, c, h, w) resized to (n, c, height, width).

    Row i of the result lies at i * h / height of the image, without the half-pixel offset of
    torch's `interpolate`, and beyond the last row the image goes on unchanged: TensorFlow 1's
    default.
    """
    return _along(_along(images, width, 3), height, 2)


def _along(images: Tensor, size: int, axis: int) -> Tensor:
    old = images.shape[axis]
    if size == old:
        return images
    # positions in whole numbers: a product with a rounded h / height misses some rows by a bit
    place = torch.arange(size, device=images.device) * old
    low = place.div(size, rounding_mode="floor")
    share = ((place % size).to(torch.float32) / size).view(
        [-1 if i == axis else 1 for i in range(4)]
    )
    first = images.index_select(axis, low)
    second = images.index_select(axis, (low + 1).clamp(max=old - 1))
    return first + (second - first) * share


class ResizingPreprocessor(MapPreprocessor):
    """A defence that may change height and width."""

    def new_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the images that come out."""
        raise NotImplementedError

    def encoded_shape(self, input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """As `MapPreprocessor.encoded_shape`; refuse images that do not suit the sizes."""
        a, b, c = (int(size) for size in input_shape)
        if self.channels_first:
            return (a, *self.new_size(b, c))
        return (*self.new_size(a, b), c)
