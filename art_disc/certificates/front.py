"""Certified accuracy of a classifier behind a codebook map."""

import time
from collections.abc import Sequence
from typing import Any

import torch

from art_disc.certificates.certificate import Certificate
from art_disc.certificates.complete.exact import rounded_classifier
from art_disc.certificates.complete.network import graph_of
from art_disc.certificates.methods import ASSUMES, METHODS, assumptions
from art_disc.certificates.problem import Finding, Options, Problem
from art_disc.certificates.spend import Spend, check_spend
from art_disc.certificates.target import find_target, measured
from art_disc.codebox import Threat
from art_disc.core.checks import check_choice, check_count, check_labels
from art_disc.core.inputs import Inputs
from art_disc.core.records import CertificateRecord
from art_disc.estimators.contract import Classifier
from art_disc.estimators.describe import environment_of

_VALUES_AT_ONCE = 1 << 25
# images by which a classifier is known to be none
_TRIED = 256


# ART's predict draws from torch's global stream (through its DataLoader), which is the caller's
@torch.random.fork_rng(devices=[])
def certify(  # noqa: PLR0913 - everything after the labels is a keyword
    classifier: Classifier,
    x: Any,
    y: Any = None,
    *,
    eps: float,
    method: str = "enumeration",
    arithmetic: str = "float",
    max_free: int = 12,
    rule: str = "exact",
    domain: str = "real",
    spend: Spend | None = None,
    batch_size: int = 1024,
    verbose: bool = True,
) -> Certificate:
    """Decide for each image whether any change within `eps` can make its class wrong.

    An image is certified if all images of codewords that the budget can lead to are classified as
    its label, by more than the float error that is measured first; falsified if a perturbed image
    was found, and checked, that is classified otherwise (the clean image where that is clearly
    wrong already); undecided otherwise.

    Args:
        classifier: An ART classifier whose first defence is a codebook map on the raw pixels, as
            `build_classifier` makes it; what follows must be deterministic.
        x: Images in its layout and input range, floats, or uint8.
        y: True labels, indices or one-hot. None: the classifier's own predictions are what is
            certified, so that no clean image counts as wrong.
        eps: l_inf budget in the classifier's input range.
        method: A name of `METHODS`: `enumeration` classifies all code images, `bounds` bounds the
            network on them (IBP, then CROWN-IBP), `complete` bounds and searches.
        arithmetic: `float`; `exact`: the verdicts are of `rounded_classifier(classifier)`, which
            the certificate holds, and no tolerance is needed.
        max_free: `enumeration` takes images of up to 2^max_free code images (Chen et al.'s b), 0 to
            40.
        rule: Which codewords count as reached: `exact`, or `paper`, the superset of eq. (2).
        domain: `real`, or `8bit`: the adversary, too, is confined to the levels v/255.
        spend: What `complete` may spend on each image that bounds leave; None: `Spend()`.
        batch_size: Code images classified at once.
        verbose: Show a progress bar.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers, a layer has no
            bounds, `rule` is `paper_float`, which is not sound, or `domain` is `8bit` and a pixel
            has no level within the budget.

    Source: Chen et al. 2018, section 4.3; the exact set of codes is ours.
    """
    start = time.perf_counter()
    decide = METHODS[check_choice(method, "method", METHODS)]
    check_count(batch_size, "batch_size")
    allowed = check_spend(spend)
    if check_choice(arithmetic, "arithmetic", ("float", "exact")) == "exact":
        classifier = rounded_classifier(classifier)
    target = find_target(classifier)
    inputs = Inputs.of(classifier)
    images = inputs.images(x)
    threat = Threat(inputs.budget(eps) / target.upper, rule, domain)
    # before any work, and later against the scores that there are
    given = None if y is None else inputs.labels(y, len(images))
    rows = min(batch_size, max(1, _VALUES_AT_ONCE // images[0].size))
    options = Options(max_free, rows, verbose, allowed)
    scores = target.scores(images, rows)
    target = measured(target, images, rows)
    predicted = scores.argmax(axis=1)
    labels = predicted if given is None else check_labels(given, len(images), scores.shape[1])
    problem = Problem.of(target, threat, images, labels, scores)
    findings = problem.findings(decide(problem, options))
    record = CertificateRecord(
        method=method,
        eps=float(eps),
        assumes=assumptions(problem, method),
        settings={
            **options.settings,
            **problem.settings,
            "labels": "predictions" if y is None else "given",
        },
        seconds=time.perf_counter() - start,
        environment=environment_of(classifier),
        **_found(problem, findings),
    )
    witnesses = {i: f.witness for i, f in enumerate(findings) if f.witness is not None}
    return Certificate(record, witnesses, None if target.rounded is None else classifier)


def _found(problem: Problem, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the fields of a record that tell what was found, example by example, and how sure."""
    return {
        "verdicts": tuple(found.verdict for found in findings),
        "reasons": tuple(found.reason for found in findings),
        "free_pixels": tuple(problem.free.tolist()),
        "log2_images": tuple(problem.log2.tolist()),
        "evaluated": tuple(found.evaluated for found in findings),
        "noise": problem.target.noise,
        "margin": problem.target.tolerance,
    }


# as above
@torch.random.fork_rng(devices=[])
def check_certifiable(
    classifier: Classifier, x: Any, *, method: str = "enumeration", max_free: int = 12
) -> None:
    """Raise what `certify` would raise for these, without classifying any code image.

    Arguments are those of `certify`; up to 256 of the images are tried.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers, or a layer has no
            bounds.
    """
    options = Options(max_free, _TRIED, verbose=False)
    target = find_target(classifier)
    images = Inputs.of(classifier).images(x)[:_TRIED]
    measured(target, images, options.batch_size)
    if check_choice(method, "method", METHODS) in ASSUMES:
        graph_of(target, images.shape[1:])


def certified_accuracy(
    classifier: Classifier, x: Any, y: Any, *, eps: float, **options: Any
) -> float:
    """Share of the images that is certified; see `certify` for arguments and errors."""
    return certify(classifier, x, y, eps=eps, **options).certified_accuracy
