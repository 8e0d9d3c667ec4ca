"""What certificates need of a classifier; by enumeration: a codebook map first, nothing random."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier

from art_disc.bounds.rounded import RoundedNetwork
from art_disc.certificates.exact_networks import exact_network
from art_disc.certificates.known import check_first, check_known, defences_inside, is_identity
from art_disc.codebooks import Codebook
from art_disc.codebox import from_units, to_units
from art_disc.core.checks import Float32Array, Float64Array, IntArray
from art_disc.core.errors import CertificateError, InputError
from art_disc.defences.preprocessor import check_clip_values
from art_disc.defences.traits import traits
from art_disc.estimators.applied import applied
from art_disc.estimators.contract import Classifier
from art_disc.estimators.steadiness import FACTOR, SAME
from art_disc.networks.integer import IntegerNetwork

# less than any margin but 0 of a network whose sums need no more than 52 bits
EXACT_TOLERANCE = 2.0**-60


def input_top(classifier: Any) -> float:
    """Return the top of a classifier's input range, 1 or 255.

    Raises:
        CertificateError: Its clip values are neither (0, 1) nor (0, 255).
    """
    clip = getattr(classifier, "clip_values", None)
    try:
        return check_clip_values(clip)[1]
    except InputError as error:
        msg = f"a certificate needs clip_values (0, 1) or (0, 255), got {clip!r}"
        raise CertificateError(msg) from error


def applied_defences(classifier: Any) -> tuple[Any, ...]:
    """Return what happens to an input before the network, in order.

    That is ART's list and what a `DefendedModule` holds. A class that is not ART's names its
    `defences`, and what is there but not among them comes first: a claim hides nothing that can be
    seen.
    """
    listed = tuple(getattr(classifier, "preprocessing_operations", None) or ())
    inside = defences_inside(classifier)
    own = type(classifier) is not PyTorchClassifier
    claimed = tuple(getattr(classifier, "defences", None) or ()) if own else (*listed, *inside)
    used = [d for d in applied(listed) if not is_identity(d)]
    idle = [d for d in listed if not _holds(used, d)]
    unnamed = (d for d in (*used, *inside) if not _holds(claimed, d))
    return (*unnamed, *(d for d in claimed if not _holds(idle, d)))


def _holds(steps: Iterable[Any], wanted: Any) -> bool:
    return any(step is wanted for step in steps)


def codebook_of(classifier: Classifier) -> Codebook:
    """Return the codebook that a classifier maps its raw pixels to.

    Args:
        classifier: From `build_classifier` or `defend`, or an ART classifier with a codebook
            defence first among its `preprocessing_defences`.

    Raises:
        CertificateError: The first thing that happens to an input is not a codebook map.
    """
    codebook: Codebook = _first_defence(classifier).codebook
    return codebook


def _first_defence(classifier: Classifier) -> Any:
    first = (*applied_defences(classifier), None)[0]
    if not _has_codebook(first):
        found = "no defence" if first is None else type(first).__name__
        msg = (
            "a certificate needs a classifier whose first defence maps raw pixels to a fitted "
            f"codebook (such as PixelDiscretization), got {type(classifier).__name__} with "
            f"{found} first; build it with build_classifier(model, defences=[...])"
        )
        raise CertificateError(msg)
    return first


def _has_codebook(defence: Any) -> bool:
    book = getattr(defence, "codebook", None)
    return isinstance(book, Codebook) and book.is_fitted


@dataclass(frozen=True, slots=True)
class Target:
    """A classifier fit for a certificate, and what certificates ask of it.

    Attributes:
        classifier: The classifier.
        codebook: Its first codebook.
        upper: Top of its range.
        channels_first: Its layout.
        rounded: Its network, where that is one of rounded weights in exact arithmetic.
        integer: Its network, where that is one of whole numbers.
        noise: Largest difference measured between scores of one image in two batches, in units of
            its largest score (at least 1).
        probe: Images of random codewords, and what was predicted of them when it was measured.
    """

    classifier: Classifier
    codebook: Codebook
    upper: float
    channels_first: bool
    rounded: RoundedNetwork | None = None
    integer: IntegerNetwork | None = None
    noise: float = 0.0
    probe: tuple[Float32Array, Float64Array] | None = None

    @property
    def is_exact(self) -> bool:
        """Whether sums of its network are exact."""
        return self.rounded is not None or self.integer is not None

    @property
    def arithmetic(self) -> str:
        """`exact` where sums of its network are, else `float`."""
        return "exact" if self.is_exact else "float"

    @property
    def tolerance(self) -> float:
        """By how much of the largest score, at least 1, a class must win, or lose."""
        return max(EXACT_TOLERANCE if self.is_exact else SAME, FACTOR * self.noise)

    def units(self, x: Float32Array) -> Float32Array:
        """Images in the input range to units (n, units, d) in [0, 1]."""
        scaled = x if self.upper == 1 else x / np.float32(self.upper)
        return to_units(scaled, self.codebook, channels_first=self.channels_first)

    def images(self, units: Float32Array, shape: tuple[int, ...]) -> Float32Array:
        """Units in [0, 1] to images in the input range; `shape` has no batch axis."""
        x = from_units(units, shape, self.codebook, channels_first=self.channels_first)
        return x if self.upper == 1 else x * np.float32(self.upper)

    def ends(self, shape: tuple[int, ...]) -> tuple[Float32Array, Float32Array]:
        """Least and largest values of images of codewords, in the input range, of a shape."""
        units = self.units(np.zeros((1, *shape), np.float32))
        words = self.codebook.codewords_
        low, high = (
            self.images(np.broadcast_to(end, units.shape).copy(), shape)[0]
            for end in (words.min(axis=0), words.max(axis=0))
        )
        return low, high

    def scores(self, x: Float32Array, batch_size: int) -> Float64Array:
        """Return what the classifier predicts, shape (n, classes >= 2).

        Raises:
            CertificateError: Another shape.
        """
        with _full_precision():
            scores = np.asarray(self.classifier.predict(x, batch_size=batch_size), np.float64)
        if scores.ndim != 2 or len(scores) != len(x) or scores.shape[1] < 2:
            msg = f"expected scores of shape ({len(x)}, classes >= 2), got {scores.shape}"
            raise CertificateError(msg)
        return scores

    def check_probe(self) -> None:
        """Refuse a classifier that scores images of codewords otherwise than when it was measured.

        In another process its classes may be others than they are here.

        Raises:
            CertificateError: It does.
        """
        if self.probe is None:
            return
        images, before = self.probe
        now = self.scores(images, len(images))
        with np.errstate(invalid="ignore"):
            scale = np.maximum(1.0, np.abs(before).max(axis=1, keepdims=True))
            # one thread here, several there: sums round otherwise
            near = np.abs(now - before) <= 10 * self.tolerance * scale
        if not (near | (now == before) | (np.isnan(now) & np.isnan(before))).all():
            msg = (
                f"{type(self.classifier).__name__} scores images otherwise in another process than "
                "here; what its classes are made of was changed after they were imported: take "
                "n_jobs=1, or put it into the objects"
            )
            raise CertificateError(msg)

    def margins(self, scores: Float64Array, labels: IntArray) -> Float64Array:
        """Score of the label less the best other one, in multiples of the tolerance."""
        rows = np.arange(len(scores))
        others = scores.copy()
        others[rows, labels] = -np.inf
        scale = np.maximum(1.0, np.abs(scores).max(axis=1))
        # of infinite scores NaN, which is above nothing
        with np.errstate(invalid="ignore"):
            lead = scores[rows, labels] - others.max(axis=1)
            return np.asarray(lead / (self.tolerance * scale))


@contextmanager
def _full_precision() -> Iterator[None]:
    """Switch off TF32, whose sums on a GPU are off by far more than the float tolerance."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def find_target(classifier: Classifier) -> Target:
    """Check a classifier and take what a certificate needs of it.

    Raises:
        CertificateError: Something unknown, a defence that draws, no codebook map first, another
            input range, a codeword that the map sends elsewhere, or a network of exact arithmetic
            that is not exact.
    """
    check_known(classifier)
    check_arithmetic()
    drawing = any(traits(defence).is_random for defence in applied_defences(classifier))
    if drawing or getattr(classifier, "is_random", False):
        # a few equal scores prove nothing: hard votes over little noise agree on every sample
        cure = "kl_certify is for classifiers that draw"
        if _has_codebook((*applied_defences(classifier), None)[0]):
            cure += ", and .frozen(seed) of this one is deterministic"
        msg = (
            "a certificate by enumeration needs a deterministic classifier, this one's defence "
            f"draws; {cure}; or leave that defence out"
        )
        raise CertificateError(msg)
    codebook = codebook_of(classifier)
    upper = input_top(classifier)
    first = bool(getattr(classifier, "channels_first", True))
    target = Target(classifier, codebook, upper, first)
    check_first(_first_defence(classifier))
    _check_fixed_points(target, _first_defence(classifier))
    exact = exact_network(classifier, applied_defences(classifier), target.ends, upper)
    if isinstance(exact, IntegerNetwork):
        return replace(target, integer=exact)
    return replace(target, rounded=exact)


def check_arithmetic() -> None:
    """Refuse settings of torch that make predictions less exact than float32.

    Raises:
        CertificateError: Autocast, or matrix products of less precision.

    TF32 on a GPU, which torch allows convolutions by default, is switched off where scores are
    asked for, and said so.
    """
    if any(torch.is_autocast_enabled(device) for device in ("cpu", "cuda")):
        found, cure = "autocast is on", "leave that block"
    elif (word := torch.get_float32_matmul_precision()) != "highest":
        found = f"the precision of matrix products is {word}"
        cure = 'call torch.set_float32_matmul_precision("highest")'
    else:
        return
    msg = f"a certificate is of float32 arithmetic, and {found}; {cure}"
    raise CertificateError(msg)


def _check_fixed_points(target: Target, defence: Any) -> None:
    """Refuse a map that moves one of its own codewords, in the codebook or in the defence."""
    book = target.codebook
    pixels = book.codewords_
    fixed = np.array_equal(book.assign(pixels).reshape(-1), np.arange(len(pixels)))
    if callable(defence):
        channels = int(target.classifier.input_shape[0 if target.channels_first else -1])
        shape = (channels, 1, 1) if target.channels_first else (1, 1, channels)
        units = np.repeat(pixels[:, None], channels if book.per_channel else 1, axis=1)
        images = target.images(units, shape)
        fixed = fixed and np.array_equal(np.asarray(defence(images.copy())[0]), images)
    if not fixed:
        msg = (
            f"{type(defence).__name__} moves some of its own codewords, so images of codewords do "
            "not stand for the images assigned to them; use a codebook of distinct codewords, the "
            "classifier's clip_values, and no other change of the pixels before it"
        )
        raise CertificateError(msg)
