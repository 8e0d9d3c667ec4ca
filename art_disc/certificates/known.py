"""What a classifier may be made of, for its certificate to be one of what it predicts.

A certificate knows the defences and measures the network behind them. Anything else that has a hand
in a prediction is unknown, and refused with its name: an estimator whose class may do more, a hook,
a method that was exchanged, a compiled module, a preprocessor or postprocessor of unknown effect.
"""

import inspect
import itertools
from collections.abc import Iterator
from functools import cache
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.standardisation_mean_std.numpy import StandardisationMeanStd
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import nn
from torch.nn.modules import module as torch_module

from art_disc.bounds import RoundedNetwork
from art_disc.core.errors import CertificateError
from art_disc.defences.discretization import (
    CodebookMap,
    ColorDepthReduction,
    InputBitDepth,
    PixelDiscretization,
)
from art_disc.defences.images import ImageMap
from art_disc.defences.preprocessor import is_ours
from art_disc.defences.straight_through import StraightThrough
from art_disc.estimators import (
    DefendedClassifier,
    DefendedModule,
    RandomizedClassifier,
    RandomizedModule,
)
from art_disc.estimators.applied import applied
from art_disc.networks import LatentEncoder, LQVAENet
from art_disc.networks.integer import IntegerNetwork, Sums, Thresholds

# Estimators that predict what their module makes of what their steps make, and nothing else. These
# very classes: what is derived from them may do anything. A class of one's own that does no more
# may be added.
ESTIMATORS: set[type] = {PyTorchClassifier, DefendedClassifier, RandomizedClassifier}

# Modules of a classifier that run their `preprocessors`, then the standardisation and their `base`.
MODULES: set[type] = {DefendedModule, RandomizedModule}

# Defences that move each pixel to the nearest codeword of their `codebook`, and maps that do so.
# What comes behind the first may be of any class: it sees codewords, and counts as the network.
CODEBOOK_MAPS: set[type] = {PixelDiscretization, ColorDepthReduction, InputBitDepth, CodebookMap}

_OF_A_CODEBOOK = (
    "assign",
    "codewords_",
    "levels",
    "n_codes_",
    "n_channels_",
    "nearest_metric",
    "search",
)
# methods by which torch runs a module
_CALLS = ("forward", "_call_impl", "_wrapped_call_impl")
# modules of this package, of whose methods all count
_OURS = (
    ImageMap,
    DefendedModule,
    RoundedNetwork,
    IntegerNetwork,
    Thresholds,
    Sums,
    LQVAENet,
    LatentEncoder,
)
_OF_A_MAP = ("codebook", "channels_first", "upper", "top", "scale")
_STANDARDISATIONS = (StandardisationMeanStd, StandardisationMeanStdPyTorch)


def check_known(classifier: Any) -> None:
    """Refuse a classifier of which something that predicts is unknown.

    Raises:
        CertificateError: The message names it.
    """
    parts = _steps(classifier), _wrapped(classifier), _exchanged(classifier)
    _refuse(next(itertools.chain(*parts), None))


def check_first(defence: Any) -> None:
    """Refuse a first defence that may do else than move pixels to codewords of its `codebook`.

    Raises:
        CertificateError: Its class, or that of its map, is not in `CODEBOOK_MAPS`, the map is not
            that of its attributes, or the codebook's class assigns pixels in a way of its own.
    """
    # of a class that was added and is not ours nothing else can be asked
    made = (defence.map,) if is_ours(defence) else ()
    for kind in map(type, (defence, *made)):
        if kind not in CODEBOOK_MAPS:
            _refuse(f"{kind.__name__}, first, may do more than move pixels to codewords")
    book = type(defence.codebook)
    ours = next(kind for kind in book.__mro__ if kind.__module__.startswith("art_disc."))
    if any(getattr(book, name, None) is not getattr(ours, name, None) for name in _OF_A_CODEBOOK):
        _refuse(f"{book.__name__} reads its codewords in a way of its own")
    for name, one in itertools.product(_OF_A_MAP, made):
        if getattr(one, name, None) != getattr(defence._make_map(), name, None):
            _refuse(f"the map of this {type(defence).__name__} is not that of its attributes")


def defences_inside(classifier: Any) -> tuple[Any, ...]:
    """Return the defences that the module of a classifier holds and applies."""
    module = getattr(classifier, "model", None)
    return tuple(module.preprocessors) if isinstance(module, DefendedModule) else ()


def _refuse(unknown: str | None) -> None:
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


def _wrapped(classifier: Any) -> Iterator[str]:
    """Yield in words what is unknown of the module, and of that which ART puts around it."""
    module, wrapper = getattr(classifier, "model", None), getattr(classifier, "_model", None)
    if isinstance(module, DefendedModule) and type(module) not in MODULES:
        yield f"{type(module).__name__} may do more than a DefendedModule"
    if wrapper is None:
        return
    arts, kind = _art_wrapper(), type(wrapper)
    own = kind.__bases__ == arts.__bases__ and set(vars(kind)) == set(vars(arts))
    if not own or vars(kind)["forward"].__code__ is not vars(arts)["forward"].__code__:
        yield f"{kind.__name__} around the module is not ART's own"


@cache
def _art_wrapper() -> type:
    """Return ART's class around a module; each classifier has one, all of the same code."""
    return type(PyTorchClassifier._make_model_wrapper(SimpleNamespace(), nn.Identity()))


def _exchanged(classifier: Any) -> Iterator[str]:
    """Yield in words what was put in place of what a class does, or beside it."""
    modules = list(_modules(classifier))
    for module in modules:
        yield from _beside(module)
    for part in (classifier, *_parts(classifier), *modules):
        # a network may do what it likes with methods of its own: its scores are what is measured
        whole = not isinstance(part, nn.Module) or isinstance(part, _OURS)
        for name, value in getattr(part, "__dict__", {}).items():
            method = inspect.getattr_static(type(part), name, None)
            own = callable(value) and isinstance(method, FunctionType | classmethod | staticmethod)
            if own and (whole or name in _CALLS):
                yield f"{name} of this {type(part).__name__} was exchanged"
    if torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks:
        yield "a global hook of torch may do anything"


def _beside(module: nn.Module) -> Iterator[str]:
    """Yield in words what runs in place of a module's `forward`, or before and after it."""
    # `torch.compile` makes another module of one, or has it call something else
    if module._compiled_call_impl is not None or hasattr(module, "_orig_mod"):
        yield f"{type(module).__name__} is compiled (take the network as it was before)"
    for hook in _hooks(module):
        yield f"a hook of {type(module).__name__}, {hook}, may do anything"


def _parts(classifier: Any) -> Iterator[Any]:
    """Yield the steps before the network, in ART's list and in the module, and their codebooks."""
    listed = getattr(classifier, "preprocessing_operations", None) or ()
    for step in (*listed, *defences_inside(classifier)):
        for part in (step, step.preprocessor) if type(step) is StraightThrough else (step,):
            yield part
            if getattr(part, "codebook", None) is not None:
                yield part.codebook


def _modules(classifier: Any) -> Iterator[nn.Module]:
    """Yield every module that runs in a prediction; ART keeps them in one of its own."""
    around = (getattr(classifier, name, None) for name in ("_model", "model"))
    maps = (getattr(part, "_map", None) for part in _parts(classifier))
    for module in (*around, *maps):
        if isinstance(module, nn.Module):
            yield from module.modules()


def _hooks(module: nn.Module) -> Iterator[str]:
    """Yield names of forward hooks, but for those by which torch itself makes a weight."""
    for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
        if not type(hook).__module__.startswith("torch.nn.utils."):
            yield getattr(hook, "__qualname__", type(hook).__name__)
