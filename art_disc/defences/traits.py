"""What a defence tells of itself to those that attack, check, certify, train behind and show it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks import Codebook
from art_disc.core.checks import Float32Array
from art_disc.core.showing import Shown
from art_disc.surrogates import CODEWORDS, NO_SURROGATE, LevelCode, Surrogate, Vocabulary


@dataclass(frozen=True, slots=True)
class PixelNoise(Shown):
    """Gaussian noise that is drawn for every value of an image, and what is made of it at once.

    Attributes:
        sigma: Standard deviation >= 0, on the [0, 1] scale.
        codewords: Shape (k, c): each noisy pixel goes to the nearest in l2, and nothing else of it
            is used; None: anything may be made of the noisy values.
        n_samples: Pixels of the image, drawn with replacement, that decide too what is made of the
            others; 0: none.
        tau: Standard deviation >= 0 of the noise on those, independent of that above.
    """

    sigma: float
    codewords: Float32Array | None = None
    n_samples: int = 0
    tau: float = 0.0


class Traits(Shown):
    """The answers of a defence without surrogate, codebook and draws; others override some.

    Attributes:
        vocabulary: The surrogates that it takes.
        surrogate: How it is differentiated, where that can be exchanged.
        codebook: Whose codewords its pixels become.
        seed: Where its stream begins, if its map may draw; a frozen one has a seed too.
        foreign: Whether it is somebody else's, of which nothing but its type is known.
        pools: Whether it resizes images and no value moves by more than the largest change of
            a pixel, so that what is proven of the smaller image holds for the whole.
    """

    vocabulary: ClassVar[Vocabulary] = NO_SURROGATE
    foreign: ClassVar[bool] = False
    pools: ClassVar[bool] = False
    surrogate: Surrogate | None = None
    codebook: Codebook | None = None
    seed: int | None = None

    @property
    def is_random(self) -> bool:
        """Whether two calls on the same images may give different ones."""
        return False

    @property
    def draws(self) -> bool:
        """Whether its map draws, frozen or not."""
        return self.seed is not None

    @classmethod
    def meant(cls, surrogate: Any) -> Any:
        """Return the surrogate that an object or a word means here; None where it says nothing."""
        return cls.vocabulary.find(surrogate)

    def spread(self) -> tuple[Surrogate, ...]:
        """Return the surrogates, `Identity` and its own apart, to attack through as well."""
        return ()

    def relaxed(self) -> "Traits | None":
        """Return the smooth defence on which attacks on this one make their examples, if any."""
        return None

    def noise(self) -> PixelNoise | None:
        """Return the noise that it draws on pixels; None where there is none to certify by."""
        return None

    def level_code(self) -> LevelCode | None:
        """Return the code that its map makes of grey levels, if it is a `LevelMap`."""
        return None

    def decode(self, made: NDArray[Any]) -> Float32Array | None:  # noqa: ARG002 - for subclasses
        """Return codes of another shape than their images as a picture; None where they are none.

        Codes are what this defence makes of images, the picture float32 in its layout and range.
        """
        return None

    def impossible(self, made: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for each image, in its layout and range, whether it never gives such pixels."""
        return np.zeros(len(made), dtype=bool)

    def frozen(self, seed: int) -> Self:  # noqa: ARG002 - for subclasses
        """Return the same defence with one set of draws; itself if it draws nothing."""
        return self

    def with_seed(self, seed: int) -> Self:  # noqa: ARG002 - for subclasses
        """Return the same defence with another stream; itself if it draws nothing."""
        return self

    def with_place(self, place: int) -> Self:  # noqa: ARG002 - for subclasses
        """Return the same defence as number `place` of a chain; itself if it draws nothing."""
        return self

    def described(self) -> dict[str, Any]:
        """Return the hyperparameters that tell this defence from others of its class."""
        return {}

    def describe(self) -> str:
        """Return one readable line: the defence with every hyperparameter."""
        words = ", ".join(f"{name}={value!r}" for name, value in self.described().items())
        return f"{type(self).__name__}({words})"

    def identity(self) -> Any:
        """Return what an attacker must know of it: no surrogate and no seed, which change nothing.

        Two defences are the same to an attacker where these are equal.
        """
        return self.frozen(0).describe()

    def facts(self) -> list[Any]:
        """Return what decides a training behind it, in plain values."""
        return [self.describe(), *([] if self.surrogate is None else [self.surrogate.name])]


class Foreign(Traits):
    """Somebody else's preprocessor: it takes `identity`, which leaves it out of the gradient.

    Through the other surrogates of codewords it keeps its own gradient.
    """

    vocabulary = CODEWORDS
    foreign = True

    def __init__(self, preprocessor: Any) -> None:
        self.preprocessor = preprocessor

    def describe(self) -> str:
        """Return its own line, or its type and parameters."""
        inner = self.preprocessor
        if hasattr(inner, "describe"):
            return str(inner.describe())
        names = getattr(inner, "params", ())
        words = ", ".join(f"{name}={getattr(inner, name, None)!r}" for name in names)
        return f"{type(inner).__name__}({words})" if words else type(inner).__name__

    def identity(self) -> Any:
        """Return the object itself: of another one nothing is known."""
        return self.preprocessor


def traits(defence: Any) -> Traits:
    """Return what a defence tells of itself, whoever made it."""
    return defence if isinstance(defence, Traits) else Foreign(defence)


def any_draws(defences: Iterable[Any]) -> bool:
    """Whether the map of any defence draws, frozen or not."""
    return any(traits(defence).draws for defence in defences)
