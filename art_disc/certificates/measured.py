"""What is measured of a classifier before a certificate, and how it is known again."""

from dataclasses import replace

import numpy as np

from art_disc.certificates.target import Target
from art_disc.codebox import Threat, unit_mask
from art_disc.core.checks import Float32Array
from art_disc.core.errors import CertificateError
from art_disc.estimators.steadiness import SAME, Steadiness, steadiness

_SAMPLE = 256
# images of random codewords that a classifier is known again by
_PROBES = 8
# on the [0, 1] scale; any shift that leaves most pixels in their cell will do
_SHIFT = np.float32(0.03)


def measured(target: Target, x: Float32Array, batch_size: int) -> Target:
    """Return a target with the float noise that its scores of images have.

    Raises:
        CertificateError: Scores that are not an image's own, or a map that is none; see
            `check_steady` and `check_map`.
    """
    steady = steadiness(target.scores, x, upper=target.upper, rows=batch_size)
    check_steady(steady)
    check_map(target, x, batch_size)
    images = _random_codes(target, x.shape[1:])
    return replace(target, noise=steady.noise, probe=(images, target.scores(images, len(images))))


def _random_codes(target: Target, shape: tuple[int, ...]) -> Float32Array:
    """Return a few images of codewords, the same ones every time."""
    units = target.units(np.zeros((_PROBES, *shape), np.float32))
    words = target.codebook.codewords_
    codes = np.random.default_rng(0).integers(len(words), size=units.shape[:2])
    return target.images(words[codes], shape)


def check_steady(steady: Steadiness) -> None:
    """Refuse scores that depend on more than the image.

    Raises:
        CertificateError: They do.
    """
    if steady.doubt:
        msg = (
            f"a certificate needs scores that are an image's own, but {steady.doubt}; take a "
            "network that sees one image at a time and draws nothing, in eval mode (BatchNorm with "
            "running statistics)"
        )
        raise CertificateError(msg)


def check_map(target: Target, x: Float32Array, batch_size: int) -> None:
    """Refuse a classifier that tells an image from the image of its codewords.

    It is tried on up to 256 of the images and on shifted copies of them, which are no codewords
    even where the images are; something done to the raw pixels before the codebook map, or a map
    that is not applied, shows here.

    Raises:
        CertificateError: Scores differ.
    """
    sample = x[:_SAMPLE]
    units, book = target.units(sample), target.codebook
    shift = np.where(np.arange(units.shape[1])[:, None] % 2, _SHIFT, -_SHIFT)
    moved = np.where(units + shift < 0, units - shift, units + shift)
    units = np.concatenate([units, np.clip(moved, 0, 1).astype(np.float32)])
    codes = book.codewords_[book.assign(units).reshape(units.shape[:2])]
    # where rounding could break a tie, both get the codeword
    mask = unit_mask(units, book, Threat(0.0))
    clear = mask.sum(axis=-1, keepdims=True) == 1
    shape = x.shape[1:]
    raw = target.scores(target.images(np.where(clear, units, codes), shape), batch_size)
    mapped = target.scores(target.images(codes, shape), batch_size)
    scale = np.maximum(1.0, np.abs(mapped).max(axis=1, keepdims=True))
    if not (np.abs(raw - mapped) <= SAME * scale).all():
        msg = (
            "the classifier scores an image and the image of its codewords differently: the map is "
            "not applied, or the pixels are changed before it; a certificate needs it first"
        )
        raise CertificateError(msg)
