"""No certificate rests on digits that floating point does not have."""

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.certificates.front import certify
from art_disc.codebooks import Codebook
from art_disc.core.errors import CertificateError
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier


def of_layers(first, second):
    """Return a classifier of two linear layers, ReLU between, on the codewords 0 and 1."""
    layers = []
    for weight, bias in (first, second):
        layer = nn.Linear(len(weight[0]), len(weight))
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
        layers.append(layer)
    return build_classifier(
        nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1]),
        input_shape=(1, 1, len(first[0][0])),
        nb_classes=len(second[0]),
        defences=[PixelDiscretization(Codebook([0.0, 1.0]))],
        clip_values=(0, 1),
    )


def image(*values):
    return np.array([[[values]]], np.float32)


@pytest.mark.parametrize("method", ["bounds", "complete"])
@pytest.mark.parametrize(
    ("weight", "bias", "rest"),
    # 1 is less than the last digit of 1e17 in float64; 2^-17 is beyond the last of 2^39 / 2
    [
        (1e17, 1.0, ([[-1.0], [0.0]], [0.5, 0.0])),
        (2.0**39, 2.0**-16, ([[-4.0], [0.0]], [2.0**-15, 0.0])),
    ],
)
def test_boxes_without_the_digits_of_a_bias_certify_nothing(method, weight, bias, rest):
    classifier = of_layers(([[-weight, 0.0]], [bias]), rest)
    x, bad = image(0.6, 0.0), image(0.4, 0.0)
    assert classifier.predict(x).argmax() == 0
    assert classifier.predict(bad).argmax() == 1
    found = certify(classifier, x, [0], eps=0.25, method=method, verbose=False)
    assert found.verdicts != ("certified",)


@pytest.mark.parametrize("method", ["bounds", "complete"])
@pytest.mark.parametrize("large", [1e30, 1e8, 1e6])
def test_what_float32_loses_at_one_code_image_alone_is_not_certified(method, large):
    rest = ([[1.0], [1.0]], [-3.0, -2.999]) if large < 1e30 else ([[1e30], [2e30]], [0.0, 3.0])
    classifier = of_layers(([[large, -large]], [-large / 2]), rest)
    assert classifier.predict(image(0.6, 0.4)).argmax() == 0
    found = certify(classifier, image(0.6, 0.6), [1], eps=0.25, method=method, verbose=False)
    assert found.verdicts == ("undecided",)


def test_hidden_values_that_cancel_leave_float_error():
    # at (1, 0) alone: float32 has no 0.001 at 2^19, and the large values meet before the logits
    large = 2.0**20
    rows = [
        [large, -large, 0.001],
        [large, -large, 0.0],
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
    ]
    first = (rows, [-large / 2, -large / 2, 0.0, 0.0])
    classifier = of_layers(first, ([[-1.0, 1.0, 1.0, -1.0], [0.0] * 4], [0.0005 - 1.0, 0.0]))
    # float32 and float64 differ so much there that bounds say nothing of what predicts
    with pytest.raises(CertificateError, match="not those of its torch network"):
        certify(classifier, image(0.6, 0.6, 1.0), [1], eps=0.25, method="complete", verbose=False)


def test_a_plain_network_loses_no_certificate():
    classifier = of_layers(([[1.0, -1.0]], [0.5]), ([[1.0], [-1.0]], [0.01, 0.0]))
    x = image(0.6, 0.1)
    for method in ("bounds", "complete"):
        found = certify(classifier, x, [0], eps=0.25, method=method, verbose=False)
        assert found.verdicts == ("certified",)
