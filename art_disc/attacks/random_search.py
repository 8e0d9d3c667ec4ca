"""Blind guessing inside the budget: the attack that every other one has to beat."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from art_disc.attacks.base import OwnAttack, own_stream
from art_disc.core.checks import BoolArray, Float32Array
from art_disc.core.errors import InputError

Draws = Iterator[Float32Array]

# of a classifier that draws: images kept for another look, and how often each is looked at
_FINALISTS, _LOOKS = 8, 8


@dataclass(eq=False, repr=False)
class RandomSearch(OwnAttack):
    """Draw images around each clean one until the classifier is wrong; else keep the image.

    Of a classifier that draws, the image that it is least sure of: all `max_iter` are tried.

    Half of the draws are corners (every value moved by the whole budget, up or down), half are
    uniform in the ball's box; in l_2 all are Gaussian directions on the sphere.

    Args:
        estimator: An ART classifier with clip values.
        eps: Budget in the input range.
        norm: `inf` or 2.
        max_iter: Draws an image at most.
        batch_size: Images that are predicted at once.
        seed: Of the attack's own stream; None: from NumPy's global stream, as ART's attacks.

    Raises:
        InputError: A parameter does not fit.

    Source: check 11 of the evaluation guide of Carlini et al. 2019 (brute-force random search).
    """

    eps: float = 0.3
    norm: float | str = np.inf
    max_iter: int = 1000
    batch_size: int = 500
    seed: int | None = None

    def _check_params(self) -> None:
        super()._check_params()
        if self.norm not in (np.inf, "inf", 2, "2"):
            msg = f"norm must be 'inf' or 2, got {self.norm!r}"
            raise InputError(msg)

    def _run(self, x: Float32Array, labels: NDArray[np.int64], free: BoolArray) -> Float32Array:
        rng = own_stream(self.seed)
        found = []
        for image, label, where in zip(x, labels, free, strict=True):
            found.append(self._search(image, label, self._drawn(image, where, rng)))
        return np.stack(found)

    def _search(self, image: Float32Array, label: int, draws: Draws) -> Float32Array:
        if getattr(self.estimator, "is_random", False):
            return self._least_sure(image, label, draws)
        for drawn in draws:
            wrong = self.estimator.predict(drawn).argmax(axis=1) != label
            if wrong.any():
                return np.asarray(drawn[wrong.argmax()], dtype=np.float32)
        return image

    def _drawn(self, image: Float32Array, free: BoolArray, rng: np.random.Generator) -> Draws:
        low, high = (float(np.max(v)) for v in self.estimator.clip_values)
        for start in range(0, self.max_iter, self.batch_size):
            shape = (min(self.batch_size, self.max_iter - start), *image.shape)
            changes = draw_changes(rng, shape, self.eps, self.norm, free)
            yield np.clip(image + changes, low, high)

    def _least_sure(self, image: Float32Array, label: int, draws: Draws) -> Float32Array:
        """Return the image, of all that are tried, that is least classified as the label.

        One wrong vote of a classifier that draws is luck. So all are tried, and the few that look
        best are asked about again, next to the clean image.
        """
        kept = image[None]
        for drawn in draws:
            order = np.argsort(self._lead(drawn, label))[:_FINALISTS]
            both = np.concatenate([kept, drawn[order]])
            few = 1 + np.argsort(self._lead(both[1:], label))[:_FINALISTS]
            kept = both[np.concatenate([[0], few])]
        again = np.mean([self._lead(kept, label) for _ in range(_LOOKS)], axis=0)
        return np.asarray(kept[again.argmin()], dtype=np.float32)

    def _lead(self, images: Float32Array, label: int) -> NDArray[np.float64]:
        """By how much the label's score exceeds the highest of another class."""
        scores = np.asarray(self.estimator.predict(images), dtype=np.float64)
        mine = scores[:, label].copy()
        scores[:, label] = -np.inf
        return np.asarray(mine - scores.max(axis=1))


def draw_changes(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    eps: float,
    norm: float | str,
    free: BoolArray | np.bool_ = np.True_,
) -> Float32Array:
    """Draw changes of the whole budget: every other one a corner of the box; in l_2 directions.

    Those of shape (n, ...) are 0 where `free`, of one image's shape, is False.
    """
    if norm in (2, "2"):
        direction = np.where(free, rng.standard_normal(shape, dtype=np.float32), np.float32(0))
        sizes = np.linalg.norm(direction.reshape(shape[0], -1), axis=1)
        sizes[sizes == 0] = 1
        sphere = direction / sizes.reshape(-1, *[1] * (len(shape) - 1))
        return np.asarray(eps * sphere, dtype=np.float32)
    uniform = rng.uniform(-1, 1, size=shape).astype(np.float32)
    uniform[::2] = np.sign(uniform[::2])
    return np.asarray(np.where(free, np.float32(eps) * uniform, np.float32(0)))
