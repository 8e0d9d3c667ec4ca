"""Defences that are differentiated by a stand-in of their own kind."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

from art_disc.core.errors import InputError
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.surrogates import Surrogate

Words = dict[str, Callable[..., Surrogate]]


class ModelledPreprocessor(MapPreprocessor):
    """A defence that is no map of pixels to codewords, with an exchangeable backward pass.

    Args:
        surrogate: One of the words of the defence, or what they stand for.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: Another surrogate.
    """

    params = ("surrogate", *MapPreprocessor.params)
    words: ClassVar[Words] = {}
    kinds: ClassVar[tuple[type, ...]] = ()

    def __init__(self, surrogate: Surrogate | str, **options: Any) -> None:
        self.surrogate: Surrogate = self.as_own(surrogate)
        super().__init__(**options)

    @classmethod
    def as_own(cls, surrogate: Any) -> Surrogate:
        """Return a surrogate of this defence from itself or from a word, `NAME` or `NAME:NUMBER`.

        Raises:
            InputError: None of this defence's.
        """
        if isinstance(surrogate, cls.kinds):
            return cast("Surrogate", surrogate)
        if isinstance(surrogate, str):
            name, _, value = surrogate.partition(":")
            if name in cls.words:
                try:
                    return cls.words[name](*(float(part) for part in value.split(":") if value))
                except (TypeError, ValueError):
                    pass
        msg = f"surrogate must be {cls.known}, got {surrogate!r}"
        raise InputError(msg)

    @abstractmethod
    def spread(self) -> tuple[Surrogate, ...]:
        """Return the surrogates, `Identity` apart, that an evaluation should attack through."""

    def _check_params(self) -> None:
        self.surrogate = self.as_own(self.surrogate)
        super()._check_params()

    def with_surrogate(self, surrogate: Any) -> Self:
        """Return the same defence with another backward pass.

        Args:
            surrogate: As for the constructor; the defence itself comes back for the surrogates of
                codebooks and levels, which say nothing here.
        """
        own = self.meant(surrogate)
        return self if own is None else self._changed(surrogate=own)

    def describe(self) -> str:
        """Return one readable line: how a surrogate differentiates it is no part of a defence."""
        left_out = ModelledPreprocessor.params
        words = {name: getattr(self, name) for name in self.params if name not in left_out}
        listed = ", ".join(f"{name}={v!r}" for name, v in words.items() if v is not None)
        return f"{type(self).__name__}({listed})"
