"""The words and objects by which a surrogate is asked for, one vocabulary a kind of defence."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.surrogates.levels import LevelSurrogate
from art_disc.surrogates.pixels import PixelSurrogate, Surrogate
from art_disc.surrogates.smoothed import Ramp, SmoothedStep
from art_disc.surrogates.surrogates import Custom, Identity, SoftAssignment


@dataclass(frozen=True, slots=True)
class Vocabulary(Shown):
    """The surrogates that a kind of defence takes.

    Attributes:
        usage: The words for a reader, `mix[:ALPHA] or identity`.
        words: What each word makes, of the numbers that follow it: `soft:10:1` has two.
        kinds: Objects that are taken as they are; empty: those that the words make, which are
            then classes.
        functions: Whether a function on images in [0, 1] is taken too, as a `Custom`.
    """

    usage: str
    words: Mapping[str, Callable[..., Surrogate]]
    kinds: tuple[type, ...] = ()
    functions: bool = False

    def read(self, surrogate: Any) -> Any:
        """Return the surrogate that an object, a function or a word stands for.

        Raises:
            InputError: None of this vocabulary's.
        """
        if isinstance(surrogate, self.kinds or tuple(self.words.values())):  # type: ignore[arg-type]  # classes then
            return surrogate
        if isinstance(surrogate, str):
            name, _, numbers = surrogate.partition(":")
            if name in self.words:
                # of numbers that no such surrogate takes the message below tells
                with suppress(TypeError, ValueError):
                    return self.words[name](*(float(n) for n in numbers.split(":") if numbers))
        elif self.functions and callable(surrogate) and not hasattr(surrogate, "name"):
            return Custom(surrogate, getattr(surrogate, "__name__", "custom"))
        msg = f"surrogate must be {self.usage}, got {surrogate!r}"
        raise InputError(msg)

    @property
    def classes(self) -> tuple[type, ...]:
        """The classes of its surrogates that are told by their fields: all but the user's own."""
        every = dict.fromkeys((*self.words.values(), *self.kinds))
        return tuple(one for one in every if isinstance(one, type) and is_dataclass(one))

    def find(self, surrogate: Any) -> Any:
        """As `read`, but None for what says nothing here."""
        try:
            return self.read(surrogate)
        except InputError:
            return None


NO_SURROGATE = Vocabulary("none", {})

# the word of a surrogate for codewords, levels or both is one line here; its fields are its numbers
_WORDS: dict[str, type] = {
    "identity": Identity,
    "soft": SoftAssignment,
    "smooth": SmoothedStep,
    "ramp": Ramp,
}


def _vocabulary(kind: type) -> Vocabulary:
    """Return the words of the surrogates of one protocol; each is made without numbers too."""
    words = {word: made for word, made in _WORDS.items() if isinstance(made(), kind)}
    usage = ", ".join(word + _numbers(made) for word, made in words.items())
    # an object with a name of its own is called with the codebook, or the code of levels
    return Vocabulary(f"{usage} or a callable", words, (kind,), functions=True)


def _numbers(made: type) -> str:
    names = [field.name.upper() for field in fields(made)]
    return "".join(f"[:{name}" for name in names) + "]" * len(names)


CODEWORDS = _vocabulary(PixelSurrogate)
LEVELS = _vocabulary(LevelSurrogate)
