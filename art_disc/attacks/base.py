"""What the attacks of our own share: parameters and their checks, labels, and ART's stream."""

from abc import abstractmethod
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar

import numpy as np
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator
from numpy.typing import NDArray

from art_disc.core.checks import BoolArray, Float32Array, check_count, check_mask, number_of
from art_disc.core.errors import InputError
from art_disc.core.inputs import Inputs
from art_disc.core.seeds import check_seed, generator_of
from art_disc.core.showing import Shown


@dataclass(eq=False, repr=False)
class OwnAttack(Shown, EvasionAttack):
    """An attack under ART's contract, a dataclass whose fields are its parameters.

    Args:
        estimator: As the attack wants it.

    Raises:
        InputError: A parameter does not fit.
    """

    estimator: InitVar[Any] = field()

    # for predictions; one that differentiates asks for more
    _estimator_requirements: ClassVar[tuple[type, ...]] = (BaseEstimator,)

    # parameters that must be > 0 without being whole
    _positive: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self, estimator: Any) -> None:
        super().__init__(estimator=estimator)
        self._check_params()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # a seed is no setting
        cls.attack_params = [name for name in cls.__annotations__ if name != "seed"]

    def _shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.attack_params}

    def _check_params(self) -> None:
        settings = vars(self)
        Inputs.of(self.estimator).budget(settings["eps"], norm=settings.get("norm", "inf"))
        for name in {"max_iter", "batch_size"} & set(self.attack_params):
            check_count(getattr(self, name), name)
        if settings.get("seed") is not None:
            check_seed(settings["seed"])
        for name in self._positive:
            if not number_of(getattr(self, name)) > 0:
                msg = f"{name} must be positive, got {getattr(self, name)}"
                raise InputError(msg)

    def generate(
        self, x: Float32Array, y: Any = None, *, mask: Any = None, **_others: Any
    ) -> Float32Array:
        """Return adversarial images.

        Args:
            x: Images (n, ...) in the clip range, floats, or uint8; not written to.
            y: Labels, indices or one-hot: true ones, or targets where `targeted`. None: the
                classifier's own predictions.
            mask: Broadcastable to `x`: where it is 0 (False) an image does not change; None: it may
                everywhere.

        Returns:
            float32 array of the shape of `x`.

        Raises:
            InputError: Targeted without `y`, images, labels or a mask that do not fit, or an
                argument of another name.
        """
        if _others:
            name = type(self).__name__
            msg = f"{name}.generate takes x, y and mask, got {', '.join(_others)} too; leave it out"
            raise InputError(msg)
        inputs = Inputs.of(self.estimator)
        images = inputs.images(x)
        if y is None and self.targeted:
            msg = "a targeted attack needs y, the classes to reach"
            raise InputError(msg)
        if y is None:
            y = self.estimator.predict(images).argmax(axis=1)
        free = check_mask(mask, images.shape)
        found = self._run(images, inputs.labels(y, len(images)), free)
        return np.where(free, found, images)

    @abstractmethod
    def _run(self, x: Float32Array, labels: NDArray[np.int64], free: BoolArray) -> Float32Array:
        """Return adversarial images of images (n, ...) and labels (n,).

        `free` (n, ...) tells what may change: the rest is put back afterwards, so an attack looks
        among such images alone, or refuses a mask.
        """


def own_stream(seed: int | None) -> np.random.Generator:
    """Return the generator of an attack's seed; None: of one that is drawn, see `drawn_seed`."""
    return generator_of(drawn_seed() if seed is None else seed)


def drawn_seed() -> int:
    """Draw a seed from NumPy's global stream, where ART's attacks, and so its users' seeds, are."""
    return int(np.random.randint(2**31))  # noqa: NPY002 - ART's stream
