"""An objective of `art_disc.training` in ART's own loop."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.networks import CertifiedNet, ibp_initialised_, weights_hash
from art_disc.training import Certified, CrossEntropy, ibp_accuracy
from tests.training.test_art_trainer import built, seeded


class Soft(nn.Module):
    def forward(self, scores, labels):
        return -(labels * scores.log_softmax(dim=1)).sum(dim=1).mean()


def told(classifier, data, objective, seed=0, **options):
    with seeded(seed):
        if objective is None:
            # as drawn for an objective
            torch.randint(2**62, ())
        classifier.fit(data.x_train[:300], data.y_train[:300], objective=objective, **options)
    return weights_hash(classifier.base_network)


def test_fit_takes_an_objective_and_tells_it_how_far_it_is(digits, digits_net):
    class Told(CrossEntropy):
        def __call__(self, model, x, y, *, progress, generator):
            seen.append((model.training, len(x), y.dtype, progress))
            return super().__call__(model, x, y, progress=progress, generator=generator)

    seen = []
    plain, taught = built(digits_net, digits, "density"), built(digits_net, digits, "density")
    words = {"batch_size": 128, "nb_epochs": 2}
    before, inner, loss = weights_hash(digits_net), taught._model, taught._loss
    assert told(taught, digits, Told(), **words) == told(plain, digits, None, **words) != before
    assert seen == [
        (True, size, torch.int64, step / 6) for step, size in enumerate([128, 128, 44] * 2)
    ]
    assert (taught._model, taught._loss, taught.model.training) == (inner, loss, False)
    seen.clear()
    told(taught, digits, Told(), drop_last=True, **words)
    assert [row[3] for row in seen] == [step / 4 for step in range(4)]


def test_fit_teaches_for_a_certificate(digits):
    shares = []
    for objective in (None, Certified(0.2, warm_up=0.1, ramp=0.5)):
        with seeded():
            net = ibp_initialised_(CertifiedNet((1, 8, 8), 10, size="small"))
            classifier = built(net, digits, "density", rate=3e-3)
            classifier.fit(digits.x_train, digits.y_train, nb_epochs=12, objective=objective)
        x, y = torch.tensor(digits.x_test[:200]), torch.tensor(digits.y_test[:200])
        shares.append(ibp_accuracy(classifier.model, x, y, eps=0.124))
    assert shares[0] < 0.1
    assert shares[1] > 0.3


def test_an_objective_that_does_not_fit_changes_nothing(digits, digits_net):
    classifier = built(digits_net, digits, "none")
    kept = classifier._model, classifier._loss, weights_hash(classifier.base_network)
    for objective, words in (
        (nn.CrossEntropyLoss(), "one of"), (Certified, "one of"), (Certified(0.2), "codebook")
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            classifier.fit(digits.x_train, digits.y_train, objective=objective)
        assert not classifier.model.training
    assert kept == (classifier._model, classifier._loss, weights_hash(classifier.base_network))
    rows = np.full((len(digits.x_train), 10), 0.1, dtype=np.float32)
    optimizer = torch.optim.Adam(digits_net.parameters())
    soft = ad.build_classifier(
        copy.deepcopy(digits_net), data=digits, loss=Soft(), optimizer=optimizer
    )
    with pytest.raises(InputError, match="labels that are classes"):
        soft.fit(digits.x_train, rows, objective=CrossEntropy())
    with pytest.raises(InputError, match="use fit"):
        classifier.fit_generator(None, objective=CrossEntropy())
    wide = ad.build_classifier(
        copy.deepcopy(digits_net), data=digits, clip_values=(0, 255),
        optimizer=torch.optim.Adam(digits_net.parameters()),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"in \[0, 1\]"):
        wide.fit(255 * digits.x_train, digits.y_train, objective=CrossEntropy())
