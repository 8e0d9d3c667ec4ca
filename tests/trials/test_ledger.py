"""What an attack costs, counted in draws."""

import numpy as np
import pytest

import art_disc as ad
from art_disc.trials.ledger import Ledger

EOT, VOTE, IMAGES = 3, 7, 5
CODES = (0.1, 0.9)


def counted(classifier, call):
    ledger = Ledger()
    with ledger.watching(classifier.base_network):
        call(classifier)
    return ledger.gradients, ledger.queries


@pytest.fixture(scope="module")
def sample(digits):
    return digits.x_test[:IMAGES], np.eye(10, dtype=np.float32)[digits.y_test[:IMAGES]]


@pytest.mark.parametrize("centres", [CODES, "adaptive"])
@pytest.mark.parametrize("memory", [1, 1 << 30])
def test_every_draw_counts_however_often_the_network_saw_it(digits_net, sample, centres, memory):
    x, y = sample
    # noise that moves no pixel across the middle of the two codewords: all draws are equal
    defence = ad.RandDisc(2, centres=centres, sigma=1e-4, surrogate="identity")
    classifier = ad.build_classifier(
        digits_net,
        input_shape=(1, 8, 8),
        nb_classes=10,
        defences=[defence],
        eot_samples=EOT,
        vote_samples=VOTE,
    ).with_voting(memory_bytes=memory)
    seen = []
    handle = digits_net.register_forward_hook(lambda _, given, made: seen.append(len(made)))
    assert counted(classifier, lambda c: c.predict(x)) == (0, VOTE * IMAGES)
    handle.remove()
    if centres is CODES and memory > 1:
        # equal draws went through once, as did the row that is measured
        assert sum(seen) <= IMAGES + 1
    assert counted(classifier, lambda c: c.predict_draws(x, 4)) == (0, 4 * IMAGES)
    assert counted(classifier, lambda c: c.loss_gradient(x, y)) == (EOT * IMAGES, 0)
    one = counted(classifier, lambda c: c.class_gradient(x, label=1))
    assert one == (EOT * IMAGES, 0)
    quiet = Ledger()
    with quiet.watching(digits_net):
        pass
    classifier.predict(x)
    assert quiet.queries == 0
