"""Blind guessing inside the budget: the attack that every other one has to beat."""

from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator

from art_disc.attacks.spec import AttackSpec, Request, Settings
from art_disc.core.checks import Float32Array, check_count, check_labels
from art_disc.core.errors import InputError


class RandomSearch(EvasionAttack):
    """Draw images around each clean one until the classifier is wrong.

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

    attack_params = (*EvasionAttack.attack_params, "eps", "norm", "max_iter", "batch_size")
    _estimator_requirements = (BaseEstimator,)

    def __init__(
        self,
        estimator: Any,
        eps: float = 0.3,
        norm: float | str = np.inf,
        max_iter: int = 1000,
        batch_size: int = 500,
        seed: int | None = None,
    ) -> None:
        super().__init__(estimator=estimator)
        self.eps, self.norm, self.max_iter, self.batch_size = eps, norm, max_iter, batch_size
        self.seed = seed
        self._check_params()

    def _check_params(self) -> None:
        check_count(self.max_iter, "max_iter")
        check_count(self.batch_size, "batch_size")
        if self.norm not in (np.inf, "inf", 2, "2"):
            msg = f"norm must be 'inf' or 2, got {self.norm!r}"
            raise InputError(msg)

    def generate(self, x: Float32Array, y: Any = None, **_: Any) -> Float32Array:
        """Return for each image the first draw that is classified wrongly, or the image itself.

        Args:
            x: Images in the clip range; not written to.
            y: True labels, indices or one-hot. None: the classifier's own predictions.
        """
        images = np.asarray(x, dtype=np.float32)
        labels = check_labels(
            self.estimator.predict(images) if y is None else y,
            len(images),
            self.estimator.nb_classes,
        )
        # the global stream is where ART's attacks, and so its users' seeds, are
        seed = self.seed if self.seed is not None else np.random.randint(2**31)  # noqa: NPY002
        rng = np.random.default_rng(seed)
        found = [
            self._search(image, label, rng) for image, label in zip(images, labels, strict=True)
        ]
        return np.stack(found)

    def _search(self, image: Float32Array, label: int, rng: np.random.Generator) -> Float32Array:
        low, high = (float(np.max(v)) for v in self.estimator.clip_values)
        for start in range(0, self.max_iter, self.batch_size):
            count = min(self.batch_size, self.max_iter - start)
            drawn = np.clip(
                image + draw_changes(rng, (count, *image.shape), self.eps, self.norm), low, high
            )
            wrong = self.estimator.predict(drawn).argmax(axis=1) != label
            if wrong.any():
                return np.asarray(drawn[wrong.argmax()], dtype=np.float32)
        return image


def draw_changes(
    rng: np.random.Generator, shape: tuple[int, ...], eps: float, norm: float | str
) -> Float32Array:
    """Draw changes of the whole budget: every other one a corner of the box; in l_2 directions."""
    if norm in (2, "2"):
        direction = rng.standard_normal(shape, dtype=np.float32)
        sizes = np.linalg.norm(direction.reshape(shape[0], -1), axis=1)
        sphere = direction / sizes.reshape(-1, *[1] * (len(shape) - 1))
        return np.asarray(eps * sphere, dtype=np.float32)
    uniform = rng.uniform(-1, 1, size=shape).astype(np.float32)
    uniform[::2] = np.sign(uniform[::2])
    return np.asarray(np.float32(eps) * uniform)


def _make(request: Request, settings: Settings) -> EvasionAttack:
    return RandomSearch(
        request.classifier, request.eps, request.order, max_iter=int(settings["max_iter"])
    )


RANDOM_SEARCH = AttackSpec(
    name="random_search",
    label="Random search (blind guessing)",
    art="",
    make=_make,
    tiers={
        "smoke": {"max_iter": 100},
        "standard": {"max_iter": 1000},
        "strong": {"max_iter": 10_000},
    },
    norms=("inf", "2"),
    gradients=False,
    targetable=False,
    cost=lambda s: (0, s["max_iter"]),
)
