"""What a budget can do to the bits of an LQ-VAE, and images that it cannot do anything to.

Behind an `LQVAEFilter` by mean inference a prediction is a function of the code alone. The means of
all images within the budget lie in a box; bits whose part of it lies on one side of both thresholds
are fixed, and every choice of the others is classified.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.bounds import crown_ibp, magnitudes, trace
from art_disc.certificates.known import check_known
from art_disc.certificates.target import applied_defences
from art_disc.core.checks import Float32Array, IntArray, check_count
from art_disc.core.errors import CertificateError
from art_disc.core.inputs import Inputs
from art_disc.core.showing import Shown
from art_disc.defences import LQVAEFilter
from art_disc.defences.lqvae_map import MeanMap
from art_disc.estimators.steadiness import FACTOR, SAME, network_scores, steadiness
from art_disc.networks import LQVAENet

# a perturbed image is rounded to float32, and so are thresholds
_ROUNDED = 2.0**-22
_TOO_MANY = "more than 2^{} codes"
_WRONG_CODE = "a code that may be reached is not classified as the label by a clear margin"
_MISCLASSIFIED = "misclassified without perturbation"


@dataclass(frozen=True, slots=True, eq=False)
class LatentCertificate(Shown):
    """What is known of images behind an `LQVAEFilter`, for one l_inf budget.

    Attributes:
        eps: The budget, in the classifier's input range.
        verdicts: `certified`: no image within the budget has another prediction than the label;
            `falsified`: the image itself has one; `undecided`.
        reasons: Why an image is not certified; empty where it is.
        free: Bits that the budget may flip, (n,).
        evaluated: Codes that were classified, (n,).
    """

    eps: float
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]
    free: IntArray
    evaluated: IntArray


class _Means(nn.Module):
    """The means of images on [0, 1], as bounds follow them."""

    def __init__(self, network: LQVAENet) -> None:
        super().__init__()
        self.body, self.mean = network.encoder.body, network.encoder.mean

    def forward(self, x: Tensor) -> Tensor:
        """Return means (n, latent)."""
        made: Tensor = self.mean(self.body(2 * x - 1))
        return made


@torch.no_grad()
def reachable_bits(network: LQVAENet, x: Tensor, eps: float, *, batch_size: int = 16) -> Tensor:
    """Return the bits of all images within an l_inf budget: -1, +1, or 0 where both may be.

    The box of the means is the meet of that of linear bounds (CROWN-IBP), and of the Lipschitz
    bound in l2 times the length of the longest perturbation within budget and [0, 1]; both are
    widened by what rounding in float64 can amount to, and by what it is seen to amount to in
    float32 (`bounds.magnitudes`). At a threshold a bit may be both.

    Args:
        network: In eval mode.
        x: Images (n, c, h, w) in [0, 1].
        eps: The budget on [0, 1].
        batch_size: Images at once.

    Returns:
        (n, latent).

    Raises:
        CertificateError: A layer of the encoder has no bounds.
    """
    graph = trace(_Means(network), tuple(x.shape[1:]), torch.float64)
    lipschitz = network.lipschitz_bound()
    found = []
    for images in x.to(torch.float64).split(batch_size):
        ends = [images - eps - _ROUNDED, images + eps + _ROUNDED]
        low, high = (end.clamp(0, 1) for end in ends)
        error = magnitudes(graph, low, high).error[:, None]
        bounds = crown_ibp(graph, low, high)
        rows = torch.eye(network.latent, dtype=torch.float64).expand(len(images), -1, -1)
        longest = torch.maximum(high - images, images - low).flatten(1).norm(dim=1, keepdim=True)
        means, length = graph(images), lipschitz * longest * (1 + _ROUNDED)
        least = torch.maximum(bounds.lower(rows), means - length) - error
        most = torch.minimum(-bounds.lower(-rows), means + length) + error
        inner, outer = network.eta * (1 - _ROUNDED), network.eta * (1 + _ROUNDED)
        inside = (least > -inner) & (most < inner)
        outside = (least > outer) | (most < -outer)
        found.append(inside.to(torch.int64) - outside.to(torch.int64))
    return torch.cat(found)


def certify_codes(
    classifier: Any,
    x: Any,
    y: Any = None,
    *,
    eps: float,
    max_free: int = 12,
    batch_size: int = 256,
) -> LatentCertificate:
    """Certify images behind an `LQVAEFilter` by all codes that an l_inf budget may reach.

    An image is certified if every code that `reachable_bits` leaves is classified as its label, by
    a margin above float noise. Nothing is searched for: an image that one of them spoils is
    undecided, since the code need not be reached.

    Args:
        classifier: From `build_classifier`, whose one defence is an `LQVAEFilter` by mean
            inference.
        x: Images in its layout and input range.
        y: Labels; None: its predictions.
        eps: l_inf budget in the input range.
        max_free: Images with more free bits are undecided.
        batch_size: Codes at once.

    Raises:
        CertificateError: Another classifier, or something unknown in it.
        InputError: Images, labels or a budget that do not fit.
    """
    step = _checked_map(classifier)
    inputs = Inputs.of(classifier)
    images, budget = inputs.images(x), inputs.budget(eps)
    check_count(max_free, "max_free", least=0, most=20)
    predicted = np.asarray(classifier.predict(images)).argmax(axis=1)
    labels = predicted if y is None else inputs.labels(y, len(images))
    bits = reachable_bits(step.network, step.enter(torch.tensor(images)), budget / step.upper)
    free = (bits == 0).sum(dim=1).numpy()
    listed = [
        _choices(row) if free[i] <= max_free and predicted[i] == labels[i] else None
        for i, row in enumerate(bits)
    ]
    tolerance = _tolerance(classifier, step, [c for c in listed if c is not None], batch_size)
    verdicts: list[str] = []
    reasons: list[str] = []
    evaluated: list[int] = []
    for i, codes in enumerate(listed):
        reason, number = "", 0
        if predicted[i] != labels[i]:
            reason = _MISCLASSIFIED
        elif codes is None:
            reason = _TOO_MANY.format(max_free)
        else:
            number = len(codes)
            scores = _scores(classifier, step, codes, batch_size)
            reason = "" if _clear(scores, int(labels[i]), tolerance) else _WRONG_CODE
        verdict = "falsified" if reason == _MISCLASSIFIED else "undecided"
        verdicts.append(verdict if reason else "certified")
        reasons.append(reason)
        evaluated.append(number)
    return LatentCertificate(
        budget, tuple(verdicts), tuple(reasons), free, np.array(evaluated, dtype=np.int64)
    )


def _checked_map(classifier: Any) -> MeanMap:
    """Return the map that a classifier predicts by; refuse another one."""
    check_known(classifier)
    chain = applied_defences(classifier)
    step = chain[0].map if len(chain) == 1 and type(chain[0]) is LQVAEFilter else None
    if type(step) is not MeanMap or type(step.network) is not LQVAENet:
        names = ", ".join(type(defence).__name__ for defence in chain) or "none"
        msg = (
            "codes are certified of a classifier whose one defence is an LQVAEFilter with "
            f"inference='mean', got {names}"
        )
        raise CertificateError(msg)
    return step


def _choices(row: Tensor) -> Float32Array:
    """Return every code (m, latent) of bits of which those that are 0 may be either."""
    choices = [(-1.0, 1.0) if bit == 0 else (float(bit),) for bit in row.tolist()]
    return np.array(list(itertools.product(*choices)), dtype=np.float32)


def _scores(classifier: Any, step: MeanMap, codes: Any, batch_size: int) -> Float32Array:
    """Return what the network says of decoder 1's images of codes (n, latent)."""
    with torch.no_grad():
        parts = torch.tensor(codes).split(batch_size)
        made = torch.cat([step.leave(step.network.decode(part)) for part in parts]).numpy()
    return network_scores(classifier, made, batch_size)


def _tolerance(
    classifier: Any, step: MeanMap, listed: Sequence[Float32Array], batch_size: int
) -> float:
    """Return how clear a margin must be, in units of the largest score; refuse unsteady ones.

    Measured on every code that is to be classified: decoder and network may differ at any of them.
    """
    if not listed:
        return SAME
    codes = np.unique(np.concatenate(listed), axis=0)
    found = steadiness(
        lambda given, size: _scores(classifier, step, given, size),
        codes, upper=1.0, rows=batch_size,
    )  # fmt: skip
    if found.doubt:
        msg = f"no codes can be certified of this classifier: {found.doubt}"
        raise CertificateError(msg)
    return max(SAME, FACTOR * found.noise)


def _clear(scores: Float32Array, label: int, tolerance: float) -> bool:
    """Whether the label leads in every row by more than float noise."""
    wide = scores.astype(np.float64)
    others = np.delete(wide, label, axis=1).max(axis=1)
    scale = np.maximum(1.0, np.abs(wide).max(axis=1))
    return bool((wide[:, label] - others > tolerance * scale).all())
