"""Defences as a user gives them: objects, codebooks or words."""

from collections.abc import Sequence
from typing import Any

from art.defences.preprocessor.preprocessor import Preprocessor

from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.defences.discretization import PixelDiscretization
from art_disc.defences.table import parse_defences


def as_defences(defences: Any, *, name: str = "defences") -> list[Any]:
    """Return defences, one or several, as preprocessors; one that is a preprocessor is itself.

    Args:
        defences: Preprocessors; codebooks, behind which stands `PixelDiscretization(codebook)`;
            words of `parse_defences` (`"density:n_codes=2,radius=0.6"`); or a list of these.
        name: What the message calls the argument.

    Raises:
        InputError: Something else; the message says how to make a defence of it.
    """
    several = isinstance(defences, Sequence) and not isinstance(defences, str)
    found: list[Any] = []
    for given in defences if several else [defences]:
        if isinstance(given, Preprocessor):
            found.append(given)
        elif isinstance(given, Codebook):
            found.append(PixelDiscretization(given))
        elif isinstance(given, str):
            found += parse_defences(given)
        else:
            msg = (
                f"{name} must be preprocessors, codebooks or words such as 'colordepth:n_codes=4', "
                f"got {_cured(given)}"
            )
            raise InputError(msg)
    return found


def _cured(given: Any) -> str:
    if isinstance(given, type):
        return f"the class {given.__name__}; make one, {given.__name__}(...)"
    return f"{type(given).__name__}; ColorDepthReduction(4) is a defence"
