"""What every part of a record passes through when it is made, and again when it is read.

Each `check_...` raises InputError and names the field, what was expected and what is there.
"""

import dataclasses
import functools
import itertools
import math
import re
import sys
import typing
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec
import numpy as np

from art_disc.core.errors import FileFormatError, InputError

T = TypeVar("T")

# the limits by which msgspec tells NaN and infinity from a number
LARGEST = sys.float_info.max


class Checked:
    """A frozen dataclass whose fields keep their annotations, and whose parts fit each other.

    Lists become tuples, whole numbers floats where the annotation says so, and scalars of NumPy
    Python's own, so that what is made equals what is written and read.

    Raises:
        InputError: A field does not fit; the message says which, what was expected and what came.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        shape = _shape(type(self))  # type: ignore[arg-type]  # classes do hash
        body = {name: _python(getattr(self, name)) for name in shape.__struct_fields__}
        try:
            exact = msgspec.convert(body, shape, strict=True)
        except msgspec.ValidationError as error:
            raise InputError(_words(error, body, type(self).__name__)) from None
        for name in body:
            object.__setattr__(self, name, getattr(exact, name))
        self.check()

    def check(self) -> None:
        """Refuse fields that do not fit each other; a class with such fields has its own."""


def _python(value: Any) -> Any:
    """Return the number of a NumPy scalar, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


@functools.cache
def _shape(cls: type) -> type[msgspec.Struct]:
    """Return the fields of a class as msgspec checks them."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [(name, h) for name, h in hints.items() if typing.get_origin(h) is not ClassVar]
    return msgspec.defstruct(cls.__name__, fields)


def decode(cls: type[T], data: Any, where: str) -> T:
    """Build a part of a record, or a whole one, from plain JSON types.

    Raises:
        FileFormatError: A field is missing, unknown, or does not fit; `where` begins the message.
    """
    try:
        made = msgspec.convert(data, cls, strict=True)
    except msgspec.ValidationError as error:
        raise FileFormatError(_words(error, data, where)) from None
    if unknown := next(_surplus(data, made, ""), None):
        msg = f"{where}: {unknown} is no field that this release knows"
        raise FileFormatError(msg)
    return made


def _words(error: msgspec.ValidationError, data: Any, where: str) -> str:
    """Word an error of msgspec: which field, what was expected, what is there."""
    text, _, at = str(error).partition(" - at `$")
    path = at.rstrip("`").removeprefix(".")
    text = re.sub(rf"`float` [<>]= -?{re.escape(str(LARGEST))}", "a finite `float`", text)
    if text.startswith("Expected") and ", got" not in text and "..." not in path:
        for name, index in re.findall(r"(\w+)|\[(\d+)\]", path):
            data = data[int(index)] if index else _field(data, name)
        text += f", got {data!r}"
    return ": ".join(part for part in (where, path, text) if part)


def _field(owner: Any, name: str) -> Any:
    return owner[name] if isinstance(owner, dict) else getattr(owner, name)


def _surplus(data: Any, made: Any, path: str) -> Iterator[str]:
    """Paths of what is in the data and in no field of what was made from it."""
    if dataclasses.is_dataclass(made):
        known = {field.name for field in dataclasses.fields(made)}
        for name, value in data.items():
            inner = f"{path}.{name}" if path else name
            if name in known:
                yield from _surplus(value, getattr(made, name), inner)
            else:
                yield inner
    elif isinstance(made, tuple) and made and dataclasses.is_dataclass(made[0]):
        for i, pair in enumerate(zip(data, made, strict=True)):
            yield from _surplus(*pair, f"{path}[{i}]")


def check_most(found: float | Sequence[float], most: float, name: str, like: str) -> None:
    """Refuse a count, or one of several, above what it is counted out of, named by `like`."""
    largest = found if isinstance(found, int | float) else max(found, default=0)
    if largest > most:
        msg = f"{name} must be at most {most}, by {like}, got {largest!r}"
        raise InputError(msg)


def check_equal(value: object, known: object, name: str) -> None:
    """Refuse what differs from what another field says of it."""
    if value != known:
        msg = f"{name} must be {known!r} as in the rest of the record, got {value!r}"
        raise InputError(msg)


def check_lengths(
    owner: object,
    like: str,
    *names: str,
    size: int | None = None,
    optional: bool = False,
    before: str = "",
) -> None:
    """Refuse lists, or text, of another length than they must have.

    Args:
        owner: Whose attributes they are.
        like: What they are as long as, an attribute of the owner unless `size` is given.
        names: Of the lists.
        size: Their length.
        optional: Whether they may be empty.
        before: Where the owner is, as `outcomes[1].`.
    """
    wanted = len(getattr(owner, like)) if size is None else size
    for name in names:
        found = len(getattr(owner, name))
        if found != wanted and (found or not optional):
            msg = f"{before}{name} must have {wanted} entries, as {like}, got {found}"
            raise InputError(msg)


def check_rising(values: Sequence[float], name: str) -> None:
    """Refuse numbers of which one is not above the one before it."""
    for i, (one, other) in enumerate(itertools.pairwise(values)):
        if not one < other:
            msg = f"{name} must rise, got {other!r} after {one!r} at {i + 1}"
            raise InputError(msg)


def check_plain(value: Any, name: str) -> None:
    """Refuse what strict JSON cannot hold or would give back as something else."""
    for path, leaf in _leaves(value, name):
        finite = type(leaf) is not float or math.isfinite(leaf)
        if not finite or type(leaf) not in (str, int, float, bool, type(None)):
            msg = (
                f"{path} must be text, a finite number, true, false or null, or a list of such or "
                f"their dictionary with text for keys, got {leaf!r}"
            )
            raise InputError(msg)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{i}]")
    else:
        yield path, value
