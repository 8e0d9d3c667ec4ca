"""What every part of a record passes through when it is made, and again when it is read.

What a field must be is in its annotation: its type, and the rules that it names.
"""

import dataclasses
import functools
import re
import typing
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

import msgspec
import numpy as np

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.records.fields import LARGEST
from art_disc.core.records.rules import Rule
from art_disc.core.showing import Shown

T = TypeVar("T")


class Checked(Shown):
    """A frozen dataclass whose fields keep their annotations, and whose parts fit each other.

    Lists become tuples, whole numbers floats where the annotation says so, and scalars of NumPy
    Python's own, so that what is made equals what is written and read.

    Raises:
        InputError: A field does not fit; the message says which, what was expected and what came.
    """

    __slots__ = ()
    # a file of its own, and so no cell in a row of another record
    whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        shape, rules = _fields(type(self))  # type: ignore[arg-type]  # classes do hash
        body = {name: _python(getattr(self, name)) for name in shape.__struct_fields__}
        try:
            exact = msgspec.convert(body, shape, strict=True)
        except msgspec.ValidationError as error:
            raise InputError(_words(error, body, type(self).__name__)) from None
        for name in body:
            object.__setattr__(self, name, getattr(exact, name))
        for name, rule in rules:
            rule(self, name)
        self.check()

    def check(self) -> None:
        """Refuse what no rule of one field can tell; a class with such fields has its own."""

    def in_columns(self) -> dict[str, Any] | None:
        """Return it as columns of a frame, by the ends of their names; None: its fields are."""
        return None


def _python(value: Any) -> Any:
    """Return the number of a NumPy scalar, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


@functools.cache
def _fields(cls: type) -> tuple[type[msgspec.Struct], list[tuple[str, Rule]]]:
    """Return the fields of a class as msgspec checks them, and the rules in their annotations."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [(name, h) for name, h in hints.items() if typing.get_origin(h) is not ClassVar]
    marks = [(name, mark) for name, h in fields for mark in getattr(h, "__metadata__", ())]
    rules = [(name, mark) for name, mark in marks if callable(mark)]
    return msgspec.defstruct(cls.__name__, fields), rules


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
