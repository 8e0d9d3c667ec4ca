"""Which defences of a chain a surrogate says something to."""

from collections.abc import Sequence
from typing import Any

from art_disc.core.errors import InputError
from art_disc.defences.table import DEFENCES
from art_disc.defences.traits import traits
from art_disc.networks.sign_gradient import SIGN_GRADIENTS
from art_disc.surrogates import SoftAssignment, Surrogate


def meaning(defences: Sequence[Any], surrogate: Any) -> Surrogate | None:
    """Return what a surrogate means to the first defence that takes it; None where none does.

    It is an object, a callable or a word; somebody else's defence takes what codewords take.
    """
    found = (traits(defence).meant(surrogate) for defence in defences)
    return next((one for one in found if one is not None), None)


def change(defence: Any, surrogate: Any) -> Surrogate | None:
    """Return the surrogate by which a word changes a defence's gradient; None where it does not.

    `soft` alone means the defence's own temperature where it has one.
    """
    own, meant = traits(defence).surrogate, traits(defence).meant(surrogate)
    if own is None or meant == own or (surrogate == "soft" and isinstance(own, SoftAssignment)):
        return None
    found: Surrogate | None = meant
    return found


def check_meaning(defences: Sequence[Any], surrogate: Any) -> None:
    """Refuse a surrogate that none of the defences takes; the message lists what they take."""
    if meaning(defences, surrogate) is None:
        taken = (f"{type(d).__name__} takes {traits(d).vocabulary.usage}" for d in defences)
        listed = "; ".join(dict.fromkeys(taken)) or "there is no defence"
        msg = f"no defence takes the surrogate {surrogate!r}: {listed}"
        raise InputError(msg)


def check_known(surrogate: Any) -> None:
    """Refuse what neither a defence of the table nor a binarised network takes."""
    if SIGN_GRADIENTS.find(surrogate) is not None:
        return
    kinds = [row.kind for row in DEFENCES.values() if row.takes_surrogate]
    if all(kind.meant(surrogate) is None for kind in kinds):
        first = {kind.vocabulary.usage: kind.__name__ for kind in reversed(kinds)}
        listed = [f"{usage} ({name})" for usage, name in reversed(first.items())]
        listed.append(f"{SIGN_GRADIENTS.usage} (binarised networks)")
        msg = f"no defence takes the surrogate {surrogate!r}; known are {'; '.join(listed)}"
        raise InputError(msg)
