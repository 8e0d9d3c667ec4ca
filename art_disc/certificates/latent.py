"""Certificates of what is behind an LQ-VAE: all codes that a budget can reach, as one code box.

Behind an `LQVAEFilter` by mean inference a prediction is a function of the code alone, and the
codes that a budget may reach are a box of bits (`latent_bits`). A classifier of images of bits,
whose two codewords are 0 and 1, is one as any other: the methods that decide boxes of its codes are
those of `certify`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from art_disc.attacks.latent_code import LatentCodeAttack
from art_disc.certificates.complete.network import graph_of
from art_disc.certificates.known import check_known
from art_disc.certificates.latent_bits import reachable_bits
from art_disc.certificates.latent_boxes import BitBoxes
from art_disc.certificates.problem import Finding
from art_disc.certificates.spend import Spend, check_spend
from art_disc.certificates.target import applied_defences, find_target
from art_disc.core.budget import Budget
from art_disc.core.checks import (
    Float32Array,
    Float64Array,
    IntArray,
    check_choice,
    check_count,
)
from art_disc.core.errors import CertificateError
from art_disc.core.inputs import Inputs
from art_disc.core.showing import Shown
from art_disc.defences import LQVAEFilter
from art_disc.defences.lqvae_map import MeanMap
from art_disc.estimators import DefendedClassifier
from art_disc.estimators.steadiness import FACTOR, SAME
from art_disc.networks import LQVAENet
from art_disc.trials.trial import Trial, run_trial

_LOST = "misclassified without perturbation"
_MET = "an image within the budget is misclassified"


@dataclass(frozen=True, slots=True, eq=False)
class LatentCertificate(Shown):
    """What is known of images behind an `LQVAEFilter`, for one l_inf budget.

    Attributes:
        eps: The budget, in the classifier's input range.
        verdicts: `certified`: no image within the budget has another prediction than the label;
            `falsified`: one has, the image itself perhaps; `undecided`.
        reasons: Why an image is not certified; empty where it is.
        free: Bits that the budget may flip, (n,).
        evaluated: Codes that were classified, (n,); those of attacks are not counted.
        witnesses: Of each falsified image, by its index, a misclassified one within the budget.
    """

    eps: float
    verdicts: tuple[str, ...]
    reasons: tuple[str, ...]
    free: IntArray
    evaluated: IntArray
    witnesses: Mapping[int, Float32Array]


# ART's predict draws from torch's global stream (through its DataLoader), which is the caller's
@torch.random.fork_rng(devices=[])
def certify_codes(  # noqa: PLR0913 - everything after the labels is a keyword
    classifier: Any,
    x: Any,
    y: Any = None,
    *,
    eps: float,
    method: str = "complete",
    max_free: int = 12,
    spend: Spend | None = None,
    n_jobs: int = 1,
    batch_size: int = 256,
    verbose: bool = True,
) -> LatentCertificate:
    """Certify images behind an `LQVAEFilter` by all codes that an l_inf budget may reach.

    An image is certified if every code that `reachable_bits` leaves is classified as its label, by
    a margin above float noise. A code that is not need not be reached: images that are not
    certified are attacked by `LatentCodeAttack`, falsified where it finds a misclassified one
    within the budget, and undecided elsewhere.

    Args:
        classifier: From `build_classifier`, whose one defence is an `LQVAEFilter` by mean
            inference.
        x: Images in its layout and input range.
        y: Labels; None: its predictions.
        eps: l_inf budget in the input range.
        method: `enumeration` classifies all codes of images with few free bits, whatever the
            network. `complete` too, and decides the others as `certify` decides codes of pixels: it
            bounds decoder and network, attacks the bits, and searches; every layer needs bounds.
        max_free: Images with up to so many free bits are enumerated; 0 to 20.
        spend: What `complete` may spend on each of the others; None: `Spend()`.
        n_jobs: Processes, as for `certify`.
        batch_size: Codes at once.
        verbose: Show a progress bar.

    Raises:
        CertificateError: Another classifier, something unknown in it, or with `complete` a layer
            that has no bounds.
        InputError: Images, labels, a budget or another argument that do not fit.
    """
    check_choice(method, "method", ("complete", "enumeration"))
    check_count(max_free, "max_free", least=0, most=20)
    check_spend(spend, method)
    step = _checked_map(classifier)
    inputs = Inputs.of(classifier)
    images, budget = inputs.images(x), inputs.budget(eps)
    predicted = np.asarray(classifier.predict(images)).argmax(axis=1)
    labels = predicted if y is None else inputs.labels(y, len(images))
    bits = reachable_bits(step.network, step.enter(torch.tensor(images)), budget / step.upper)
    boxes = BitBoxes.of(classifier, images, labels, bits.numpy())
    right, few = predicted == labels, boxes.free <= max_free
    options: dict[str, Any] = {"n_jobs": n_jobs, "batch_size": batch_size, "verbose": verbose}
    if method == "enumeration":
        boxes.decide(right, method, steady=True, max_free=max_free, **options)
    else:
        # what a traced network makes of a code is a function of the code: none is measured alone
        graph_of(find_target(boxes.classifier), boxes.shown.shape[1:])
        boxes.decide(right & few, "enumeration", max_free=max_free, **options)
        boxes.decide(right & ~few, method, spend=spend, **options)
    found = boxes.found
    left = [i for i, finding in found.items() if finding.verdict != "certified"]
    given = images[left], labels[left], boxes.codes[left]
    made = _attacked(classifier, *given, budget, boxes.noise)
    for i, image in ((left[place], image) for place, image in made.items()):
        found[i] = Finding("falsified", _MET, image, found[i].evaluated)
    lost = {int(i): Finding("falsified", _LOST, images[i]) for i in np.flatnonzero(~right)}
    return _certificate(budget, [(found | lost)[i] for i in range(len(images))], boxes.free)


def _checked_map(classifier: Any) -> MeanMap:
    """Return the map that a classifier predicts by; refuse another one."""
    check_known(classifier)
    chain = applied_defences(classifier)
    step = chain[0].map if len(chain) == 1 and type(chain[0]) is LQVAEFilter else None
    # of the classes that are known, but ART's own
    ours = isinstance(classifier, DefendedClassifier)
    if not ours or type(step) is not MeanMap or type(step.network) is not LQVAENet:
        names = ", ".join(type(defence).__name__ for defence in chain) or "none"
        msg = (
            "codes are certified of a classifier from build_classifier whose one defence is an "
            f"LQVAEFilter with inference='mean', got a {type(classifier).__name__} with {names}"
        )
        raise CertificateError(msg)
    return step


def _attacked(
    classifier: DefendedClassifier,
    images: Float32Array,
    labels: IntArray,
    aims: Float32Array,
    eps: float,
    noise: float,
) -> dict[int, Float32Array]:
    """Return images within the budget that are clearly misclassified, by their places.

    The attack aims at the codes given first.
    """
    if not len(images):
        return {}
    top = Inputs.of(classifier).upper
    budget = Budget(eps, upper=top)
    trial = Trial(
        make=lambda: LatentCodeAttack(classifier, eps=eps, aims=aims, verbose=False),
        source=classifier,
        x=images,
        y=labels,
        budget=budget,
        seeds=lambda start: start,
    )
    made = run_trial(trial).images
    legal = budget.holds(made, images) & ((made >= 0) & (made <= top)).all(axis=(1, 2, 3))
    # a mean at a threshold may fall on the other side in a batch of another size
    tolerance = max(SAME, FACTOR * noise)
    wrong = [_leads(classifier, made, labels, size) > tolerance for size in (1, len(made))]
    return {int(i): made[i] for i in np.flatnonzero(legal & wrong[0] & wrong[1])}


def _leads(classifier: Any, made: Float32Array, labels: IntArray, batch_size: int) -> Float64Array:
    """Return by how much of the largest score, at least 1, the label loses to another class."""
    scores = np.asarray(classifier.predict(made, batch_size=batch_size), dtype=np.float64)
    own = labels[:, None] == np.arange(scores.shape[1])
    lead = np.where(own, -np.inf, scores).max(axis=1) - scores[own]
    return np.asarray(lead / np.maximum(1.0, np.abs(scores).max(axis=1)))


def _certificate(eps: float, found: Sequence[Finding], free: IntArray) -> LatentCertificate:
    return LatentCertificate(
        eps,
        tuple(finding.verdict for finding in found),
        tuple(finding.reason for finding in found),
        free,
        np.array([finding.evaluated for finding in found], dtype=np.int64),
        {i: finding.witness for i, finding in enumerate(found) if finding.witness is not None},
    )
