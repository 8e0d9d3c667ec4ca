"""Bounds are of the network that predicts, or refused."""

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_disc.codebooks import Codebook
from art_disc.core.errors import CertificateError
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier
from art_disc.metrics import certify

HALVES = Codebook([0.0, 1.0])
# all four code images are within reach
X, LABEL = np.full((1, 1, 1, 2), 0.6, np.float32), [0]
WRONG = np.array([[[[0.6, 0.4]]]], np.float32)
OPTIONS = {"eps": 0.25, "verbose": False}


def linear(weights, bias):
    """A layer of these numbers."""
    layer = nn.Linear(len(weights[0]), len(weights))
    layer.weight.data, layer.bias.data = torch.tensor(weights), torch.tensor(bias)
    return layer


class OwnForward(nn.Sequential):
    """A sequence whose forward forgets what its layers make of the image."""

    def forward(self, x):
        return self[3](0.0 * self[2](self[1](self[0](x))))


class NoForward(nn.Sequential):
    """A sequence with nothing of its own."""


def plain(kind):
    """ART's own classifier, wrong where the first pixel is 1 and the second is 0."""
    layers = nn.Flatten(), linear([[1.0, -1.0]], [-0.5]), nn.ReLU()
    return PyTorchClassifier(
        kind(*layers, linear([[-10.0], [0.0]], [2.0, 0.0])).eval(),
        loss=nn.CrossEntropyLoss(),
        input_shape=(1, 1, 2),
        nb_classes=2,
        clip_values=(0, 1),
        preprocessing_defences=[PixelDiscretization(HALVES)],
    )


@pytest.mark.parametrize("method", ["bounds", "complete"])
def test_a_sequence_whose_forward_art_does_not_call_is_refused(method):
    classifier = plain(OwnForward)
    assert classifier.predict(WRONG).argmax() == 1
    with pytest.raises(CertificateError, match=r"OwnForward is an nn\.Sequential with its own"):
        certify(classifier, X, LABEL, method=method, **OPTIONS)
    honest = certify(plain(NoForward), X, LABEL, method=method, **OPTIONS)
    assert honest.verdicts == (("undecided",) if method == "bounds" else ("falsified",))


class Told(nn.Module):
    """A network that torch.fx sees less of than a prediction does: one code image is wrong."""

    def __init__(self):
        super().__init__()
        self.flatten, self.last = nn.Flatten(), linear([[0.0, 0.0], [0.0, 0.0]], [2.0, 0.0])

    def forward(self, x):
        h = self.last(self.flatten(x))
        if isinstance(x, torch.Tensor):
            hit = (x[..., :1] == 1) & (x[..., 1:] == 0)
            h = h - hit.flatten(1) * torch.tensor([5.0, 0.0])
        return h


@pytest.mark.parametrize("method", ["bounds", "complete"])
def test_a_network_that_differs_on_mixed_code_images_is_refused(method):
    classifier = build_classifier(
        Told(), input_shape=(1, 1, 2), nb_classes=2, defences=[PixelDiscretization(HALVES)]
    )
    assert classifier.predict(WRONG).argmax() == 1
    with pytest.raises(CertificateError, match="not those of its torch network"):
        certify(classifier, X, LABEL, method=method, **OPTIONS)
