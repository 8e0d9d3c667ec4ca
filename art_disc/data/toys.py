"""Toy problems whose answer is known in closed form, for tests, documentation and notebooks."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array, check_count
from art_disc.core.errors import InputError
from art_disc.core.seeds import generator_of
from art_disc.data.dataset import Dataset, Labels

_CENTRE, _SPREAD = 0.5, 0.2


@dataclass(frozen=True, slots=True, eq=False)
class LinearToy:
    """Two classes divided by a hyperplane, and how far each image is from it.

    The class is 1 where w.x + b > 0, else 0. Pixels lie in [0.3, 0.7] and no radius exceeds 0.2,
    so that the nearest image of the other class is inside [0, 1]: clipping plays no part.

    Attributes:
        x: float32 images, shape (n, channels, height, width), in [0.3, 0.7].
        y: int64 classes, shape (n,), 0 or 1.
        w: float32 weights of the flattened image, shape (channels * height * width,).
        b: Bias.
        radius: float64, shape (n,): l_inf distance to the boundary, |w.x + b| / ||w||_1. A
            change smaller than it never alters the class, a greater one can.
        levels: The values that pixels take, shape (nb_codes,), or empty: any.
    """

    x: Float32Array = field(repr=False)
    y: Labels = field(repr=False)
    w: Float32Array = field(repr=False)
    b: float
    radius: NDArray[np.float64] = field(repr=False)
    levels: Float32Array

    def scores(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return w.x + b in float64, shape (n,), for images of shape (n, ...)."""
        return _scores(x, self.w, self.b)

    def predict(self, x: NDArray[np.floating]) -> Labels:
        """Return the class of each image, shape (n,), 0 or 1."""
        return (self.scores(x) > 0).astype(np.int64)

    def as_dataset(self) -> Dataset:
        """Return the problem as a data set whose training and test parts are the same images."""
        return Dataset("linear", self.x, self.y, self.x, self.y, ("0", "1"), "art_disc.data.toys")


def linear_problem(
    n: int = 64, seed: int = 0, shape: tuple[int, int, int] = (1, 4, 4), nb_codes: int | None = None
) -> LinearToy:
    """Draw a linear two-class problem with balanced classes and radii spread over (0, 0.2).

    Args:
        n: Number of images.
        seed: Seed of the draw.
        shape: Channels, height and width.
        nb_codes: Round each pixel to one of so many evenly spaced levels in [0.3, 0.7], at least
            2; None: leave them real.

    Raises:
        InputError: `n` or `nb_codes` too small, or `shape` not three sizes.

    Example:
        >>> toy = linear_problem(n=8)
        >>> bool((toy.predict(toy.x) == toy.y).all())
        True
    """
    check_count(n, "n")
    if len(shape) != 3 or min(shape) < 1:
        msg = f"shape must be (channels, height, width), each at least 1, got {shape}"
        raise InputError(msg)
    generator = generator_of(seed)
    size = int(np.prod(shape))
    sign = generator.choice([-1.0, 1.0], size)
    # no weight near zero: every pixel then matters to the l_inf radius
    w = (sign * generator.uniform(0.2, 1.0, size)).astype(np.float32)
    side = np.where(np.arange(n) % 2, 1.0, -1.0) * generator.uniform(0.05, 0.75, n) * _SPREAD
    noise = generator.uniform(-_SPREAD, _SPREAD, (n, size)) / 4
    x = (_CENTRE + side[:, None] * sign + noise).astype(np.float32)
    levels = np.zeros(0, np.float32)
    if nb_codes is not None:
        check_count(nb_codes, "nb_codes", least=2)
        levels = np.linspace(_CENTRE - _SPREAD, _CENTRE + _SPREAD, nb_codes).astype(np.float32)
        x = levels[np.abs(x[..., None] - levels).argmin(axis=-1)]
    b = float(-_CENTRE * w.sum(dtype=np.float64))
    scores = _scores(x, w, b)
    return LinearToy(
        x=x.reshape(n, *shape),
        y=(scores > 0).astype(np.int64),
        w=w,
        b=b,
        radius=np.abs(scores) / np.abs(w).sum(dtype=np.float64),
        levels=levels,
    )


def _scores(x: NDArray[np.floating], w: Float32Array, b: float) -> NDArray[np.float64]:
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    return flat @ w.astype(np.float64) + b
