"""Numbers as people write them."""

from fractions import Fraction
from typing import Any

from art_disc.core.errors import InputError


def parse_number(value: Any, kind: type, name: str) -> Any:
    """Return a whole number or a float; `8/255` is read too.

    Raises:
        InputError: Not such a number.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        msg = f"{name} must be a number, got {value!r}; 3, 0.1 and 8/255 are"
        raise InputError(msg) from None
    if kind is int and number.denominator != 1:
        msg = f"{name} must be a whole number, got {value!r}"
        raise InputError(msg)
    return kind(number)
