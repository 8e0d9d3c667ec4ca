"""What images probably are that are none of a classifier's range.

For what attacks ask on their way, where `check_range` would be too strict.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.errors import InputError

STANDARDISED = (
    "if they are standardised give them as they were: the classifier standardises with "
    "preprocessing=(mean, std)"
)
# of the values of a batch, farther outside a range than the range is wide
_FAR_SHARE = 0.25
# beyond rounding
_ONE_LEVEL = 1.001 / 255


def is_unit(high: float, upper: float) -> bool:
    """Whether a range of 255 holds images of [0, 1]: no photograph is darker than one level."""
    return upper > 1 and 0 < high <= 1


def doubt_of_range(x: NDArray[Any], upper: float) -> str:
    """Return why floats of any shape are probably no images in [0, `upper`]; "" if they may be.

    Steps beyond the range, NaN and single pixels far outside may be.
    """
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    if low >= -upper and high <= 2 * upper and not is_unit(high, upper):
        return ""
    some = x[np.isfinite(x)]
    if not some.size:
        return ""
    low, high = float(some.min()), float(some.max())
    got = f"expected images in [0, {upper:g}], got [{low:.4g}, {high:.4g}]"
    if is_unit(high, upper) and low >= 0:
        return f"{got}, which looks like [0, 1]; multiply by {upper:g}, or take clip_values=(0, 1)"
    levels = upper == 1 and low >= 0 and 2 < high <= 255
    if levels and np.array_equal(some, np.rint(some)):
        return (
            f"{got}, which looks like 8-bit levels as floats; divide by 255, give uint8, or take "
            "clip_values=(0, 255)"
        )
    if ((some < -upper) | (some > 2 * upper)).mean() > _FAR_SHARE:
        return f"{got}; divide images of 0..255 by 255, and {STANDARDISED}"
    return ""


def check_divided_once(top: float, name: str) -> None:
    """Refuse floats that are `top` at most where that is one grey level of 255."""
    if 0 < top <= _ONE_LEVEL:
        msg = (
            f"{name} must lie in [0, 1], got at most {top:.4g}, one grey level of 255: "
            "divided by 255 twice? Give 8-bit images as uint8, or floats divided once"
        )
        raise InputError(msg)
