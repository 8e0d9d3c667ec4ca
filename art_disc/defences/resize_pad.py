"""Random resizing and a random place in a larger image."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from art_disc.core.checks import check_choice, check_count, number_of
from art_disc.core.errors import InputError
from art_disc.defences.draws import Draws, RandomMap, RandomPreprocessor
from art_disc.defences.resizing import ResizingPreprocessor, bilinear

METHODS = ("nearest", "bilinear")
# sides of the published images: that of the network's input, the smallest and the largest drawn
_PUBLISHED = (299, 310, 331)
# remainders of numbers below this are as likely as each other to 1 in 2**40
_MANY = 1 << 62


@dataclass(frozen=True)
class Sides:
    """Which sides are drawn for images of any size; the fields are parameters of `ResizePad`."""

    lowest: int | None
    highest: int | None
    size: int | None

    def of(self, height: int, width: int) -> tuple[int, int, int]:
        """Return the lowest and highest short side that is drawn, and that of the padded image.

        Refuse images for which they do not rise.
        """
        short = min(height, width)
        side, low, high = _PUBLISHED
        size = self.size or self.highest or -(-short * high // side)
        highest = self.highest or size
        # halves go up
        lowest = self.lowest or min(highest, (2 * short * low + side) // (2 * side))
        if not lowest <= highest <= size:
            msg = (
                "expected lowest <= highest <= size for images of "
                f"{height} x {width}, got {lowest}, {highest}, {size}"
            )
            raise InputError(msg)
        return lowest, highest, size

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the padded image."""
        size, short = self.of(height, width)[2], min(height, width)
        return -(-size * height // short), -(-size * width // short)


class ResizePadMap(RandomMap):
    """What `ResizePad` does; the arguments are its own."""

    def __init__(
        self,
        sides: Sides,
        method: str,
        *,
        fill: float,
        per_image: bool,
        back: bool,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sides = sides
        self.method = method
        self.fill = fill
        self.per_image = per_image
        self.back = back

    def transform(self, images: Tensor, draws: Draws) -> Tensor:
        """Return padded images, or the same at the size of the input; see `RandomMap`."""
        made = self._placed(images, draws)
        return bilinear(made, *images.shape[2:]) if self.back else made

    def _placed(self, images: Tensor, draws: Draws) -> Tensor:
        old, n = tuple(images.shape[2:]), len(images)
        lowest, highest, _ = self.sides.of(*old)
        room = self.sides.padded(*old)
        drawn = draws.integers(highest - lowest + 1, (n if self.per_image else 1,), images.device)
        short = (lowest + drawn).expand(n)
        made, inside = images, []
        for axis, side, whole in zip((2, 3), old, room, strict=True):
            # the longer side to the nearest whole number, halves up
            new = (2 * short * side + min(old)).div(2 * min(old), rounding_mode="floor")
            start = draws.integers(_MANY, (n,), images.device) % (whole - new + 1)
            place = torch.arange(whole, device=images.device) - start[:, None]
            inside.append((place >= 0) & (place < new[:, None]))
            made = _sampled(made, place, new[:, None], axis, smooth=self.method == "bilinear")
        shown = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return torch.where(shown, made, self.fill * self.upper)


def _sampled(images: Tensor, place: Tensor, new: Tensor, axis: int, *, smooth: bool) -> Tensor:
    """Return each image at rows of its own, or columns, of its resized version.

    Row i of an image resized to `new` (n, 1) rows lies at i * old / new, without a half-pixel
    offset; the nearest is the last one at or before that. Of a `place` (n, rows) outside the
    resized image any row will do.
    """
    old = images.shape[axis]
    point = place.clamp(min=0) * old
    low = point.div(new, rounding_mode="floor").clamp(max=old - 1)
    first = _taken(images, low, axis)
    if not smooth:
        return first
    share = ((point % new).to(torch.float32) / new)[:, None]
    second = _taken(images, (low + 1).clamp(max=old - 1), axis)
    return first + (second - first) * share.unsqueeze(5 - axis)


def _taken(images: Tensor, rows: Tensor, axis: int) -> Tensor:
    shape = list(images.shape)
    shape[axis] = rows.shape[1]
    return images.gather(axis, rows[:, None].unsqueeze(5 - axis).expand(shape))


class ResizePad(ResizingPreprocessor, RandomPreprocessor):
    """Resize every image to a random size and put it at a random place of a larger, plain one.

    The short side is drawn evenly from lowest..highest, the long one keeps its ratio to it; then
    every place in the padded image is as likely. Differentiated by autograd for the drawn size and
    place.

    The published networks take the padded image; `back=False` does so, and the network must take
    images of `encoded_shape`. The default goes back to the input's size by interpolation, so that
    any trained network can be used as it is.

    Args:
        lowest: Smallest short side; None: 310 / 299 of the input's, rounded, at most `highest`.
        highest: Largest short side; None: `size`.
        size: Short side of the padded image, >= `highest`; None: `highest`, or where that is None
            too 331 / 299 of the input's, rounded up. So images of side 299 are drawn from the
            paper's 310..331 in 331, those of side 32 from 33..36 in 36. The reference draws
            310..330.
        method: `nearest`, the reference's, or `bilinear`, both without a half-pixel offset.
        fill: Value of the border on [0, 1]. The reference pads with 0 on [-1, 1], which is 0.5.
        per_image: Each image of a batch has a size of its own; if not, one is drawn for all, as in
            the reference. Places are drawn for each.
        back: Resize the padded image to the input's size.
        seed: Of the defence's own stream.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: A parameter does not fit, or an image does not suit the sizes.

    Source: Xie, Wang, Zhang, Ren, Yuille 2018, section 3, and its code (one size and one place a
    batch there); the sizes Zhang, Liang 2019, section 5.2.
    """

    params = (
        "lowest",
        "highest",
        "size",
        "method",
        "fill",
        "per_image",
        "back",
        *RandomPreprocessor.params,
    )

    def __init__(  # noqa: PLR0913 - one argument a setting
        self,
        lowest: int | None = None,
        highest: int | None = None,
        size: int | None = None,
        *,
        method: str = "nearest",
        fill: float = 0.0,
        per_image: bool = True,
        back: bool = True,
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.lowest = lowest
        self.highest = highest
        self.size = size
        self.method = method
        self.fill = fill
        self.per_image = per_image
        self.back = back
        super().__init__(seed=seed, **options)

    def _check_params(self) -> None:
        names = [name for name in ("lowest", "highest", "size") if getattr(self, name) is not None]
        given = [check_count(getattr(self, name), name) for name in names]
        if sorted(given) != given:
            msg = (
                "expected lowest <= highest <= size, got "
                f"{self.lowest}, {self.highest}, {self.size}"
            )
            raise InputError(msg)
        check_choice(self.method, "method", METHODS)
        if not 0 <= number_of(self.fill) <= 1:
            msg = f"fill must be a number in [0, 1], got {self.fill!r}"
            raise InputError(msg)
        super()._check_params()

    def _sides(self) -> Sides:
        return Sides(self.lowest, self.highest, self.size)

    def _random_map(self, **options: Any) -> ResizePadMap:
        flags = {"per_image": bool(self.per_image), "back": bool(self.back)}
        return ResizePadMap(self._sides(), self.method, fill=float(self.fill), **flags, **options)

    def new_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the padded image, or that of the input; see `Sides.of`."""
        padded = self._sides().padded(height, width)
        return (height, width) if self.back else padded
