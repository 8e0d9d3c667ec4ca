"""What happens to images in prediction: ART's list may hold steps for training alone."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError


def applied(steps: Iterable[Any]) -> tuple[Any, ...]:
    """Return those of ART's preprocessors that it applies in prediction, in order."""
    return tuple(step for step in steps if step.apply_predict)


def stages(defences: Iterable[Any], x: Float32Array) -> Iterator[tuple[Any, Float32Array]]:
    """Yield each defence and what it makes, float32, of what the one before it made of images.

    Raises:
        InputError: A defence makes more or fewer rows than it is given.
    """
    for defence in defences:
        made = np.asarray(defence(x)[0], dtype=np.float32)
        if len(made) != len(x):
            msg = (
                f"{type(defence).__name__} must make one image of each, got {len(made)} of "
                f"{len(x)}; name it a step for training alone (apply_predict=False), or leave it "
                "out of the classifier's defences"
            )
            raise InputError(msg)
        x = made
        yield defence, x


def behind(defences: Iterable[Any], x: Float32Array) -> Float32Array:
    """Return what defences make of images, one after the other; see `stages`."""
    for _, made in stages(defences, x):
        x = made
    return x
