"""A record's lists as rows of a table, for `Record.to_frame`."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.records.checked import Checked
from art_disc.core.records.rules import Like

Row = dict[str, Any]
Counted = Callable[[str, int], Sequence[Row]]


def rows_of(record: Checked, name: str | None, counted: Counted) -> list[Row]:
    """Return a row for each entry of a record's field `name`; None: of the first that has rows.

    `counted(name, i)` is what the record itself has to say of entry i, in one row or several.

    Raises:
        InputError: It has no such field.
    """
    kind: Any = type(record)
    names = [*_lists_of_parts(kind), *_lists_of_values(kind)]
    if not names:
        msg = f"{kind.__name__} has no rows, only single values and dictionaries"
        raise InputError(msg)
    found = check_choice(names[0] if name is None else name, "rows", names)
    entries = getattr(record, found)
    inner: Iterator[Iterator[Row]]
    if found in _lists_of_parts(kind):
        inner = map(_rows, entries)
    else:
        inner = (iter([row]) for row in _columns(record, found))
    return [
        row | more for i, rows in enumerate(inner) for row in rows for more in counted(found, i)
    ]


def columns_of(name: str, value: Checked | None) -> Row:
    """Return a part of a record as columns under a name."""
    if value is None:
        return {name: None}
    told = value.in_columns()
    if told is None:
        told = {f"_{key}": cell for key, cell in _cells(value).items()}
    return {f"{name}{end}": cell for end, cell in told.items()}


def _rows(part: Checked) -> Iterator[Row]:
    """Yield the rows of a part: one, or one for each entry of the list that it holds itself."""
    kind: Any = type(part)
    if part.whole:
        within = rows_of(part, None, lambda _, __: ({},))
    else:
        lists = [getattr(part, name) for name in _lists_of_parts(kind)]
        within = [row for parts in lists for one in parts for row in _rows(one)] if lists else [{}]
    yield from (_cells(part) | row for row in within)


def _cells(part: Checked) -> Row:
    """Return what stands in a row of a part; of one that is a record its single values alone."""
    kind: Any = type(part)
    row: Row = {}
    for name, hint in _hints(kind).items():
        value = getattr(part, name)
        if _is_one(hint, Checked):
            apart = part.whole or _kind(hint).whole
            row |= {} if apart else columns_of(name, value)
        elif name not in _lists_of_parts(kind):
            row |= {} if part.whole and isinstance(value, tuple | dict) else {name: value}
    # of a record they are of all its entries
    for name in () if part.whole else _properties(kind):
        row |= columns_of(name, getattr(part, name))
    return row


def _columns(record: Checked, name: str) -> Iterator[Row]:
    """Yield a row for each entry of a field, with that of every field that is as long as it."""
    kind: Any = type(record)
    found = {name: getattr(record, name)}
    for other, hint in _hints(kind).items():
        if any(isinstance(mark, Like) and mark.other == name for mark in _marks(hint)):
            found[other] = getattr(record, other)
    # what may be left out is empty
    there = {other: values for other, values in found.items() if values}
    yield from (
        dict(zip(there, entries, strict=True)) for entries in zip(*there.values(), strict=True)
    )


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@cache
def _properties(cls: Any) -> list[str]:
    """Names of the properties that are shares, or other parts of records."""
    found = inspect.getmembers(cls, lambda one: isinstance(one, property))
    told = {name: typing.get_type_hints(one.fget).get("return") for name, one in found}
    return [name for name, hint in told.items() if _is_one(hint, Checked)]


def _lists_of_parts(cls: Any) -> list[str]:
    """Names of the fields that hold several parts, dataclasses of their own."""
    return [name for name, hint in _hints(cls).items() if _is_one(_inner(hint), Checked)]


def _lists_of_values(cls: Any) -> list[str]:
    """Names of the fields that hold an entry for each example, or the like, as others do."""
    others = [m.other for hint in _hints(cls).values() for m in _marks(hint) if isinstance(m, Like)]
    return [name for name, hint in _hints(cls).items() if name in others and _inner(hint)]


def _marks(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


def _inner(hint: Any) -> Any:
    """Return the type of a tuple's entries, or None of what is no tuple of any length."""
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    entries = typing.get_args(kind)
    return entries[0] if typing.get_origin(kind) is tuple and entries[-1] is ... else None


def _kind(hint: Any) -> Any:
    """Return the type of an annotation, also where None may stand in its place."""
    is_list = typing.get_origin(hint) is tuple
    return hint if is_list else next(iter(typing.get_args(hint)), hint)


def _is_one(hint: Any, wanted: type) -> bool:
    kind = _kind(hint)
    return isinstance(kind, type) and issubclass(kind, wanted)
