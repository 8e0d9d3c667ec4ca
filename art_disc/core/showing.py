"""How objects are shown at a prompt: a few lines, whatever they hold."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from numbers import Number
from typing import Any

import numpy as np

COLUMNS, LINES = 100, 15
# a part in a line of its own, and one of several inside another
_WIDE, _NARROW = 84, 40
_FEW = 6


class Shown:
    """An object whose `repr` is `Name(parameter=value, ...)` in at most 15 lines of 100 columns.

    Arrays of more than a few numbers are type, shape and range, long sequences what they are of.
    What is shown is `_shown`: the fields of a dataclass or the public attributes, unless a class
    says otherwise.
    """

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # dataclass writes its own where a class has none of its own
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Shown.__repr__  # type: ignore[method-assign]

    def _shown(self) -> Mapping[str, Any]:
        """Return the parameters to show, by name."""
        if dataclasses.is_dataclass(self):
            names = [field.name for field in dataclasses.fields(self) if field.repr]
        else:
            names = [name for name in vars(self) if not name.startswith("_")]
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        name, parts = type(self).__name__, self._parts(_WIDE)
        line = f"{name}({', '.join(parts)})"
        return line if len(line) <= COLUMNS else f"{name}(\n{_block(parts)}\n)"

    def _parts(self, most: int) -> list[str]:
        return [f"{key}={in_words(value, most)}" for key, value in self._shown().items()]


def _block(parts: Sequence[str]) -> str:
    """Return parts in indented lines, several in one where they fit."""
    lines = [""]
    for part in (f"{part}," for part in parts):
        if lines[-1] and len(lines[-1]) + len(part) + 1 > COLUMNS - 4:
            lines.append("")
        lines[-1] = f"{lines[-1]} {part}".lstrip()
    if len(lines) > LINES - 2:
        lines[LINES - 3 :] = ["..."]
    return "\n".join(f"    {line}" for line in lines)


def in_words(value: Any, most: int = _WIDE) -> str:
    """Return a value in at most `most` characters, never with an address in memory.

    >>> in_words(np.zeros((2, 3)))
    'float64 (2, 3) in [0, 0]'
    >>> in_words(["certified"] * 90 + ["undecided"] * 10)
    "[90 x 'certified', 10 x 'undecided']"
    """
    made = _words(value, most)
    return made if len(made) <= most else f"{made[: most - 3]}..."


def _words(value: Any, most: int) -> str:
    return next(words(value, most) for holds, words in _KINDS if holds(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, complex)


def _of_number(value: Any, _: int) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def _is_object(value: Any) -> bool:
    given = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return given or isinstance(value, Shown)


def _named(value: Any, _: int) -> str:
    return str(getattr(value, "__qualname__", type(value).__name__))


def _of_object(value: Any, most: int) -> str:
    name = type(value).__name__
    if isinstance(value, Shown):
        parts = value._parts(_NARROW)
        cuts = [parts, *([*parts[:n], "..."] for n in reversed(range(len(parts))))]
        lines = (f"{name}({', '.join(cut)})" for cut in cuts)
        return next((line for line in lines if len(line) <= most), f"{name}(...)")
    words = " ".join(repr(value).split())
    return f"{name}(...)" if " at 0x" in words or len(words) > most else words


def _of_array(value: Any, most: int) -> str:
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.size and array.size * array.ndim <= _FEW:
        return in_words(array.tolist(), most)
    words = f"{array.dtype} {array.shape}"
    finite = array[np.isfinite(array)] if array.dtype.kind in "fiu" else array[:0]
    return f"{words} in [{finite.min():.6g}, {finite.max():.6g}]" if finite.size else words


def _of_mapping(value: Mapping[Any, Any], most: int) -> str:
    whole = ", ".join(f"{key}: {in_words(one, _NARROW)}" for key, one in _first(value.items()))
    if len(value) <= _FEW and len(whole) + 2 <= most:
        return f"{{{whole}}}"
    return f"{len(value)} by name: {', '.join(map(str, _first(value)))}, ..."


def _of_sequence(given: Sequence[Any] | Set[Any], most: int) -> str:
    value = list(given)
    room = max(_NARROW, most // max(1, len(value)) - 2)
    whole = ", ".join(in_words(one, room) for one in _first(value))
    if len(value) <= _FEW and len(whole) + 2 <= most:
        single = "," if len(value) == 1 else ""
        return f"({whole}{single})" if isinstance(given, tuple) else f"[{whole}]"
    if all(isinstance(one, Number) for one in value):
        return f"{len(value)} numbers in [{in_words(min(value))}, {in_words(max(value))}]"
    kinds = Counter(one if isinstance(one, str) else type(one).__name__ for one in value)
    most_common = kinds.most_common(_FEW // 2)
    if len(kinds) > len(most_common):
        return f"{len(value)} of {len(kinds)} kinds"
    named = (f"{n} x {k!r}" if k in value else f"{n} x {k}" for k, n in most_common)
    return f"[{', '.join(named)}]"


def _first(several: Any) -> list[Any]:
    return list(several)[:_FEW]


# the first that holds is taken
_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any, int], str]], ...] = (
    (_is_object, _of_object),
    (
        lambda value: value is None or isinstance(value, bool | np.bool_),
        lambda value, _: str(value),
    ),
    (_is_number, _of_number),
    (lambda value: isinstance(value, str), lambda value, _: repr(value)),
    (lambda value: hasattr(value, "dtype") and hasattr(value, "shape"), _of_array),
    (lambda value: isinstance(value, Mapping), _of_mapping),
    (lambda value: isinstance(value, Sequence | Set), _of_sequence),
    (callable, _named),
    (lambda _: True, _of_object),
)
