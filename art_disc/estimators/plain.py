"""What is taken over from an ART classifier that somebody else made."""

from typing import Any

import numpy as np
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.standardisation_mean_std.numpy import StandardisationMeanStd
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import nn

from art_disc.core.errors import InputError

# what makes predictions and gradients of a network; a class that has its own is more than one
_OF_ART = ("predict", "_predict_framework", "loss_gradient", "class_gradient")


def check_plain(classifier: Any) -> None:
    """Refuse what is no ART classifier of ours, or none that its network and its lists tell all of.

    Raises:
        InputError: The message says what makes one.
    """
    kind = type(classifier)
    if not isinstance(classifier, PyTorchClassifier):
        cure = ""
        if isinstance(classifier, nn.Module):
            cure = "; build_classifier(model, data=data, defences=...) makes one of a network"
        msg = f"expected an ART PyTorchClassifier, got {kind.__name__}{cure}"
        raise InputError(msg)
    if hasattr(classifier, "with_defences"):
        return
    own = [name for name in _OF_ART if getattr(kind, name) is not getattr(PyTorchClassifier, name)]
    if own:
        msg = (
            f"expected a plain ART PyTorchClassifier, got {kind.__name__}, whose {', '.join(own)} "
            "would be lost: its network alone is taken over; give the plain classifier, or "
            "build_classifier(model, defences=...) with a defence of the same kind"
        )
        raise InputError(msg)


def standardisation_of(classifier: PyTorchClassifier) -> tuple[Any, Any] | None:
    """Return its (mean, std); None where that changes nothing.

    Raises:
        InputError: It has another preprocessing than a standardisation.
    """
    step = classifier.preprocessing
    if step is None:
        return None
    if not isinstance(step, StandardisationMeanStd | StandardisationMeanStdPyTorch):
        msg = f"preprocessing must be (mean, std), got {type(step).__name__}"
        raise InputError(msg)
    if not np.any(step.mean) and np.all(np.asarray(step.std) == 1):
        return None
    return step.mean, step.std


def check_order(old: list[Any], placement: str) -> None:
    """Refuse what ART itself could not run: NumPy preprocessors beside others.

    Raises:
        InputError: The message names them.
    """
    numpy_only = [type(d).__name__ for d in old if not isinstance(d, PreprocessorPyTorch)]
    if numpy_only and (len(old) > 1 or placement == "preprocessor"):
        msg = (
            f"{', '.join(numpy_only)} runs in ART's NumPy path, which holds one preprocessor; use "
            "placement='module' and keep it alone, or take its PyTorch version"
        )
        raise InputError(msg)
