"""All tensors that are alive at once stay within the memory that is stated."""

import numpy as np
import pytest

from art_disc import RandDisc, build_classifier
from art_disc.networks import MadryMnistNet
from studies.eot_cost import Alive

IMAGES, DRAWS = 16, 5


def alive(classifier, x, y):
    with Alive() as seen:
        classifier.loss_gradient(x, y)
    return seen.peak


@pytest.fixture(scope="module")
def madry():
    network = MadryMnistNet()
    rng = np.random.default_rng(0)
    x = rng.random((IMAGES, 1, 28, 28)).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[rng.integers(0, 10, IMAGES)]
    classifier = build_classifier(
        network,
        input_shape=(1, 28, 28),
        nb_classes=10,
        defences=[RandDisc.preset("mnist")],
        eot_samples=DRAWS,
    )
    classifier.loss_gradient(x[:1], y[:1])
    return classifier, x, y


@pytest.mark.parametrize("megabytes", [1.5, 3, 6, 12])
def test_a_gradient_needs_no_more_than_is_stated(madry, megabytes):
    classifier, x, y = madry
    stated = int(megabytes * 1e6)
    found = alive(classifier.with_voting(memory_bytes=stated), x, y)
    assert found <= stated
    assert found > 0.4 * stated
