"""Votes of single draws: counted, limited from below and above, and how many a user needs."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from tqdm import tqdm

from art_disc.certificates.divergence.gaussian import check_probability
from art_disc.core.checks import (
    Float32Array,
    Float64Array,
    IntArray,
    check_count,
    check_positive,
    number_of,
)
from art_disc.core.errors import CertificateError, InputError
from art_disc.core.seeds import derive_seed

_ROWS_AT_ONCE = 1 << 14
# far above the rounding of SciPy's inverse of the incomplete beta function
_OUTWARD = 1e-9


@dataclass(frozen=True, slots=True)
class VoteLimits:
    """What votes say of each image's class probabilities, with one confidence for both arrays.

    Attributes:
        top: Lower limit of the label's probability, shape (n,).
        other: Upper limit of the largest probability of another class, shape (n,).
    """

    top: Float64Array
    other: Float64Array


def count_votes(
    classifier: Any,
    x: Float32Array,
    *,
    draws: int,
    seed: int,
    batch_size: int = 128,
    verbose: bool = True,
) -> IntArray:
    """Let single fresh draws vote: how often each class scores highest, shape (n, classes).

    The draws are the same for the same seed, images (in the classifier's layout and range) and
    batch size.

    Raises:
        InputError: A number that does not fit.
        CertificateError: No `predict_draws(x, n, seed)`, as `RandomizedClassifier` has it, or
            scores that are NaN or of another shape.
    """
    if not hasattr(classifier, "predict_draws"):
        msg = (
            "a certificate by divergence needs single draws (predict_draws), got "
            f"{type(classifier).__name__}; build it with a defence that draws"
        )
        raise CertificateError(msg)
    size, draws = check_count(batch_size, "batch_size"), check_count(draws, "draws")
    rows = []
    with tqdm(total=len(x) * draws, desc="votes", disable=not verbose) as bar:
        for first in range(0, len(x), size):
            part, parts = x[first : first + size], []
            at_once = max(1, _ROWS_AT_ONCE // len(part))
            for start in range(0, draws, at_once):
                n = min(at_once, draws - start)
                own = derive_seed(seed, "votes", first, start)
                parts.append(_votes(classifier.predict_draws(part, n, seed=own), n, len(part)))
                bar.update(n * len(part))
            rows.append(np.sum(parts, axis=0))
    return np.concatenate(rows)


def _votes(scores: Any, n: int, images: int) -> IntArray:
    array = np.asarray(scores)
    if array.ndim != 3 or array.shape[:2] != (n, images) or array.shape[2] < 2:
        msg = f"expected scores of shape ({n}, {images}, classes >= 2), got {array.shape}"
        raise CertificateError(msg)
    if np.isnan(array).any():
        msg = "some draws score NaN, which is a vote for no class; repair the network first"
        raise CertificateError(msg)
    winners = array.argmax(axis=2)
    return np.asarray((winners[..., None] == np.arange(array.shape[2])).sum(axis=0))


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is no probability between 0 and 1.

    Raises:
        InputError: It is not.
    """
    if not 0 < number_of(confidence) < 1:
        msg = f"confidence must lie in (0, 1), got {confidence!r}"
        raise InputError(msg)


def share_limits(
    counts: IntArray, total: int, failure: float, *, upper: bool = False
) -> Float64Array:
    """Exact one-sided limits of shares (Clopper, Pearson 1934), rounded outward, lower or `upper`.

    Each limit may be wrong with probability `failure`, in (0, 1); `counts` are of any shape.

    Raises:
        InputError: A number outside its range.
    """
    total = check_count(total, "total")
    if not (
        0 < number_of(failure) < 1 and (np.asarray(counts) >= 0).all() and (counts <= total).all()
    ):
        msg = f"expected counts in 0..{total} and a failure probability in (0, 1), got {failure}"
        raise InputError(msg)
    if upper:
        limit = stats.beta.isf(failure, counts + 1, np.maximum(total - counts, 1))
        return np.where(counts == total, 1.0, np.minimum(1.0, limit * (1 + _OUTWARD)))
    limit = stats.beta.ppf(failure, np.maximum(counts, 1), total - counts + 1)
    return np.where(counts == 0, 0.0, limit * (1 - _OUTWARD))


def vote_limits(counts: IntArray, labels: IntArray, confidence: float) -> VoteLimits:
    """Limits of the label's and of every other class's probability, all at once.

    Of two classes the votes of one tell those of the other, so one limit carries the whole
    probability of failure. Of more, the label's limit takes half of it and the others share the
    other half (Bonferroni). Labels (n,) are chosen without a look at these votes (n, classes), and
    all limits of one image hold together with the given confidence.

    Raises:
        InputError: A number outside its range.
    """
    check_confidence(confidence)
    (n, classes), total = counts.shape, int(counts[0].sum())
    rows, failure = np.arange(n), 1 - confidence
    if classes == 2:
        top = share_limits(counts[rows, labels], total, failure)
        return VoteLimits(top, 1 - top)
    top = share_limits(counts[rows, labels], total, failure / 2)
    others = counts.copy()
    others[rows, labels] = 0
    other = share_limits(others.max(axis=1), total, failure / 2 / (classes - 1), upper=True)
    return VoteLimits(top, np.minimum(other, 1 - top))


def votes_for_gap(gap: float, beta: float, classes: int) -> int:
    """Votes after which the majority is right with probability 1 - `beta`.

    The difference of the label's and another class's votes is a sum of m independent terms in
    [-1, 1] with mean at least `gap`, so it is not positive with probability at most
    exp(-m gap^2 / 2) (Hoeffding 1963), and the k - 1 other classes add up.

    Args:
        gap: Label's probability less the largest other one, under attack, in (0, 1].
        beta: Probability of failure granted, in (0, 1).
        classes: k >= 2.

    Raises:
        InputError: A number outside its range.

    >>> votes_for_gap(0.2, 1e-3, 10)
    456
    """
    if not (0 < number_of(gap) <= 1 and 0 < number_of(beta) < 1):
        msg = f"expected a gap in (0, 1] and beta in (0, 1), got {gap} and {beta}"
        raise InputError(msg)
    others = check_count(classes, "classes", least=2) - 1
    return max(1, math.ceil(2 * math.log(others / beta) / gap**2))


def votes_needed(margin: float, divergence: float, beta: float, classes: int) -> int:
    """Votes after which a certified image is classified right with probability 1 - `beta`.

    m >= 2 log((k - 1) / beta) / g^2 with g = margin - sqrt(2 divergence). The paper prints
    k exp(-2 m delta^2) with delta = (margin^2 - 2 divergence) / 2 for the failure, which does not
    follow from its proof.

    Args:
        margin: Lower limit of the label's probability less the largest other one, clean, in [0, 1].
        divergence: Upper bound of KL(clean || perturbed), in nats.
        beta: Probability of failure granted, in (0, 1).
        classes: k >= 2.

    Raises:
        InputError: A number outside its range.
        CertificateError: g <= 0, so that no number of votes is known to do.

    Source: Zhang, Liang 2019, Proposition 2, corrected.

    >>> votes_needed(1.0, 0.32, 1e-3, 10)
    456
    """
    check_probability(margin, "margin")
    gap = margin - math.sqrt(2 * check_positive(divergence, "divergence", zero=True))
    if gap <= 0:
        msg = (
            f"margin {margin:g} does not exceed sqrt(2 * {divergence:g}), so nothing is certified "
            "and no number of votes is known to do; lower eps or raise the noise"
        )
        raise CertificateError(msg)
    return votes_for_gap(gap, beta, classes)
