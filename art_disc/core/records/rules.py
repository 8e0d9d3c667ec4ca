"""Rules that the annotation of a record's field may name, as in `Annotated[str, one_of(NORMS)]`.

Each rule, and each `check_...` for what a field cannot tell alone, raises InputError and names the
field, what was expected and what is there.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError

# takes the part of the record, and the name of the field whose annotation it is in
Rule = Callable[[Any, str], None]


def one_of(words: Iterable[str]) -> Rule:
    """Rule: the field is one of some words."""

    def rule(part: Any, name: str) -> None:
        check_choice(getattr(part, name), name, words)

    return rule


def most(limit: str) -> Rule:
    """Rule: the count, or each of several, is at most what another field says or has entries."""

    def rule(part: Any, name: str) -> None:
        bound = getattr(part, limit)
        check_most(
            getattr(part, name), len(bound) if isinstance(bound, tuple) else bound, name, limit
        )

    return rule


@dataclass(frozen=True, slots=True)
class Like:
    """Rule: the list, or text, has as many entries as another field, or none where optional."""

    other: str
    optional: bool = False

    def __call__(self, part: Any, name: str) -> None:
        """Refuse a list of another length."""
        values = getattr(part, name)
        if values or not self.optional:
            check_length(values, len(getattr(part, self.other)), name, self.other)


def like(other: str, *, optional: bool = False) -> Like:
    """Return the rule that a field has as many entries as another one."""
    return Like(other, optional)


def rising(part: Any, name: str) -> None:
    """Rule: each number is above the one before it."""
    for i, (one, other) in enumerate(itertools.pairwise(getattr(part, name))):
        if not one < other:
            msg = f"{name} must rise, got {other!r} after {one!r} at {i + 1}"
            raise InputError(msg)


def bits(part: Any, name: str) -> None:
    """Rule: the text is made of 0 and 1, one for each example."""
    if odd := set(getattr(part, name)) - {"0", "1"}:
        msg = f"{name} must be made of 0 and 1, got {min(odd)!r}"
        raise InputError(msg)


def plain(part: Any, name: str) -> None:
    """Rule: strict JSON holds the contents, and gives back what they are."""
    for path, leaf in _leaves(getattr(part, name), name):
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


def check_most(found: float | Sequence[float], limit: float, name: str, by: str) -> None:
    """Refuse a count, or one of several, above what it is counted out of, named by `by`."""
    largest = found if isinstance(found, int | float) else max(found, default=0)
    if largest > limit:
        msg = f"{name} must be at most {limit}, by {by}, got {largest!r}"
        raise InputError(msg)


def check_length(values: Sized, size: int, name: str, by: str) -> None:
    """Refuse a list, or text, of another length than `by` says."""
    if len(values) != size:
        msg = f"{name} must have {size} entries, as {by}, got {len(values)}"
        raise InputError(msg)


def check_equal(value: object, known: object, name: str) -> None:
    """Refuse what differs from what another field says of it."""
    if value != known:
        msg = f"{name} must be {known!r} as in the rest of the record, got {value!r}"
        raise InputError(msg)
