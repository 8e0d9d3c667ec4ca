"""Total-variation minimisation by a few steps of gradient descent."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from art_disc.core.checks import check_choice, check_count, check_positive
from art_disc.core.showing import Shown
from art_disc.defences.images import StepMap, divided
from art_disc.defences.preprocessor import SurrogatePreprocessor
from art_disc.surrogates import Identity, Surrogate, SurrogateLike, Vocabulary

KINDS = ("anisotropic", "isotropic")
# tensors of an image's size that autograd keeps of one step, roughly
_COPIES = 10


@dataclass(frozen=True, slots=True)
class Unrolled(Shown):
    """The exact gradient of a defence by iteration, through all of its steps."""

    name: ClassVar[str] = "unrolled"


@dataclass(frozen=True, slots=True)
class Descent:
    """Gradient descent on 1/2 |z - x|^2 + weight * TV(z), from z = x.

    See `TotalVariation` for the fields.
    """

    weight: float
    steps: int
    isotropic: bool
    smoothing: float
    step_size: float

    def __call__(self, x: Tensor) -> Tensor:
        """Return the last iterate of images (n, c, h, w) on [0, 1]."""
        z = x
        for _ in range(self.steps):
            z = z - self.step_size * self.slope(z, x)
        return z

    def objective(self, z: Tensor, x: Tensor) -> Tensor:
        """Return the objective (n,) of iterates (n, c, h, w) of as many images on [0, 1]."""
        down, right = _differences(z)
        tv = self._size(down, right).flatten(1).sum(dim=1)
        if not self.isotropic:
            tv = tv + self._size(right, down).flatten(1).sum(dim=1)
        return 0.5 * (z - x).square().flatten(1).sum(dim=1) + self.weight * tv

    def slope(self, z: Tensor, x: Tensor) -> Tensor:
        """Return the objective's gradient in z, shape of `z`."""
        down, right = _differences(z)
        along = down / (self._size(down, right) + self.smoothing)
        across = right / (self._size(right, down) + self.smoothing)
        turned = along.diff(dim=2, prepend=torch.zeros_like(along[:, :, :1]))
        turned = turned + across.diff(dim=3, prepend=torch.zeros_like(across[:, :, :, :1]))
        return (z - x) - self.weight * turned

    def _size(self, one: Tensor, other: Tensor) -> Tensor:
        """Return smoothed lengths, 0 where there is no difference."""
        squares = one.square() + other.square() if self.isotropic else one.square()
        return (squares + self.smoothing**2).sqrt() - self.smoothing


def _differences(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return differences to the next row and to the next column, 0 beyond the last."""
    down = z.diff(dim=2, append=z[:, :, -1:])
    return down, z.diff(dim=3, append=z[:, :, :, -1:])


class TotalVariationMap(StepMap):
    """Images with less variation; their exact gradient, or the identity's."""

    def __init__(self, descent: Descent, surrogate: Surrogate, **options: Any) -> None:
        # steps are computed again in the backward pass, so that they need not be kept of a batch
        super().__init__(_COPIES * descent.steps, unit=False, **options)
        self.descent = descent
        self.surrogate = surrogate

    def exact(self, images: Tensor) -> Tensor:
        """Return the last iterates."""
        return self.descent(divided(images, self.upper)) * self.upper

    def stand_in(self, images: Tensor) -> Tensor:
        """Return the images themselves, or their last iterates."""
        return images.clone() if isinstance(self.surrogate, Identity) else self.exact(images)


class TotalVariation(SurrogatePreprocessor):
    """Lower the total variation of every image by gradient descent.

    `steps` steps on 1/2 |z - x|_2^2 + weight * TV(z), from z = x, on [0, 1] whatever the input
    range, each channel by itself. TV sums sqrt(d^2 + s^2) - s over the differences d of neighbours
    (anisotropic), or sqrt(d_down^2 + d_right^2 + s^2) - s over pixels (isotropic); s, the
    smoothing, makes it differentiable. The objective's curvature is at most 1 + 8 weight / s; with
    the step size 1 / (1 + 8 weight / s) no step raises it, means stay, and no value leaves the
    range of its image.

    Twenty steps are the paper's and no minimum: differences between neighbours go, wide slopes
    stay.

    Args:
        weight: Lambda > 0 for values on [0, 1]; on the [-1, 1] of the paper's networks, the same
            number is half as strong as here.
        steps: Of gradient descent, >= 1.
        kind: `anisotropic` or `isotropic`.
        smoothing: s > 0. With 0.05 the slope of |d| turns at 0 as steeply as the logistic function
            2 sigma(40 d) - 1, which the paper puts in place of its sign.
        step_size: > 0; None: 1 / (1 + 8 weight / smoothing).
        surrogate: Backward pass: `unrolled`, the exact gradient, or `identity`.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: A parameter does not fit.

    Source: Guo, Rana, Cisse, van der Maaten 2018, section 3.2 (without its random pixels); weight,
    steps and objective of Zhang, Liang 2019, section 5.2; step size, smoothing and kind are ours.
    """

    params = ("weight", "steps", "kind", "smoothing", "step_size", *SurrogatePreprocessor.params)
    vocabulary = Vocabulary("unrolled or identity", {"unrolled": Unrolled, "identity": Identity})

    def __init__(
        self,
        weight: float = 0.2,
        steps: int = 20,
        *,
        kind: str = "anisotropic",
        smoothing: float = 0.05,
        step_size: float | None = None,
        surrogate: SurrogateLike = "unrolled",
        **options: Any,
    ) -> None:
        self.weight = weight
        self.steps = steps
        self.kind = kind
        self.smoothing = smoothing
        self.step_size = step_size
        super().__init__(surrogate, **options)

    def _check_params(self) -> None:
        for name in ("weight", "smoothing"):
            check_positive(getattr(self, name), name)
        if self.step_size is not None:
            check_positive(self.step_size, "step_size")
        self.steps = check_count(self.steps, "steps")
        check_choice(self.kind, "kind", KINDS)
        super()._check_params()

    @property
    def descent(self) -> Descent:
        """The iteration, with its objective."""
        safe = 1 / (1 + 8 * self.weight / self.smoothing)
        isotropic = self.kind == "isotropic"
        return Descent(self.weight, self.steps, isotropic, self.smoothing, self.step_size or safe)

    def _make_map(self) -> TotalVariationMap:
        return TotalVariationMap(self.descent, self.surrogate, **self._layout())

    def spread(self) -> tuple[Surrogate, ...]:
        """Return the exact gradient."""
        return (Unrolled(),)
