"""The evaluation itself: clean accuracy, then every row of the plan, then the record."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from numpy.typing import NDArray

from art_disc.core.checks import (
    Float32Array,
    check_count,
    check_eps,
    check_images,
    check_labels,
)
from art_disc.core.errors import InputError
from art_disc.data import Dataset
from art_disc.estimators import DefendedClassifier
from art_disc.evaluation.certified import add_certificates, refuse_early
from art_disc.evaluation.describe import describe_run
from art_disc.evaluation.plan import check_norm, estimate_seconds, plan_rows
from art_disc.evaluation.result import Evaluation
from art_disc.evaluation.runner import Runner
from art_disc.evaluation.score import predict_labels
from art_disc.surrogates import SurrogateLike


# ART's predict draws from torch's global stream (through its DataLoader), which is the caller's
@torch.random.fork_rng(devices=[])
def evaluate(  # noqa: PLR0913 - each is a choice of its own
    classifier: DefendedClassifier,
    data: Dataset,
    *,
    eps: float | Sequence[float],
    attacks: str | EvasionAttack | Sequence[str | EvasionAttack] = "standard",
    norm: str | float = "inf",
    targeted: bool = False,
    surrogates: Sequence[SurrogateLike] = ("soft", "identity"),
    settings: dict[str, Any] | None = None,
    certify: bool = False,
    max_free: int = 12,
    n_ex: int | None = None,
    stratified: bool = False,
    batch_size: int = 100,
    seed: int = 0,
    out: str | Path | None = None,
    training: str = "",
    announce: Callable[[str], None] | None = None,
    verbose: bool = True,
) -> Evaluation:
    """Attack a classifier with ART's attacks and count what survives.

    Gradient attacks run on the base network (their examples are scored on both models: knowledge
    `base`) and through each surrogate (knowledge `bpda`); attacks without gradients run on the
    defended model (knowledge `none`). Every example is scored by a fresh prediction and within its
    own measured perturbation.

    Args:
        classifier: From `build_classifier` or `defend`.
        data: Its test images are attacked; with clip values (0, 255) they are scaled to 0..255.
        eps: One or several budgets >= 0 in the classifier's input range.
        attacks: `quick`, `standard`, names (`pgd,square`), or ART attack objects of the user's
            own, which run once, as they are; an example that one moves farther than its budget
            counts at the larger budgets alone.
        norm: `inf` or 2.
        targeted: Aim at the likeliest wrong class, where the attack can; any error counts.
        surrogates: Backward passes to attack through beside the defences' own; the per-example
            worst is the result.
        settings: `{"pgd.max_iter": 100}`: over the tier's own.
        certify: Also certify by enumeration at every budget (l_inf), which bounds the robust
            accuracy from below; an example that is certified and yet broken shows in the record's
            `contradictions`.
        max_free: As for `metrics.certify`.
        n_ex: Attack the first `n_ex` test images; None: all.
        stratified: Draw the `n_ex` by class share instead; needed where images are sorted by class.
        batch_size: Images an attack gets at once; part of what makes a run repeatable.
        seed: Of every attack's random draws.
        out: Folder; the record is written there after every row.
        training: One line on how the network was trained, for the record.
        announce: Called with one line on the cost before the first attack.
        verbose: Show one progress bar.

    Returns:
        The record with up to eight pictures.

    Raises:
        InputError: An argument does not fit.
        CertificateError: `certify`, and the classifier is none that the certificate covers.
        EvaluationInterrupted: Ctrl-C; its `partial` holds, and `out` has, what was finished.
    """
    if not isinstance(classifier, DefendedClassifier):
        msg = (
            f"expected a classifier of build_classifier, got {type(classifier).__name__}; "
            "defend(classifier, []) makes one of an ART PyTorchClassifier"
        )
        raise InputError(msg)
    upper = float(np.max(classifier.clip_values[1]))
    budgets = _budgets(eps, norm, upper, classifier.input_shape)
    if n_ex is not None:
        data = data.subset(n_test=check_count(n_ex, "n_ex"), stratified=stratified, seed=seed)
    x, y = _examples(classifier, data, upper)
    rows = plan_rows(
        classifier,
        eps=budgets,
        attacks=attacks,
        changes=settings or {},
        surrogates=surrogates,
        norm=check_norm(norm),
        targeted=targeted,
    )
    clean = {
        "base": predict_labels(classifier.base, x) == y,
        "defended": predict_labels(classifier, x) == y,
    }
    run = Runner(classifier, x, y, upper, check_count(batch_size, "batch_size"), seed, clean)
    if certify:
        refuse_early(run, check_norm(norm), max_free)
    facts = describe_run(classifier, data, y, training=training) | {
        "norm": check_norm(norm),
        "eps": budgets,
        "seed": seed,
        "base_correct": tuple(clean["base"].tolist()),
        "defended_correct": tuple(clean["defended"].tolist()),
        "settings": {"batch_size": batch_size, "targeted": targeted},
    }
    if announce is not None:
        seconds = estimate_seconds(classifier, rows, x)
        announce(f"{len(rows)} attacks on {len(x)} images, about {_duration(seconds)}")
    folder = None if out is None else fresh_folder(out)
    result = run.through(rows, facts, data.test_ids, folder, verbose=verbose)
    if certify:
        result = add_certificates(result, run, max_free, folder, verbose=verbose)
    if folder is not None:
        result.record.save(folder / "record.json")
    return result


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _budgets(
    eps: float | Sequence[float], norm: str | float, upper: float, shape: tuple[int, ...]
) -> tuple[float, ...]:
    listed = eps if isinstance(eps, Sequence) else [eps]
    if not listed:
        msg = "eps must hold at least one budget"
        raise InputError(msg)
    # in l2 the largest possible change is the diagonal of the range
    top = upper if check_norm(norm) == "inf" else upper * float(np.sqrt(np.prod(shape)))
    return tuple(sorted({check_eps(value, upper=top) for value in listed}))


def _examples(
    classifier: DefendedClassifier, data: Dataset, upper: float
) -> tuple[Float32Array, NDArray[np.int64]]:
    x = check_images(data.x_test, name="data.x_test")
    if not classifier.channels_first:
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    if x.shape[1:] != tuple(classifier.input_shape):
        msg = f"the classifier takes {classifier.input_shape}, the data has {x.shape[1:]}"
        raise InputError(msg)
    y = check_labels(data.y_test, len(x), classifier.nb_classes)
    return (x if upper == 1 else x * np.float32(upper)), y


def fresh_folder(out: str | Path) -> Path:
    """Return the folder without what an earlier run left: two runs must not be told as one."""
    folder = Path(out)
    for name in ("record.json", "pictures.npz", "summary.json", "report.html"):
        (folder / name).unlink(missing_ok=True)
    return folder
