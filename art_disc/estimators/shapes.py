"""What the network is given behind defences that change the images' shape."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from art_disc.core.errors import InputError
from art_disc.core.seeds import global_seeds
from art_disc.defences.preprocessor import is_ours
from art_disc.estimators.applied import applied
from art_disc.estimators.module import DefendedModule

Shape = tuple[int, int, int]


def encoded_shape(
    defences: Sequence[Any], input_shape: Shape, *, channels_first: bool = True
) -> Shape:
    """Return the shape of one image behind defences: what the network must take.

    >>> from art_disc import Thermometer
    >>> encoded_shape([Thermometer(16)], (3, 32, 32))
    (48, 32, 32)

    Args:
        defences: In the order in which they are applied; those for training alone change nothing,
            somebody else's preprocessors are tried on an image of zeros.
        input_shape: (c, h, w), or (h, w, c) where not `channels_first`.
        channels_first: Layout of the images.

    Raises:
        InputError: Somebody else's preprocessor fails there, or returns no images.
    """
    for defence in applied(defences):
        input_shape = _behind(defence, input_shape, channels_first=channels_first)
    return input_shape


def _behind(defence: Any, shape: Shape, *, channels_first: bool) -> Shape:
    if is_ours(defence):
        if defence.channels_first != channels_first:
            clip = defence.clip_values
            defence = defence.with_layout(channels_first=channels_first, clip_values=clip)
        return tuple(defence.encoded_shape(shape))
    return _tried(defence, shape)


def _tried(defence: Any, shape: Shape) -> Shape:
    """Return the shape that somebody else's preprocessor makes of an image of zeros."""
    try:
        # asking for a shape must not move a stream that the caller draws from
        with global_seeds(0), torch.random.fork_rng(devices=[]):
            made = np.asarray(defence(np.zeros((1, *shape), dtype=np.float32))[0])
    # the user's own code runs here, and may raise anything
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        msg = (
            f"{type(defence).__name__} fails on one image of zeros of shape {shape}: {why}; give a "
            "preprocessor for such images"
        )
        raise InputError(msg) from error
    if made.ndim != 4 or len(made) != 1:
        msg = (
            f"{type(defence).__name__} must return images of shape (n, c, h, w) or (n, h, "
            f"w, c), got {made.shape} for one image of shape {shape}"
        )
        raise InputError(msg)
    return made.shape[1], made.shape[2], made.shape[3]


def check_standardisation(module: DefendedModule, shape: Shape) -> None:
    """Refuse (mean, std) made for the channels of images where the network takes codes.

    Raises:
        InputError: They do not fit the encoded channels.
    """
    for name, values in (("mean", module.mean), ("std", module.std)):
        try:
            fits = torch.broadcast_shapes(values.shape, shape) == shape
        except RuntimeError:
            fits = False
        if not fits:
            channels = shape[0 if module.channels_first else -1]
            msg = (
                f"preprocessing=(mean, std) is for the encoded images of shape {shape}: expected "
                f"one number or {channels} of them, got a {name} of {values.numel()}; leave it "
                "out, codes are 0 and 1"
            )
            raise InputError(msg)


def check_units(classifier: Any) -> None:
    """Refuse (mean, std) that are none, or of another range than the images'.

    Behind an encoder any positive deviation will do.
    """
    upper = float(np.max(classifier.clip_values[1]))
    mean, std = (np.asarray(value, np.float64) for value in classifier.standardisation or (0, 1))
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        msg = f"preprocessing=(mean, std) must be finite with std > 0, got {mean} and {std}"
        raise InputError(msg)
    highest = float(mean.max())
    if classifier.has_base and (highest > upper or (upper > 1 and 0 < highest <= 1)):
        factor = "divide both by 255" if highest > upper else "multiply both by 255"
        msg = (
            f"preprocessing=(mean, std) is in the input range [0, {upper:g}], got a mean of "
            f"{highest:g}; {factor}"
        )
        raise InputError(msg)
