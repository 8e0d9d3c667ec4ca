"""A classifier in whole numbers, beside the one with binarised layers that it is made from."""

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.certificates.complete.network import module_behind
from art_disc.certificates.solver.programme import cp_model
from art_disc.certificates.target import Target, applied_defences, find_target
from art_disc.core.errors import CertificateError
from art_disc.estimators.build import build_classifier
from art_disc.estimators.contract import Classifier
from art_disc.estimators.module import DefendedModule
from art_disc.networks.integer import IntegerNetwork, integer_network

# code images, the part of the largest logit by which theirs may differ, and the share that must not
_TRIED, _ALIKE, _SHARE = 64, 1e-3, 0.5
# of matrices that are held in memory several times; none as large is decided in any time
_MOST_CONNECTIONS = 1 << 24


def integer_classifier(classifier: Classifier) -> Any:
    """Return a classifier like the given one, whose network computes in whole numbers.

    Its hidden layers compare sums of whole numbers with whole thresholds, which batch normalisation
    and standardisation are folded into; equal logits go to the lowest class. In real arithmetic it
    is the same network, up to what is rounded (`networks.integer.integer_network`); in float
    arithmetic the given one may err elsewhere. What `certify(method="solver")` decides is this one.
    Its loss is cross-entropy, whatever that of the given one.

    Args:
        classifier: One whose first and only defence is a codebook map, and whose network is a chain
            of binarised layers; itself, if its network is of whole numbers already.

    Raises:
        CertificateError: Something else acts before the network, or the network is another one.
    """
    target = find_target(classifier)
    if target.integer is not None:
        return classifier
    module, shape = module_behind(target, "method='solver' needs"), tuple(classifier.input_shape)
    network, standardisation = _network(module.eval())
    made = integer_network(
        network,
        shape,  # type: ignore[arg-type] # of images: three numbers
        np.asarray(target.codebook.levels, dtype=np.float64),
        upper=target.upper,
        standardisation=standardisation,
    )
    tensors = itertools.chain(module.parameters(), module.buffers())
    twin = build_classifier(
        made.to(next(tensors).device),
        input_shape=shape,  # type: ignore[arg-type] # of images: three numbers
        nb_classes=classifier.nb_classes,
        defences=[applied_defences(classifier)[0]],
        clip_values=(0.0, target.upper),
        channels_first=target.channels_first,
    )
    _check_alike(target, twin, shape)
    return twin


def _network(module: nn.Module) -> tuple[nn.Module, tuple[Tensor, Tensor] | None]:
    """Return what a module runs behind its map, and by what it standardises before."""
    if not isinstance(module, DefendedModule):
        return module, None
    standardised = module.standardisation is not None
    return module.base, (module.mean, module.std) if standardised else None


def temperature(classifier: Any) -> float:
    """Return the power of 2 that a classifier's logits are divided by."""
    through = getattr(getattr(classifier, "model", None), "through", None)
    return 1.0 if through is None else float(through.temperature)


def _check_alike(target: Target, twin: Any, shape: tuple[int, ...]) -> None:
    """Refuse a twin that scores most code images otherwise: a layer does more than is known."""
    drawn = np.random.default_rng(0)
    units = target.units(np.zeros((_TRIED, *shape), np.float32))
    codes = drawn.integers(target.codebook.n_codes_, size=units.shape[:2])
    x = target.images(target.codebook.codewords_[codes], shape)
    scores = np.asarray(target.classifier.predict(x), dtype=np.float64)
    scores = scores * temperature(target.classifier)
    made: IntegerNetwork = twin.model.base
    with torch.no_grad():
        whole = made.logits(made.levels(torch.from_numpy(x).to(made.constants.device)))
    others = whole.numpy(force=True) / 2.0**made.fractions
    # a common change of all logits is none: standardised images and temperatures
    scores, others = (each - each.max(axis=1, keepdims=True) for each in (scores, others))
    scale = np.maximum(np.abs(scores).max(axis=1), np.abs(others).max(axis=1))
    alike = np.abs(scores - others).max(axis=1) <= _ALIKE * scale
    if alike.mean() < _SHARE:
        msg = (
            f"{_TRIED - int(alike.sum())} of {_TRIED} code images have other logits in whole "
            "numbers: a layer computes more than its class says; use method='enumeration'"
        )
        raise CertificateError(msg)


def check_solvable(target: Target, shape: tuple[int, ...]) -> IntegerNetwork:  # noqa: ARG001 - a `Check`
    """Return the network of whole numbers that a classifier predicts by.

    Raises:
        CertificateError: It predicts by another one, its scores are not steady to the last bit, or
            it is too large.
        MissingExtraError: OR-tools is not installed.
    """
    cp_model()
    if target.integer is None or target.noise:
        found = "scores that differ between batches" if target.noise else "another network"
        msg = (
            "method='solver' decides a classifier that predicts in whole numbers, got "
            f"{found}; certify integer_classifier(classifier), or leave arithmetic out"
        )
        raise CertificateError(msg)
    network = target.integer
    count = sum(sums.connections for sums in (*(e.sums for e in network.layers), network.last))
    if count > _MOST_CONNECTIONS:
        msg = (
            f"method='solver' takes networks of up to {_MOST_CONNECTIONS:,} connections, got "
            f"{count:,}; take narrower layers, or layers of few connections"
        )
        raise CertificateError(msg)
    return network
