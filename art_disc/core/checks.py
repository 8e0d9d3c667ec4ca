"""Checks at the door: what an array or number must be before any work starts.

Each check returns what it was given, converted where a conversion is promised, as a new array if
it had to change: the caller's array is never written to.
"""

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from art_disc.core.doubts import STANDARDISED, is_unit
from art_disc.core.errors import InputError
from art_disc.core.layouts import check_shape

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
T = TypeVar("T")


def check_images(
    x: Any, *, name: str = "x", upper: float = 1.0, shape: tuple[int, ...] | None = None
) -> Float32Array:
    """Return a batch of images as float32, refusing what is not one.

    Args:
        x: Array of shape (n, channels, height, width) or (n, height, width, channels), floats in
            [0, `upper`], or uint8 in 0..255, which is scaled to [0, `upper`] once, here.
        name: What the message calls the array.
        upper: Top of the input range, 1 or the classifier's upper clip value.
        shape: Of one image, as the classifier takes it; None: any.

    Raises:
        InputError: Not four axes, no image, another shape, another integer type, NaN or infinity,
            values outside the range, or a range of [0, 255] of which none is used.
    """
    array = check_batch(x, name=name)
    if shape is not None:
        check_shape(array.shape, shape, name=name)
    floats = check_floats(array, upper, name=name).astype(np.float32, copy=False)
    return check_range(floats, name=name, upper=upper)


def check_batch(x: Any, *, name: str = "x") -> NDArray[Any]:
    """Return a batch for `check_images` as it is: no value is looked at, a memory map stays unread.

    Raises:
        InputError: A data set, not four axes, or no image.
    """
    if hasattr(x, "x_test"):
        kind = type(x).__name__
        msg = f"{name} must be images, got a {kind}; give its x_test, and its y_test as labels"
        raise InputError(msg)
    array = _as_array(x, name)
    if array.ndim != 4:
        msg = (
            f"{name} must be a batch of images with 4 axes (n, channels, height, width), got shape "
            f"{array.shape}; add the missing axis, for example x[None] for one image"
        )
        raise InputError(msg)
    if array.size == 0:
        msg = f"{name} must hold at least one image, got shape {array.shape}"
        raise InputError(msg)
    return array


def _as_array(x: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(x)
    # rows of different lengths; a tensor with a graph, or on another device
    except (ValueError, RuntimeError, TypeError) as error:
        kind = type(x).__name__
        msg = f"{name} must be an array, got {kind} ({error}); of a tensor take .detach().numpy()"
        raise InputError(msg) from error


def check_floats(x: Any, upper: float, *, name: str = "x") -> NDArray[Any]:
    """Return floats as they are, and uint8 as float32 levels v / 255 of [0, `upper`].

    Raises:
        InputError: No array, or another type.
    """
    array = _as_array(x, name)
    if array.dtype == np.uint8:
        return array.astype(np.float32) * np.float32(upper) / np.float32(255)
    if not np.issubdtype(array.dtype, np.floating):
        msg = (
            f"{name} must be floats in [0, {upper:g}] or uint8 in 0..255, got {array.dtype}; "
            "convert with x.astype(np.uint8) or x.astype(np.float32)"
        )
        raise InputError(msg)
    return array


def check_range(x: Float32Array, *, name: str = "x", upper: float = 1.0) -> Float32Array:
    """Return `x` if every value is finite and in [0, `upper`], and of [0, 255] some is above 1.

    Raises:
        InputError: NaN, infinity, values outside, or those of another range.
    """
    if not np.isfinite(x).all():
        msg = f"{name} must be finite, got {int((~np.isfinite(x)).sum())} NaN or infinite values"
        raise InputError(msg)
    low, high = float(x.min()), float(x.max())
    problem = f"{name} must lie in [0, {upper:g}], got [{low:.4g}, {high:.4g}]"
    if low < 0 or high > upper:
        hint = "clip them"
        if upper == 1 and high > 2 and low >= 0:
            hint = "divide 8-bit images by 255"
        elif low < 0:
            hint += f", or {STANDARDISED}"
        msg = f"{problem}; {hint}"
        raise InputError(msg)
    if is_unit(high, upper):
        msg = f"{problem}, which is [0, 1]; multiply by {upper:g}, or take clip_values=(0, 1)"
        raise InputError(msg)
    return x


def check_labels(
    y: Any, n: int, nb_classes: int | None = None, *, name: str = "y"
) -> NDArray[np.int64]:
    """Return labels as class indices of shape (n,), from indices or one-hot rows.

    Indices are whole numbers 0..nb_classes-1 (None: any number of classes), shape (n,) or (n, 1);
    rows (n, nb_classes) have one 1 and zeros elsewhere. Probabilities are no labels.

    Raises:
        InputError: None of these; the message says which, and calls the array `name`.
    """
    array = _as_array(y, name)
    known = "class indices or one-hot rows" + (f" of {nb_classes} classes" if nb_classes else "")
    if array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        cure = "take one number an image, y.reshape(len(y), -1)"
        if array.ndim in (1, 2):
            cure = "numbers by y.astype(int), names by np.unique(y, return_inverse=True)[1]"
        msg = f"{name} must be {known}, got {array.dtype} of shape {array.shape}; {cure}"
        raise InputError(msg)
    if array.shape[0] != n:
        msg = f"{name} must hold one label for each of the {n} images, got {array.shape[0]}"
        raise InputError(msg)
    if not np.isfinite(array).all():
        msg = f"{name} must be {known}, got NaN or infinite values"
        raise InputError(msg)
    if array.ndim == 2 and array.shape[1] != 1:
        return _of_rows(array, known, nb_classes, name)
    labels = array.reshape(-1).astype(np.int64)
    if not np.array_equal(labels, array.reshape(-1)):
        msg = f"{name} must be {known}, got {array.dtype} that are no integers"
        raise InputError(msg)
    if n and (labels.min() < 0 or (nb_classes is not None and labels.max() >= nb_classes)):
        top = "..." if nb_classes is None else nb_classes - 1
        hint = "; classes count from 0" if labels.min() == 1 and labels.max() == nb_classes else ""
        msg = f"{name} must lie in 0..{top}, got {labels.min()}..{labels.max()}{hint}"
        raise InputError(msg)
    return labels


def _of_rows(
    rows: NDArray[Any], known: str, nb_classes: int | None, name: str
) -> NDArray[np.int64]:
    """Return the indices of one-hot rows."""
    if nb_classes is not None and rows.shape[1] != nb_classes:
        msg = f"{name} must be {known}, got rows of {rows.shape[1]}"
        raise InputError(msg)
    wrong = ~((np.isin(rows, (0, 1)).all(axis=1)) & (np.count_nonzero(rows, axis=1) == 1))
    if wrong.any():
        first = int(wrong.argmax())
        row = np.array2string(rows[first], threshold=12, precision=3)
        msg = (
            f"{name} must be {known}, a single 1 in a row, got {row} in row {first}; for "
            "probabilities or scores take their argmax(axis=1)"
        )
        raise InputError(msg)
    return np.asarray(rows.argmax(axis=1), dtype=np.int64)


def check_mask(mask: Any, shape: tuple[int, ...]) -> BoolArray:
    """Return where images of a shape may change, as an attack's `mask` says: where it is not 0.

    Args:
        mask: bool, or numbers >= 0, broadcastable to `shape`, as ART's attacks take it; None:
            everywhere.
        shape: Of the batch, (n, ...).

    Raises:
        InputError: Another shape, no numbers, negative ones or NaN.
    """
    if mask is None:
        return np.ones(shape, dtype=bool)
    array = _as_array(mask, "mask")
    if array.dtype.kind not in "bfiu" or not (array >= 0).all():
        msg = (
            f"mask must be bool, or 0 where an image must not change and 1 elsewhere, got "
            f"{array.dtype} with values that are none of these"
        )
        raise InputError(msg)
    try:
        return np.broadcast_to(array != 0, shape)
    except ValueError:
        msg = (
            f"mask must be broadcastable to the images' shape {shape}, got {array.shape}; one "
            "image's shape serves for all"
        )
        raise InputError(msg) from None


def number_of(value: Any) -> float:
    """Return a number as a float; NaN, which no limits hold, for anything else.

    A truth value and a text are no numbers: `True` is a slip of the pen for a budget of 1.

    >>> number_of(8 / 255) > 0, number_of(True) > 0, number_of("8") > 0
    (True, False, False)
    """
    try:
        array = np.asarray(value)
        return math.nan if array.ndim or array.dtype.kind in "bSU" else float(value)
    # no number, one too large for a float, or a tensor with a graph or on another device
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return math.nan


def check_eps(eps: Any, *, upper: float = 1.0, most: float | None = None) -> float:
    """Return the budget as a float in [0, `most`], the largest change that the norm allows.

    That is `upper`, the top of the input range, unless it is given.

    Raises:
        InputError: Negative, not finite, not a number, above the input range (most often a number
            of grey levels where a fraction is meant), or, of a range [0, 255], less than one grey
            level (a fraction where a number of grey levels is meant).
    """
    value = number_of(eps)
    if not 0 <= value < math.inf:
        quotes = ", without quotes" if isinstance(eps, str) else ""
        cure = "here one budget at a time" if np.ndim(eps) else f"write 0.1 or 8/255{quotes}"
        msg = f"eps must be a finite number >= 0, got {eps!r}; {cure}"
        raise InputError(msg)
    if value > (most or upper):
        msg = (
            f"eps is in the classifier's input range [0, {upper:g}], got {value:g}; for {value:g} "
            f"grey levels write {value:g}/255 ({value / 255:.4g})"
        )
        raise InputError(msg)
    if upper == 255 and 0 < value < 1:
        msg = (
            f"eps is in the classifier's input range [0, 255], got {value:.4g}, less than one grey "
            f"level; for {value:.4g} of the range write {255 * value:.4g}; for less than a level "
            "take clip_values=(0, 1)"
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
    # to Python True is 1, and is asked for nowhere
    if value not in choices or isinstance(value, bool | np.bool_):
        msg = f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}"
        raise InputError(msg)
    return choices[choices.index(value)]


def check_positive(value: Any, name: str, *, zero: bool = False, scale: str = "") -> float:
    """Return a finite number > 0 as a float, or >= 0 where `zero` is allowed.

    The message adds in `scale` of what scale or unit the number is.

    Raises:
        InputError: Anything else; a truth value or a text is no number.
    """
    number = number_of(value)
    if not 0 <= number < math.inf or not (number or zero):
        sign = ">= 0" if zero else "> 0"
        msg = f"{name} must be a number {sign}{scale}, got {value!r}"
        raise InputError(msg)
    return number


def check_rate(value: Any, name: str, *, zero: bool = False, most: float = math.inf) -> float:
    """Return a setting on the [0, 1] scale of images; see `check_positive`.

    Raises:
        InputError: It is no finite number > 0, or >= 0 where zero is allowed; or more than `most`,
            probably a number of grey levels.
    """
    number = check_positive(value, name, zero=zero, scale=" on the [0, 1] scale")
    if number > most:
        msg = (
            f"{name} is on the [0, 1] scale, at most {most:g}, got {number:g}; for {number:g} grey "
            f"levels write {number:g}/255 ({number / 255:.4g})"
        )
        raise InputError(msg)
    return number
