"""Words and numbers as people write them, and what an error is about."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from art_disc.core.errors import ArtDiscError, InputError


@contextmanager
def naming(what: str, kind: type[ArtDiscError] = InputError) -> Iterator[None]:
    """Put what it is about before the message of an error of this kind inside the block.

    Raises:
        InputError: In place of that error.
    """
    try:
        yield
    except kind as error:
        msg = f"{what}: {error}"
        raise InputError(msg) from error


def known_words(word: object, known: Iterable[str]) -> str:
    """Return, for a message, which words there are, and first the one that `word` nearly is.

    >>> known_words("pdg", ["fgsm", "pgd"])
    "did you mean 'pgd'? known: fgsm, pgd"
    """
    listed = list(known)
    near = difflib.get_close_matches(str(word), listed, n=1)
    return f"{f'did you mean {near[0]!r}? ' if near else ''}known: {', '.join(listed)}"


def check_known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse a name that is not among those known; `what` says of what the names are.

    Raises:
        InputError: There is such a name.
    """
    listed = list(known)
    for name in names:
        if name not in listed:
            msg = f"unknown {what} {name!r}; {known_words(name, listed)}"
            raise InputError(msg)


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
