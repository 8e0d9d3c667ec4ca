"""What every map does with the images that it is given, before and after its own work."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.doubts import doubt_of_range
from art_disc.core.errors import InputError
from art_disc.core.sealing import Sealable
from art_disc.surrogates import straight_through

MEMORY_BYTES = 1 << 28


def images_at_once(images: Tensor, copies: int) -> int:
    """Return how many of the images, each `copies` times in float32, fit the memory budget."""
    numbers = max(1, images[0].numel()) if len(images) else 1
    return max(1, MEMORY_BYTES // (4 * copies * numbers))


def divided(x: Tensor, top: float) -> Tensor:
    """Return x / top, rounded once, on every device.

    A GPU divides by a plain number by a product with its reciprocal, which is off by a last bit for
    half of the 8-bit levels, so that ties break.
    """
    return x / torch.full((), top, dtype=x.dtype, device=x.device)


def as_float_images(x: Tensor, upper: float) -> Tensor:
    """Return a batch of images as float32 in [0, upper], as it came or, of uint8, of 255.

    Raises:
        InputError: Not four axes, or another integer type.
    """
    if x.ndim != 4:
        msg = f"expected a batch of images with 4 axes, got shape {tuple(x.shape)}"
        raise InputError(msg)
    if x.dtype != torch.uint8 and not x.is_floating_point():
        msg = f"expected float or uint8 images, got {x.dtype}; convert with .float()"
        raise InputError(msg)
    images = x.to(torch.float32)
    return divided(images, 255) * upper if x.dtype == torch.uint8 else images


def doubt_of_images(x: Any, upper: float) -> str:
    """Return why images, array or tensor, are probably of another range; see `doubt_of_range`."""
    if isinstance(x, Tensor):
        if not x.is_floating_point():
            # bytes are levels, whatever the range
            return ""
        x = x.detach()
        if x.numel() and upper / 255 < x.max() <= 2 * upper and x.min() >= -upper:
            # without a copy from another device
            return ""
        x = x.to(torch.float32).numpy(force=True)
    return doubt_of_range(x, upper)


class ImageMap(Sealable, nn.Module):
    """A map on (n, c, h, w), whatever the layout of the images that come and go.

    It is sealed by the defence that makes it.

    Args:
        channels_first: Images are (n, c, h, w); otherwise (n, h, w, c).
        upper: Top of the input range, 1 or 255.
    """

    # what torch itself sets, of a map that is evaluated too
    unsealed = frozenset({"training"})
    how_to_change = "change the defence that made it, and build the classifier again"

    def __init__(self, *, channels_first: bool = True, upper: float = 1.0) -> None:
        super().__init__()
        self.channels_first = channels_first
        self.upper = upper

    def forward(self, x: Tensor) -> Tensor:
        """Return the images that the map makes, float32, in the layout and range of `x`.

        Args:
            x: Images, floats of any precision in [0, upper] or outside it, or uint8, which is read
                as fractions of 255.

        Raises:
            InputError: Not four axes, another integer type, or what the map refuses.
        """
        return self.leave(self.changed(self.enter(x)))

    def enter(self, x: Tensor) -> Tensor:
        """Return images as (n, c, h, w), float32 in [0, upper]; see `forward`."""
        images = as_float_images(x, self.upper)
        return images if self.channels_first else images.movedim(-1, 1)

    def leave(self, made: Tensor) -> Tensor:
        """Return what was made of (n, c, h, w) in the layout and range that leave the map."""
        return made if self.channels_first else made.movedim(1, -1)

    def _replicate_for_data_parallel(self) -> nn.Module:
        # torch gives a replica its own tensors and parts, one by one
        replica: nn.Module = nn.Module._replicate_for_data_parallel(self._unsealed_copy())
        return replica

    def changed(self, images: Tensor) -> Tensor:
        """Return images (n, c, h', w') of images (n, c, h, w), float32 in [0, upper]."""
        raise NotImplementedError


class FunctionMap(ImageMap):
    """A function of images (n, c, h, w) in [0, upper] that autograd differentiates by itself."""

    def __init__(self, function: Callable[[Tensor], Tensor], **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def changed(self, images: Tensor) -> Tensor:
        """Return what the function makes."""
        return self.function(images)


class StepMap(ImageMap):
    """An exact map of images forward, bit for bit; a stand-in's gradient backward.

    Total on the reals: attacks step outside the clip range too. A NaN stays one: some attacks try
    such candidates (ART's Square in l2), and they must fail as loudly as on the bare network.

    Args:
        copies: Float32 numbers that autograd keeps of the stand-in, for each value of an image.
        exact_copies: Those that the exact map holds at once; as many where not given.
        unit: Whether it works on [0, 1] whatever the range of the images; otherwise in that.
        scaled: Whether what comes out is in the range of the images too; otherwise as it was made.
        **options: Keyword options of `ImageMap`.
    """

    def __init__(
        self,
        copies: int,
        *,
        exact_copies: int | None = None,
        unit: bool = True,
        scaled: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.copies = copies
        self.exact_copies = exact_copies or copies
        self.top = self.upper if unit else 1.0
        self.scale = self.top if scaled else 1.0

    def changed(self, images: Tensor) -> Tensor:
        """Return the exact value; see `ImageMap`."""
        chunk = images_at_once(images, self.copies)
        return straight_through(images, self._hard, self.stand_in, chunk)

    def soft(self, x: Tensor) -> Tensor:
        """Return the stand-in's own value, differentiable, in the layout and range of `forward`."""
        images = self.enter(x)
        chunk = images_at_once(images, self.copies)
        return self.leave(straight_through(images, self.stand_in, self.stand_in, chunk))

    def exact(self, images: Tensor) -> Tensor:
        """Return the exact value of images (n, c, h, w), in the range that `enter` gives."""
        raise NotImplementedError

    def stand_in(self, images: Tensor) -> Tensor:
        """Return the differentiable value of images (n, c, h, w); see `exact`."""
        raise NotImplementedError

    def enter(self, x: Tensor) -> Tensor:
        """Return images as (n, c, h, w), float32, on [0, 1] or as they came; see `forward`."""
        images = super().enter(x)
        return images if self.top == 1 else divided(images, self.top)

    def leave(self, made: Tensor) -> Tensor:
        """Return what was made of (n, c, h, w) in the layout and range that leave the map."""
        left = super().leave(made)
        return left if self.scale == 1 else left * self.scale

    def _hard(self, images: Tensor) -> Tensor:
        size = images_at_once(images, self.exact_copies)
        parts = [self.exact(part) for part in images.split(size)]
        # even of one part torch makes a copy
        return torch.cat(parts) if len(parts) > 1 else parts[0]
