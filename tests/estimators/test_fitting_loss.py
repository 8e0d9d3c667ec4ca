"""Every classification loss of torch behind draws: autograd's gradient, or a refusal."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from art_disc import GaussianNoise, build_classifier, defend
from art_disc.core.errors import InputError
from art_disc.estimators.mean_loss import _NAME

CLASSES = 4
X = np.random.default_rng(0).uniform(size=(6, 3, 2, 2)).astype(np.float32)
Y = np.array([0, 1, 2, 3, 0, 1])
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[Y]
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0])
CHOICES = list(
    itertools.product(
        ("log_probs", "logits", "probs"), ("mean_probability", "mean_loss"), ("mean", "hard")
    )
)

# of labels as numbers, and of labels as rows
OF_NUMBERS = {
    "cross-entropy": nn.CrossEntropyLoss(),
    "its sum": nn.CrossEntropyLoss(reduction="sum"),
    "a class left out": nn.CrossEntropyLoss(ignore_index=0),
    "a class left out of the sum": nn.CrossEntropyLoss(ignore_index=1, reduction="sum"),
    "weights": nn.CrossEntropyLoss(weight=WEIGHT),
    "weights and a class left out": nn.CrossEntropyLoss(weight=WEIGHT, ignore_index=3),
    "smoothing": nn.CrossEntropyLoss(label_smoothing=0.1),
    "smoothing and a class left out": nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=0),
    "nll": nn.NLLLoss(),
    "nll, a class left out": nn.NLLLoss(ignore_index=0),
    "nll, weights": nn.NLLLoss(weight=WEIGHT, reduction="sum"),
    "margins": nn.MultiMarginLoss(),
    "squared margins": nn.MultiMarginLoss(p=2, margin=0.5, weight=WEIGHT),
}
OF_ROWS = {
    "soft margins": nn.MultiLabelSoftMarginLoss(weight=WEIGHT),
    "mse": nn.MSELoss(),
    "l1": nn.L1Loss(),
    "huber": nn.HuberLoss(),
    "kl": nn.KLDivLoss(reduction="batchmean"),
    "a function": nn.functional.cross_entropy,
}
REFUSED = {
    "no reduction": (nn.CrossEntropyLoss(reduction="none"), r"gives \(2,\)"),
    "nll without reduction": (nn.NLLLoss(reduction="none"), r"gives \(2,\)"),
    "binary": (nn.BCEWithLogitsLoss(), "BCEWithLogitsLoss fails"),
    "binary of probabilities": (nn.BCELoss(), "BCELoss fails"),
    "sets of labels": (nn.MultiLabelMarginLoss(), "MultiLabelMarginLoss fails"),
    "weights of other classes": (nn.CrossEntropyLoss(weight=torch.ones(3)), "fails"),
    "no tensor": (lambda scores, labels: 0.0, "gives float"),
    "no gradient": (lambda scores, labels: scores.detach().sum(), r"gives \(\)"),
}


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, CLASSES))


def frozen(net, loss, output="log_probs", gradient="mean_probability", vote="mean"):
    return build_classifier(
        net,
        input_shape=(3, 2, 2),
        nb_classes=CLASSES,
        defences=[GaussianNoise(0.3)],
        loss=loss,
        eot_samples=5,
        vote_samples=5,
        output=output,
        gradient=gradient,
        vote=vote,
    ).frozen(1)


def by_autograd(classifier, loss, labels, gradient):
    leaf = torch.tensor(X, requires_grad=True)
    row = classifier.model(leaf)
    if gradient == "mean_loss":
        torch.stack([loss(draw, labels) for draw in getattr(row, _NAME)]).mean(0).backward()
    else:
        loss(row, labels).backward()
    return leaf.grad.numpy()


@pytest.mark.parametrize("name", [*OF_NUMBERS, *OF_ROWS])
def test_a_loss_has_the_gradient_that_autograd_finds(net, name):
    loss = OF_NUMBERS.get(name) or OF_ROWS[name]
    labels = torch.tensor(Y) if name in OF_NUMBERS else torch.tensor(ONE_HOT)
    for choice in CHOICES:
        classifier = frozen(net, loss, *choice)
        expected = by_autograd(classifier, loss, labels, choice[1])
        assert np.abs(expected).max() > 0
        for given in (ONE_HOT, Y):
            found = classifier.loss_gradient(X, given)
            assert np.allclose(found, expected, atol=1e-6), choice


@pytest.mark.parametrize("name", REFUSED)
def test_a_loss_that_gives_no_gradient_is_refused_with_the_cure(net, name):
    loss, text = REFUSED[name]
    with pytest.raises(InputError, match=rf"must make one number.*{text}.*CrossEntropyLoss\(\)"):
        frozen(net, loss)
    with pytest.raises(InputError, match=text):
        build_classifier(net, input_shape=(3, 2, 2), nb_classes=CLASSES, loss=loss)


def test_so_is_that_of_a_classifier_that_is_defended(net):
    from art.estimators.classification import PyTorchClassifier

    options = {"input_shape": (3, 2, 2), "nb_classes": CLASSES, "clip_values": (0, 1)}
    loss = nn.CrossEntropyLoss(reduction="none")
    plain = PyTorchClassifier(net, loss=loss, device_type="cpu", **options)
    with pytest.raises(InputError, match="must make one number"):
        defend(plain, GaussianNoise(0.1))
