"""A classifier in exact arithmetic, beside the one that it is rounded from."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from art_disc.bounds import Graph, RoundedNetwork
from art_disc.certificates.complete.network import graph_of
from art_disc.certificates.target import applied_defences, find_target
from art_disc.core.checks import check_count
from art_disc.core.errors import CertificateError
from art_disc.estimators.build import build_classifier
from art_disc.estimators.contract import Classifier

_MOST_BITS, _LEAST_BITS = 10, 4
# of float64: no sum of such numbers is exact with more
_BITS_OF_FLOAT64 = 52


def rounded_classifier(classifier: Classifier, *, bits: int | None = None) -> Any:
    """Return a classifier like the given one, whose network is rounded and computes exactly.

    Its weights, and the standardised images of codewords, are multiples of 2^-bits; it runs in
    float64 without fast convolution algorithms, and its scores are logits less the largest one. It
    is another classifier, and may err elsewhere: what is certified in exact arithmetic is this one.
    Its loss is cross-entropy, whatever that of the given one: a loss may hold float32 numbers.

    Args:
        classifier: One that `certify(method="complete")` takes; itself, if it is exact already.
        bits: Of the fractions of its numbers, 1 to 52; None: as many, up to 10, as leave all sums
            exact.

    Raises:
        InputError: `bits` is no whole number in 1..52.
        CertificateError: It has no bounds, or a sum could be inexact, with 4 bits where none are
            given.
    """
    if bits is not None:
        check_count(bits, "bits", most=_BITS_OF_FLOAT64)
    target = find_target(classifier)
    if target.is_exact:
        return classifier
    shape = tuple(classifier.input_shape)
    low, high = map(torch.from_numpy, target.ends(shape))
    tried = range(_MOST_BITS, _LEAST_BITS - 1, -1) if bits is None else [bits]
    return build_classifier(
        _most_precise(graph_of(target, shape), low, high, tried),
        input_shape=shape,  # type: ignore[arg-type] # of images: three numbers
        nb_classes=classifier.nb_classes,
        defences=[applied_defences(classifier)[0]],
        clip_values=(0.0, target.upper),
        channels_first=target.channels_first,
    )


def _most_precise(graph: Graph, low: Tensor, high: Tensor, tried: Sequence[int]) -> RoundedNetwork:
    """Return the network rounded to the first of these bits that leave its sums exact."""
    for bits in tried[:-1]:
        try:
            return RoundedNetwork(graph, low, high, bits)
        except CertificateError:
            continue
    return RoundedNetwork(graph, low, high, tried[-1])
