"""Which defences of a chain a surrogate says something to."""

from collections.abc import Sequence
from typing import Any

from art_disc.core.errors import InputError
from art_disc.defences.jpeg import JpegCompression
from art_disc.defences.preprocessor import MapPreprocessor, SurrogatePreprocessor
from art_disc.defences.randdisc_base import ClusterPreprocessor
from art_disc.defences.thermometer import Thermometer
from art_disc.defences.total_variation import TotalVariation
from art_disc.surrogates import Surrogate

_KINDS: tuple[type[MapPreprocessor], ...] = (
    Thermometer,
    ClusterPreprocessor,
    JpegCompression,
    TotalVariation,
)


def surrogate_of(defence: Any, surrogate: Any) -> Surrogate | None:
    """Return what a surrogate means to a defence; None where it says nothing there.

    Args:
        defence: Ours, or somebody else's preprocessor, which takes what a defence with codewords
            takes: `identity` leaves it out of the gradient, through any other it keeps its own.
        surrogate: An object, a callable or a word.
    """
    return _kind(defence).meant(surrogate)


def meaning(defences: Sequence[Any], surrogate: Any) -> Surrogate | None:
    """Return what a surrogate means to the first defence that takes it; None where none does.

    Args:
        defences: A chain.
        surrogate: As for `surrogate_of`.
    """
    found = (surrogate_of(defence, surrogate) for defence in defences)
    return next((one for one in found if one is not None), None)


def check_meaning(defences: Sequence[Any], surrogate: Any) -> None:
    """Refuse a surrogate that none of the defences takes.

    Raises:
        InputError: The message lists what they take.
    """
    if meaning(defences, surrogate) is None:
        told = dict.fromkeys(f"{type(d).__name__} takes {_kind(d).known}" for d in defences)
        listed = "; ".join(told) or "there is no defence"
        msg = f"no defence takes the surrogate {surrogate!r}: {listed}"
        raise InputError(msg)


def check_known(surrogate: Any) -> None:
    """Refuse what no defence of this package takes.

    Raises:
        InputError: It is no surrogate.
    """
    if all(kind.meant(surrogate) is None for kind in _KINDS):
        listed = "; ".join(f"{kind.known} ({kind.__name__})" for kind in _KINDS)
        msg = f"no defence takes the surrogate {surrogate!r}; known are {listed}"
        raise InputError(msg)


def _kind(defence: Any) -> type[MapPreprocessor]:
    return type(defence) if isinstance(defence, MapPreprocessor) else SurrogatePreprocessor
