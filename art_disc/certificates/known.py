"""What a classifier may be made of, for its certificate to be one of what it predicts.

A certificate knows the defences and measures the network behind them. Anything else that has a hand
in a prediction is unknown, and refused with its name: an estimator whose class may do more, a hook,
a method that was exchanged, a preprocessor or postprocessor of unknown effect.
"""

import itertools
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.standardisation_mean_std.numpy import StandardisationMeanStd
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import nn
from torch.nn.modules import module as torch_module

from art_disc.core.errors import CertificateError
from art_disc.defences.preprocessor import is_ours
from art_disc.defences.straight_through import StraightThrough
from art_disc.estimators import DefendedClassifier, DefendedModule, RandomizedClassifier
from art_disc.estimators.applied import applied

# Estimators that predict what their module makes of what their steps make, and nothing else. These
# very classes: what is derived from them may do anything. A class of one's own that does no more
# may be added.
ESTIMATORS: set[type] = {PyTorchClassifier, DefendedClassifier, RandomizedClassifier}

_STANDARDISATIONS = (StandardisationMeanStd, StandardisationMeanStdPyTorch)


def check_known(classifier: Any) -> None:
    """Refuse a classifier of which something that predicts is unknown.

    Raises:
        CertificateError: The message names it.
    """
    unknown = next(itertools.chain(_steps(classifier), _exchanged(classifier)), None)
    if unknown is not None:
        msg = (
            f"a certificate is of what is known, and {unknown}; certify the classifier that "
            "build_classifier(network, defences=[...]) makes of its network"
        )
        raise CertificateError(msg)


def is_identity(step: Any) -> bool:
    """Whether a step is ART's standardisation by mean 0 and deviation 1."""
    if type(step) not in _STANDARDISATIONS:
        return False
    return bool(np.all(np.asarray(step.mean) == 0) and np.all(np.asarray(step.std) == 1))


def _steps(classifier: Any) -> Iterator[str]:
    """Yield in words what is unknown of the class, and of what ART applies around the module."""
    kind = type(classifier)
    if kind not in ESTIMATORS:
        known = ", ".join(sorted(each.__name__ for each in ESTIMATORS))
        yield f"{kind.__name__} may do more than its module ({known} do not)"
    for step in applied(getattr(classifier, "preprocessing_operations", None) or ()):
        inner = step.preprocessor if type(step) is StraightThrough else step
        if not (is_ours(inner) or type(inner) in _STANDARDISATIONS):
            yield f"the preprocessor {type(inner).__name__} may draw, or look at other images"
    for step in getattr(classifier, "postprocessing_defences", None) or ():
        yield f"the postprocessor {type(step).__name__} changes the scores"


def _exchanged(classifier: Any) -> Iterator[str]:
    """Yield in words what was put in place of what a class does, or beside it."""
    for part in _outside(classifier):
        for name, value in vars(part).items():
            if callable(value) and isinstance(getattr(type(part), name, None), FunctionType):
                yield f"{name} of this {type(part).__name__} was exchanged"
    for module in _modules(classifier):
        for hook in _hooks(module):
            yield f"a hook of {type(module).__name__}, {hook}, may do anything"
    if torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks:
        yield "a global hook of torch may do anything"


def _outside(classifier: Any) -> Iterator[Any]:
    """Yield what runs around maps, which are sealed, and the network, which is measured."""
    yield classifier
    if isinstance(module := getattr(classifier, "model", None), DefendedModule):
        yield module


def _modules(classifier: Any) -> Iterator[nn.Module]:
    """Yield every module that runs in a prediction; ART keeps them in one of its own."""
    names = ("_model", "model")
    for module in (getattr(classifier, name, None) for name in names):
        if isinstance(module, nn.Module):
            yield from module.modules()


def _hooks(module: nn.Module) -> Iterator[str]:
    """Yield names of forward hooks, but for those by which torch itself makes a weight."""
    for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
        if not type(hook).__module__.startswith("torch.nn.utils."):
            yield getattr(hook, "__qualname__", type(hook).__name__)
