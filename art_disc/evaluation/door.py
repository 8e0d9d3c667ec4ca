"""What an evaluation accepts, and what it makes of it before any attack runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier

from art_disc.core.budget import each_budget
from art_disc.core.checks import Float32Array, IntArray, check_images, check_labels
from art_disc.core.errors import InputError
from art_disc.core.files import check_folder
from art_disc.core.inputs import Inputs
from art_disc.core.layouts import check_shape
from art_disc.core.seeds import derive_seed
from art_disc.data import Dataset
from art_disc.estimators import as_classifier, build_classifier
from art_disc.estimators.contract import (
    WhiteBoxClassifier,
    check_draws,
    lacking,
    top_of,
)


def check_choices(
    *, out: str | Path | None, resume: bool, export: str | None, sequential: bool, checks: Any
) -> None:
    """Refuse ways of keeping a run that are none, and checks of attacks on what others left."""
    if sequential and checks is not None:
        msg = (
            "sequential gives most attacks a part of the examples, of which checks, which compare "
            f"attacks, can tell nothing; got checks={checks!r}: give checks=None, or no sequential"
        )
        raise InputError(msg)
    if export not in (None, "npz", "png"):
        msg = f"export must be 'npz', 'png' or None, got {export!r}"
        raise InputError(msg)
    if out is None and (resume or export):
        msg = f"{'resume' if resume else 'export'} needs out=, the folder of the run"
        raise InputError(msg)
    if out is not None:
        check_folder(out)


def budgets_of(
    classifier: WhiteBoxClassifier, eps: float | Sequence[float], norm: str
) -> tuple[float, ...]:
    """Return the budgets, rising, each once, and each in the input range."""
    inputs = Inputs.of(classifier)
    return tuple(sorted({inputs.budget(value, norm=norm) for value in each_budget(eps)}))


def examples_of(
    classifier: WhiteBoxClassifier, data: Dataset, upper: float
) -> tuple[Float32Array, IntArray]:
    """Return the test images in the classifier's layout and range, and labels that fit it."""
    x = check_images(data.x_test, name="data.x_test")
    if not classifier.channels_first:
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    check_shape(x.shape, tuple(classifier.input_shape), name="data.x_test")
    y = check_labels(data.y_test, len(x), classifier.nb_classes)
    return (x if upper == 1 else x * np.float32(upper)), y


def models_of(
    classifier: WhiteBoxClassifier, reference: Any, seed: int
) -> dict[str, WhiteBoxClassifier]:
    """Return the models that examples are scored on, by name; `base` where there is one."""
    models = {"base": classifier.base} if classifier.has_base else {}
    models["defended"] = classifier
    if classifier.is_random:
        models["frozen"] = check_draws(classifier).frozen(derive_seed(seed, "frozen"))
    if reference is None:
        return models
    if isinstance(reference, torch.nn.Module):
        reference = build_classifier(
            reference,
            input_shape=classifier.input_shape,
            nb_classes=classifier.nb_classes,
            clip_values=(0.0, top_of(classifier)),
            channels_first=classifier.channels_first,
            preprocessing=classifier.standardisation,
        )
    elif isinstance(reference, PyTorchClassifier):
        reference = as_classifier(reference)
    shape = tuple(classifier.input_shape)
    if lacking(reference, WhiteBoxClassifier) or tuple(reference.input_shape) != shape:
        msg = (
            "reference must be an adversarially trained torch network, or its classifier, for "
            f"images of shape {classifier.input_shape}, got {type(reference).__name__}"
        )
        if isinstance(reference, str | Path):
            msg += "; networks.load_weights(network, file) reads weights"
        raise InputError(msg)
    return models | {"reference": reference.base}
