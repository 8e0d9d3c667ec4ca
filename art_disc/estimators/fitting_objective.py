"""A loss that sees network and images, not scores alone, in the place of ART's in `fit`."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError


class _Passing(nn.Module):
    """What ART trains meanwhile: the images themselves come out, the network's mode is set."""

    def __init__(self, wrapped: nn.Module) -> None:
        super().__init__()
        self.wrapped = wrapped

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the images as ART's wrapper returns scores."""
        return [x]


@contextmanager
def taught_by(classifier: Any, objective: Callable[..., Tensor], steps: int) -> Iterator[None]:
    """Let ART's `fit` minimise an objective of `art_disc.training`.

    Args:
        classifier: Its images are (n, c, h, w) in [0, 1].
        objective: As `art_disc.training.Objective`.
        steps: Of the whole fit; the objective is told which share of them is done.

    Meanwhile the classifier predicts nothing.

    Raises:
        InputError: No objective, or images of another layout or range; in the fit, labels that are
            no classes.
    """
    if isinstance(objective, type) or not callable(getattr(objective, "describe", None)):
        msg = (
            f"objective must be one of art_disc.training, such as Certified(0.3), or None, got "
            f"{objective!r}"
        )
        raise InputError(msg)
    if not classifier.channels_first or np.max(classifier.clip_values[1]) != 1:
        msg = "an objective needs images (n, c, h, w) in [0, 1]; build the classifier for these"
        raise InputError(msg)
    module, done = classifier.model, count()
    # follows torch.manual_seed, as the order of ART's batches does
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))

    def loss(x: Tensor, y: Tensor) -> Tensor:
        if y.ndim == 2 and not bool((y.amax(dim=1) == 1).all()):
            msg = "an objective needs labels that are classes, got rows of probabilities"
            raise InputError(msg)
        labels = y.argmax(dim=1) if y.ndim == 2 else y.long()
        # a preprocessor of ART's that makes more images of each makes more steps too
        progress = min(next(done), steps - 1) / steps
        return objective(module, x, labels, progress=progress, generator=generator)

    kept = classifier._model, classifier._loss
    classifier._model, classifier._loss = _Passing(classifier._model), loss
    try:
        yield
    finally:
        classifier._model, classifier._loss = kept


def steps_of(images: int, batch_size: int, nb_epochs: int, *, drop_last: bool) -> int:
    """Return how many batches ART's `fit` makes.

    >>> steps_of(10, 4, 3, drop_last=False), steps_of(10, 4, 3, drop_last=True)
    (9, 6)
    """
    return nb_epochs * (images // batch_size if drop_last else math.ceil(images / batch_size))
