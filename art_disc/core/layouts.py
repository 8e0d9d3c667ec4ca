"""Shapes of images that do not fit, and whether their layout is why."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from art_disc.core.errors import InputError

_CHANNELS = (1, 3)


def check_shape(
    got: tuple[int, ...],
    shape: tuple[int, ...],
    *,
    name: str = "x",
    taker: str = "the classifier",
) -> None:
    """Refuse a batch of shape (n, ...) whose images are not of the shape that a classifier takes.

    `taker` names what takes them, where that is none.

    Raises:
        InputError: Another shape; a layout the wrong way round is named as such.
    """
    if tuple(got[1:]) == tuple(shape):
        return
    cure = other_layout(tuple(got[1:]), tuple(shape))
    hint = f"; the layout is the wrong way round: {cure}" if cure else ""
    msg = f"{taker} takes images {tuple(shape)}, got {tuple(got[1:])} in {name}{hint}"
    raise InputError(msg)


def other_layout(got: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Return how images become those of another shape by their layout alone; "" if they do not."""
    if len(got) != 3 or len(shape) != 3 or got == shape:
        return ""
    if (got[2], *got[:2]) == shape:
        return "np.moveaxis(x, -1, 1) makes channels first of channels last"
    if (*got[1:], got[0]) == shape:
        return "np.moveaxis(x, 1, -1) makes channels last of channels first"
    return ""


def check_channels(
    check: Callable[[int], object], shape: tuple[int, ...], *, channels_first: bool
) -> None:
    """Check, by what raises where it does not fit, the number of channels of an image's shape.

    Raises:
        InputError: It does not fit; a layout the wrong way round is named as such.
    """
    here, there = (shape[0], shape[-1]) if channels_first else (shape[-1], shape[0])
    try:
        check(here)
    except InputError as error:
        try:
            check(there)
        except InputError:
            raise error from None
        read, axes = ("(c, h, w)", (-1, 1)) if channels_first else ("(h, w, c)", (1, -1))
        msg = (
            f"images of shape {tuple(shape)} are read as {read}, with {here} channels, but have "
            f"{there} on the other end: the layout is the wrong way round; give "
            f"channels_first={not channels_first}, or images np.moveaxis(x, {axes[0]}, {axes[1]})"
        )
        raise InputError(msg) from error


def channels_first(x: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a batch in one of the usual layouts as (n, c, h, w), a view of it; c is 1 or 3.

    Raises:
        InputError: Another or an ambiguous layout; the message calls the array `name`.
    """
    if x.ndim == 3:
        return x[:, None]
    if x.ndim != 4:
        msg = (
            f"{name} must have shape (n, height, width), (n, height, width, channels) or "
            f"(n, channels, height, width), got {x.shape}"
        )
        raise InputError(msg)
    first, last = x.shape[1] in _CHANNELS, x.shape[3] in _CHANNELS
    if first and last:
        msg = (
            f"the layout of {name} with shape {x.shape} is ambiguous: axis 1 and axis 3 could both "
            "be the channels (size 1 or 3); build a Dataset from NCHW float32 arrays instead"
        )
        raise InputError(msg)
    if not (first or last):
        msg = (
            f"{name} must have 1 or 3 channels in axis 1 or in the last one, got shape {x.shape}; "
            "with other channels build a Dataset from NCHW float32 arrays"
        )
        raise InputError(msg)
    return x if first else x.transpose(0, 3, 1, 2)
