"""Certified accuracy of a classifier behind a codebook map."""

from pathlib import Path
from typing import Any

import torch

from art_disc.certificates.certificate import Certificate
from art_disc.certificates.measured import measured
from art_disc.certificates.methods import CHECKS, METHODS
from art_disc.certificates.problem import Options
from art_disc.certificates.run import Task
from art_disc.certificates.spend import Spend
from art_disc.certificates.target import find_target
from art_disc.core.checks import check_choice
from art_disc.core.files import check_folder
from art_disc.core.inputs import Inputs
from art_disc.estimators.contract import Classifier

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
    arithmetic: str | None = None,
    max_free: int = 12,
    rule: str = "exact",
    domain: str = "real",
    spend: Spend | None = None,
    n_jobs: int = 1,
    batch_size: int = 1024,
    out: str | Path | None = None,
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
            network on them (IBP, then CROWN-IBP), `complete` bounds and searches; `solver` decides
            networks whose hidden layers are binarised, by OR-tools (the extra `verify`).
        arithmetic: `float`: the classifier as it predicts; `exact`: the verdicts are of another
            one, `rounded_classifier(classifier)`, with `solver` `integer_classifier(classifier)`,
            which the certificate holds, and no tolerance is needed. None: `exact` with `solver`,
            else `float`.
        max_free: `enumeration` takes images of up to 2^max_free code images (Chen et al.'s b), 0 to
            40.
        rule: Which codewords count as reached: `exact`, or `paper`, the superset of eq. (2).
        domain: `real`, or `8bit`: the adversary, too, is confined to the levels v/255.
        spend: What `complete` may spend on each image that bounds leave, and `solver` of `seconds`;
            None: `Spend()`. Refused for other methods, which search nothing.
        n_jobs: Processes that methods but `bounds` go over images in, one thread each; -1: one a
            core. Verdicts and reasons do not depend on it, but for `spend.seconds`.
        batch_size: Code images classified at once.
        out: Folder; each image's finding is written there as soon as it is known, record and
            witnesses at the end. What is there of an interrupted call with the same classifier,
            images and settings is not done again; nor is, with a larger `spend` or `max_free`, what
            is decided.
        verbose: Show a progress bar.

    Raises:
        InputError: An argument does not fit, `n_jobs` is not 1 and the classifier cannot be
            pickled, or `out` holds findings of something else.
        FileFormatError: A line of them other than the last is damaged.
        FolderBusyError: Another process certifies into `out`.
        WorkerLostError: A process of `n_jobs` died.
        MissingExtraError: `solver`, and OR-tools is not installed.
        CertificateError: The classifier is none that this certificate covers, a layer has no
            bounds, `rule` is `paper_float`, which is not sound, or `domain` is `8bit` and a pixel
            has no level within the budget.

    Source: Chen et al. 2018, section 4.3; the exact set of codes is ours.
    """
    folder = None if out is None else check_folder(out)
    task = Task.of(
        classifier,
        x,
        y,
        eps=[eps],
        method=method,
        arithmetic=arithmetic,
        max_free=max_free,
        rule=rule,
        domain=domain,
        spend=spend,
        n_jobs=n_jobs,
        batch_size=batch_size,
        verbose=verbose,
    )
    (budget,) = task.threats
    return task.certificate(budget, folder)


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
        MissingExtraError: `method` is `solver`, and OR-tools is not installed.
    """
    options = Options(max_free, _TRIED, verbose=False)
    target = find_target(classifier)
    images = Inputs.of(classifier).images(x)[:_TRIED]
    measured(target, images, options.batch_size)
    if check_choice(method, "method", METHODS) in CHECKS:
        CHECKS[method](target, images.shape[1:])


def certified_accuracy(
    classifier: Classifier, x: Any, y: Any, *, eps: float, **options: Any
) -> float:
    """Share of the images that is certified; see `certify` for arguments and errors."""
    return certify(classifier, x, y, eps=eps, **options).certified_accuracy
