"""What a classifier takes: one rule for images, labels and budgets at every door."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array, check_eps, check_images, check_labels
from art_disc.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Inputs:
    """Range, shape and classes of a classifier, and what they make of what its user gives.

    Attributes:
        upper: Top of the input range.
        shape: Of one image, in the classifier's layout; None: any.
        nb_classes: None: any.
    """

    upper: float
    shape: tuple[int, ...] | None
    nb_classes: int | None

    @classmethod
    def of(cls, classifier: Any) -> Self:
        """Read them off an ART classifier, or anything with its attributes.

        Raises:
            InputError: It has no clip values, so no range.
        """
        clip = getattr(classifier, "clip_values", None)
        if clip is None:
            msg = (
                f"{type(classifier).__name__} has no clip_values, so the range of its images is "
                "unknown; give it clip_values=(0, 1) or (0, 255)"
            )
            raise InputError(msg)
        shape = getattr(classifier, "input_shape", None)
        return cls(
            upper=float(np.max(clip[1])),
            shape=None if shape is None else tuple(int(side) for side in shape),
            nb_classes=getattr(classifier, "nb_classes", None),
        )

    def images(self, x: Any, *, name: str = "x") -> Float32Array:
        """Return images as float32 in the input range; see `check_images`."""
        return check_images(x, name=name, upper=self.upper, shape=self.shape)

    def labels(self, y: Any, n: int) -> NDArray[np.int64]:
        """Return labels as class indices of shape (n,); see `check_labels`."""
        return check_labels(y, n, self.nb_classes)

    def budget(self, eps: Any, *, norm: Any = "inf") -> float:
        """Return a budget in the input range; see `check_eps`.

        In another norm than `inf` the largest change is the diagonal of the range.
        """
        most = self.upper
        if norm not in ("inf", np.inf):
            most *= math.sqrt(math.prod(self.shape)) if self.shape else math.inf
        return check_eps(eps, upper=self.upper, most=most)
