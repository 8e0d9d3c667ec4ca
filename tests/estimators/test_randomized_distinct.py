"""Images that repeat from draw to draw go through the network once."""

import numpy as np
import pytest
import torch

from art_disc import build_classifier
from art_disc.defences import BilinearResize, GaussianNoise, MaxPoolDownsample, RandDisc, RandMix


def rows_seen(net):
    rows = []
    handle = net.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    return rows, handle


def pooled(last):
    return [MaxPoolDownsample(2, 3, resize=False), last, BilinearResize(8, 8)]


CODES = {"centres": [[0.0], [1.0]], "sigma": 0.15}


def test_the_votes_are_those_of_every_row_by_itself(digits, digits_net, monkeypatch):
    classifier = build_classifier(digits_net, data=digits, defences=pooled(RandDisc(**CODES)))
    x = digits.x_test[:12]
    rows, handle = rows_seen(digits_net)
    found = classifier.predict_draws(x, 200, seed=3)
    few = sum(rows)
    rows.clear()
    monkeypatch.setattr("art_disc.estimators.randomized._few_values", lambda _: False)
    each = classifier.predict_draws(x, 200, seed=3)
    handle.remove()
    assert sum(rows) >= 12 * 200
    assert few < sum(rows) / 3
    np.testing.assert_allclose(found, each, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.01


@pytest.mark.parametrize(
    "defence",
    [RandMix(20.0, **CODES), RandDisc(2), GaussianNoise(0.1)],
    ids=["means", "drawn centres", "noise"],
)
def test_other_defences_are_not_searched(digits, digits_net, defence, monkeypatch):
    def refuse(*_, **__):
        pytest.fail("sorted in vain")

    monkeypatch.setattr(torch.Tensor, "unique", refuse)
    classifier = build_classifier(digits_net, data=digits, defences=pooled(defence))
    assert classifier.predict_draws(digits.x_test[:3], 5, seed=0).shape == (5, 3, 10)


def test_gradients_keep_every_row(digits, digits_net):
    classifier = build_classifier(
        digits_net, data=digits, defences=pooled(RandDisc(**CODES)), eot_samples=7
    )
    rows, handle = rows_seen(digits_net)
    x, y = digits.x_test[:4], np.eye(10, dtype=np.float32)[digits.y_test[:4]]
    classifier.loss_gradient(x, y)
    rows.clear()
    classifier.loss_gradient(x, y)
    handle.remove()
    assert sum(rows) == 28
