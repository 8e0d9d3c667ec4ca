"""Values as JSON holds them, and back: scalars, lists, and dataclasses of known kinds."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from art_disc.core.errors import FileFormatError, InputError

_KIND = "kind"


def to_plain(value: Any, kinds: Iterable[type] = ()) -> Any:
    """Return a value as strict JSON holds it; arrays and tuples are lists there.

    Args:
        value: None, a truth value, a finite number, text, an array, a list, a mapping with text as
            keys, or a dataclass.
        kinds: The dataclasses that may be in it; these very classes, whose fields are written.

    Raises:
        InputError: Something else is in it, a number that is not finite among that.

    >>> to_plain({"alpha": np.float32(0.5), "shape": (1, 8)})
    {'alpha': 0.5, 'shape': [1, 8]}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [to_plain(one, kinds) for one in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: to_plain(one, kinds) for key, one in value.items()}
    if type(value) in tuple(kinds):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return {_KIND: type(value).__name__, **to_plain(fields, kinds)}
    words = repr(value) if isinstance(value, float) else f"a {type(value).__name__}"
    msg = f"expected numbers, words, lists, or objects of art_disc to write as JSON, got {words}"
    raise InputError(msg)


def from_plain(data: Any, kinds: Iterable[type] = ()) -> Any:
    """Return what `to_plain` wrote; lists come back as tuples, dataclasses as such.

    Raises:
        FileFormatError: A dataclass that is none of `kinds`, or whose fields do not fit.
    """
    if isinstance(data, list):
        return tuple(from_plain(one, kinds) for one in data)
    if not isinstance(data, dict):
        return data
    made = {key: from_plain(one, kinds) for key, one in data.items()}
    if _KIND not in made:
        return made
    name = made.pop(_KIND)
    known = {kind.__name__: kind for kind in kinds}
    try:
        return known[name](**made)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{name!r} with {', '.join(made) or 'no fields'} is nothing that can stand here"
        raise FileFormatError(msg) from error


def digest_of(data: Any) -> str:
    """Return the SHA-256 of plain data, whatever the order of its keys, in 64 hex digits."""
    text = json.dumps(data, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
