"""Checks at the door: what an array or number must be before any work starts.

Each check returns what it was given, converted where a conversion is promised, as a new array if
it had to change: the caller's array is never written to.
"""

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import InputError

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
T = TypeVar("T")


def check_images(x: Any, *, name: str = "x", upper: float = 1.0) -> Float32Array:
    """Return a batch of images as float32, refusing what is not one.

    Args:
        x: Array of shape (n, channels, height, width) or (n, height, width, channels), floats in
            [0, `upper`], or uint8 in 0..255, which is scaled to [0, `upper`] once, here.
        name: What the message calls the array.
        upper: Top of the input range, 1 or the classifier's upper clip value.

    Raises:
        InputError: Not four axes, no image, another integer type, NaN or infinity, or values
            outside the range.
    """
    array = np.asarray(x)
    if array.ndim != 4:
        msg = (
            f"{name} must be a batch of images with 4 axes (n, channels, height, width), got shape "
            f"{array.shape}; add the missing axis, for example x[None] for one image"
        )
        raise InputError(msg)
    if array.size == 0:
        msg = f"{name} must hold at least one image, got shape {array.shape}"
        raise InputError(msg)
    return check_range(_to_float32(array, name, upper), name=name, upper=upper)


def _to_float32(array: NDArray[Any], name: str, upper: float) -> Float32Array:
    if array.dtype == np.uint8:
        return array.astype(np.float32) * np.float32(upper) / np.float32(255)
    if not np.issubdtype(array.dtype, np.floating):
        msg = (
            f"{name} must be floats in [0, {upper:g}] or uint8 in 0..255, got {array.dtype}; "
            "convert with x.astype(np.uint8) or x.astype(np.float32)"
        )
        raise InputError(msg)
    return array.astype(np.float32, copy=False)


def check_range(x: Float32Array, *, name: str = "x", upper: float = 1.0) -> Float32Array:
    """Return `x` if every value is finite and in [0, `upper`].

    Raises:
        InputError: NaN, infinity, or values outside.
    """
    if not np.isfinite(x).all():
        msg = f"{name} must be finite, got {int((~np.isfinite(x)).sum())} NaN or infinite values"
        raise InputError(msg)
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > upper:
        hint = "divide 8-bit images by 255" if upper == 1 and high > 2 else "clip them first"
        msg = f"{name} must lie in [0, {upper:g}], got [{low:.4g}, {high:.4g}]; {hint}"
        raise InputError(msg)
    return x


def check_labels(y: Any, n: int, nb_classes: int | None = None) -> NDArray[np.int64]:
    """Return labels as class indices of shape (n,), from indices or one-hot rows.

    Raises:
        InputError: Another length, not integers, or outside 0..nb_classes-1.
    """
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] > 1:
        array = array.argmax(axis=1)
    array = array.reshape(-1)
    if array.shape[0] != n:
        msg = f"y must hold one label for each of the {n} images, got {array.shape[0]}"
        raise InputError(msg)
    labels = array.astype(np.int64)
    if not np.array_equal(labels, array):
        msg = f"y must be class indices or one-hot rows, got {array.dtype} that are no integers"
        raise InputError(msg)
    if n and (labels.min() < 0 or (nb_classes is not None and labels.max() >= nb_classes)):
        msg = f"y must lie in 0..{(nb_classes or 0) - 1}, got {labels.min()}..{labels.max()}"
        raise InputError(msg)
    return labels


def check_eps(eps: Any, *, upper: float = 1.0) -> float:
    """Return the budget as a float in [0, `upper`].

    Raises:
        InputError: Negative, not finite, not a number, or above the input range (most often a
            number of grey levels where a fraction is meant).
    """
    try:
        value = float(eps)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        msg = f"eps must be a finite number >= 0, got {eps!r}"
        raise InputError(msg)
    if value > upper:
        msg = (
            f"eps is in the classifier's input range [0, {upper:g}], got {value:g}; for {value:g} "
            f"grey levels write {value:g}/255 ({value / 255:.4g})"
        )
        raise InputError(msg)
    return value


def check_count(value: Any, name: str, *, least: int = 1, most: int | None = None) -> int:
    """Return a whole number that is at least `least`, and at most `most` if that is given.

    Raises:
        InputError: Not a whole number, too small or too large.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        span = f">= {least}" if most is None else f"from {least} to {most}"
        msg = f"{name} must be a whole number {span}, got {value!r}"
        raise InputError(msg)
    return int(value)


def check_choice(value: Any, name: str, known: Iterable[T]) -> T:
    """Return that one of those known, words or numbers, which the value equals.

    Raises:
        InputError: It is none of them; the message lists them.
    """
    choices = tuple(known)
    if value not in choices:
        msg = f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}"
        raise InputError(msg)
    return choices[choices.index(value)]


def check_positive(value: Any, name: str, *, zero: bool = False, scale: str = "") -> float:
    """Return a finite number > 0 as a float, or >= 0 where `zero` is allowed.

    The message adds in `scale` of what scale or unit the number is.

    Raises:
        InputError: Anything else; a truth value or a text is no number.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or isinstance(value, bool) or not 0 <= value < math.inf or not (value or zero):
        sign = ">= 0" if zero else "> 0"
        msg = f"{name} must be a number {sign}{scale}, got {value!r}"
        raise InputError(msg)
    return float(value)


def check_rate(value: Any, name: str, *, zero: bool = False) -> float:
    """Return a setting on the [0, 1] scale of images; see `check_positive`.

    Raises:
        InputError: It is no finite number > 0, or >= 0 where zero is allowed.
    """
    return check_positive(value, name, zero=zero, scale=" on the [0, 1] scale")
