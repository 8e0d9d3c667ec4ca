"""An attack of one's own: a dataclass with one method."""

from dataclasses import dataclass

import numpy as np

from art_disc import build_classifier
from art_disc.attacks.base import OwnAttack


@dataclass(eq=False, repr=False)
class Darken(OwnAttack):
    eps: float = 0.1

    def _run(self, x, labels, free):
        return np.clip(x - self.eps, 0, 1)


def test_one_that_asks_for_predictions_needs_to_say_nothing_of_its_estimator(digits, digits_net):
    classifier = build_classifier(digits_net, data=digits)
    x = digits.x_test[:4]
    assert np.array_equal(Darken(classifier, eps=0.25).generate(x), np.clip(x - 0.25, 0, 1))
    assert Darken.attack_params == ["eps"]
