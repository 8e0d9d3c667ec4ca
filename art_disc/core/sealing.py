"""Objects that are closed once something is built on them."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from art_disc.core.errors import SealedError


class Sealable:
    """An object of which a sealed copy can be made, whose attributes nothing sets any more.

    What is built, described and certified then rests on one object, whatever becomes of the
    original. Copies and pickles of a sealed object are sealed.

    Attributes:
        unsealed: Names of attributes that may be set all the same.
        how_to_change: What to do in place of setting one, in words.
    """

    unsealed: ClassVar[frozenset[str]] = frozenset()
    how_to_change: ClassVar[str] = "make another one"

    @property
    def is_sealed(self) -> bool:
        """Whether nothing can change it."""
        return bool(self.__dict__.get("_sealed"))

    def sealed(self) -> Self:
        """Return a copy that nothing can change, or itself if it is one."""
        return self if self.is_sealed else copy.copy(self)._seal()

    def _seal(self) -> Self:
        self.__dict__["_sealed"] = True
        return self

    def _unsealed_copy(self) -> Self:
        twin = copy.copy(self)
        twin.__dict__.pop("_sealed", None)
        return twin

    def check_unsealed(self, what: str = "changed") -> None:
        """Refuse a change of a sealed object; `what` says which.

        Raises:
            SealedError: It is sealed; the message says what to do.
        """
        if self.is_sealed:
            msg = (
                f"expected a {type(self).__name__} of your own, got one that something is built "
                f"on, which cannot be {what}; {self.how_to_change}"
            )
            raise SealedError(msg)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.unsealed:
            self.check_unsealed(f"given another {name}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self.check_unsealed(f"left without {name}")
        super().__delattr__(name)

    @contextmanager
    def _or_as_before(self) -> Iterator[None]:
        """Take back what was set in the block where it ends in an error."""
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
