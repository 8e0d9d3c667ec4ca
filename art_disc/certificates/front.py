"""Certified accuracy of a classifier behind a codebook map, by enumeration of code images."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from art_disc.certificates.certificate import Certificate
from art_disc.certificates.enumeration import FORGIVEN, Job, Threat, run_jobs
from art_disc.certificates.target import TOLERANCE, Target, check_map, find_target
from art_disc.codebox.reachability import (
    DOMAINS,
    RULES,
    check_choice,
    images_at_once,
    log2_images,
    unit_mask,
)
from art_disc.core.checks import Float32Array, check_count, check_eps, check_images, check_labels
from art_disc.core.errors import CertificateError, InputError
from art_disc.core.records import CertificateRecord, Environment

METHODS = ("enumeration",)
# beyond this no enumeration ends, and codes stay below 2^63
_MOST_FREE = 40
_VALUES_AT_ONCE = 1 << 25


def certify(  # noqa: PLR0913 - everything after the labels is a keyword
    classifier: Any,
    x: Any,
    y: Any = None,
    *,
    eps: float,
    method: str = "enumeration",
    max_free: int = 12,
    rule: str = "exact",
    domain: str = "real",
    batch_size: int = 1024,
    verbose: bool = True,
) -> Certificate:
    """Decide for each image whether any change within `eps` can make its class wrong.

    An image is certified if all images of codewords that the budget can lead to are classified as
    its label, by more than float error; falsified if a perturbed image was found, and checked, that
    is classified otherwise (the clean image where that is wrong already); undecided otherwise.

    Args:
        classifier: An ART classifier whose first defence is a codebook map on the raw pixels, as
            `build_classifier` makes it; what follows must be deterministic.
        x: Images in its layout and input range, floats, or uint8.
        y: True labels, indices or one-hot. None: the classifier's own predictions are what is
            certified, so that no clean image counts as wrong.
        eps: l_inf budget in the classifier's input range.
        method: `enumeration`.
        max_free: Images are enumerated up to 2^max_free code images (Chen et al.'s b), 0 to 40.
        rule: `exact` or `paper`; see `reachable_codes`.
        domain: `real`, or `8bit`: the adversary, too, is confined to the levels v/255.
        batch_size: Code images classified at once.
        verbose: Show a progress bar.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers, `rule` is
            `paper_float`, which is not sound, or `domain` is `8bit` and a pixel has no level
            within the budget.

    Source: Chen et al. 2018, section 4.3; the exact set of codes is ours.
    """
    _check_options(method, rule, domain, max_free)
    start = time.perf_counter()
    target = find_target(classifier)
    images = check_images(x, upper=target.upper)
    threat = Threat(check_eps(eps, upper=target.upper) / target.upper, domain, rule)
    rows = min(
        check_count(batch_size, "batch_size"), max(1, _VALUES_AT_ONCE // max(1, images[0].size))
    )
    check_map(target, images, rows)
    scores = target.scores(images, rows)
    predicted = scores.argmax(axis=1)
    labels = predicted if y is None else check_labels(y, len(images), scores.shape[1])
    table, jobs = _plan(images, labels, predicted, target, threat, max_free)
    with tqdm(total=sum(j.size for j in jobs), desc="code images", disable=not verbose) as bar:
        run_jobs(jobs, target, threat, batch_size=rows, step=bar.update)
    record = CertificateRecord(
        method=method,
        eps=float(eps),
        assumes=_assumes(target, threat),
        settings={
            "max_free": max_free,
            "rule": rule,
            "domain": domain,
            "batch_size": rows,
            "labels": "predictions" if y is None else "given",
            "codewords": target.codebook.n_codes_,
            "metric": target.codebook.nearest_metric,
        },
        seconds=time.perf_counter() - start,
        environment=_environment(classifier),
        **_verdicts(table, jobs, max_free),
    )
    return Certificate(record, _witnesses(images, table, jobs))


def check_certifiable(classifier: Any, x: Any, *, max_free: int = 12) -> None:
    """Raise what `certify` would raise for these, without classifying any code image.

    Args:
        classifier: As for `certify`.
        x: As for `certify`; up to 256 of the images are tried.
        max_free: As for `certify`.

    Raises:
        InputError: An argument does not fit.
        CertificateError: The classifier is none that this certificate covers.
    """
    _check_options("enumeration", "exact", "real", max_free)
    target = find_target(classifier)
    check_map(target, check_images(x, upper=target.upper), 256)


def certified_accuracy(classifier: Any, x: Any, y: Any, *, eps: float, **options: Any) -> float:
    """Share of the images that is certified; see `certify` for arguments and errors."""
    return certify(classifier, x, y, eps=eps, **options).certified_accuracy


def _check_options(method: str, rule: str, domain: str, max_free: int) -> None:
    check_choice(method, "method", METHODS)
    check_choice(domain, "domain", DOMAINS)
    check_choice(rule, "rule", RULES)
    if rule == "paper_float":
        msg = "rule='paper_float' misses codewords at ties and proves nothing; use 'exact'"
        raise CertificateError(msg)
    if check_count(max_free, "max_free", least=0) > _MOST_FREE:
        msg = f"max_free must lie in 0..{_MOST_FREE}, got {max_free}"
        raise InputError(msg)


@dataclass(frozen=True, slots=True)
class _Table:
    """Free units and log2 |S| for each image, and where the clean prediction is wrong."""

    free: NDArray[np.int64]
    log2: NDArray[np.float64]
    wrong: NDArray[np.bool_]


def _plan(
    images: Float32Array,
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    target: Target,
    threat: Threat,
    max_free: int,
) -> tuple[_Table, list[Job]]:
    """Count what each image can reach, and make a job of each that is to be enumerated."""
    units = target.units(images)
    size = images_at_once(units.shape[1], target.codebook.n_codes_)
    free, log2, jobs = [], [], []
    for first in range(0, len(units), size):
        mask = unit_mask(
            units[first : first + size],
            target.codebook,
            threat.eps,
            rule=threat.rule,
            domain=threat.domain,
        )
        free.append((mask.sum(axis=-1) > 1).sum(axis=-1))
        log2.append(log2_images(mask))
        for i, part in enumerate(mask, start=first):
            if predicted[i] == labels[i] and log2[-1][i - first] <= max_free + 1e-9:
                jobs.append(Job.of(i, images[i], int(labels[i]), part))
    return _Table(np.concatenate(free), np.concatenate(log2), predicted != labels), jobs


def _verdicts(table: _Table, jobs: list[Job], max_free: int) -> dict[str, Any]:
    n = len(table.free)
    verdicts = ["falsified" if wrong else "undecided" for wrong in table.wrong]
    reasons = ["" if wrong else f"more than 2^{max_free} code images" for wrong in table.wrong]
    evaluated = [0] * n
    for job in jobs:
        evaluated[job.index] = job.done
        verdict, reason = "undecided", job.reason
        if job.witness is not None:
            verdict, reason = "falsified", ""
        elif job.done == job.size and not job.reason:
            verdict = "certified"
        verdicts[job.index], reasons[job.index] = verdict, reason
    return {
        "verdicts": tuple(verdicts),
        "reasons": tuple(reasons),
        "free_pixels": tuple(table.free.tolist()),
        "log2_images": tuple(table.log2.tolist()),
        "evaluated": tuple(evaluated),
    }


def _witnesses(images: Float32Array, table: _Table, jobs: list[Job]) -> dict[int, Float32Array]:
    found = {int(i): images[i].copy() for i in np.flatnonzero(table.wrong)}
    found |= {job.index: job.witness for job in jobs if job.witness is not None}
    return dict(sorted(found.items()))


def _assumes(target: Target, threat: Threat) -> str:
    top = f"{target.upper:g}"
    if threat.domain == "8bit":
        values = f"images on the 8-bit grid, v/255 of [0, {top}] as the nearest float32"
        ties = "ties between codewords go as the codebook breaks them"
    else:
        values = f"real images in [0, {top}]"
        ties = "ties between codewords count for both sides"
    if threat.rule == "paper":
        ties = "a superset of the reachable codewords (Chen et al. 2018, eq. 2), ties included"
    return (
        f"l_inf changes of at most eps a value, up to {FORGIVEN:g} of the range, to {values}; "
        f"{ties}; budgets are widened against rounding; the label must win by {TOLERANCE:g} of the "
        "largest score (at least 1), a tolerance for float32 sums and not a proof; the classifier "
        "is deterministic and sees nothing of an image but its codewords"
    )


def _environment(classifier: Any) -> Environment:
    import torch

    device = str(getattr(classifier, "device", "cpu"))
    return Environment.here(device=device, threads=torch.get_num_threads())
