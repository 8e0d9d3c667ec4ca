"""What a gradient of many draws keeps at once, counted tensor by tensor."""

import numpy as np
import pytest
import torch

from art_disc import build_classifier
from art_disc.defences import GaussianNoise, InputBitDepth, RandDisc
from art_disc.estimators.memory import measure_bytes

SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}
IMAGES, DRAWS = 10, 20


class Held:
    """Bytes that autograd holds at the most, by a count of its own; weights apart."""

    def __init__(self, network):
        self.weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
        self.now = {}
        self.peak = 0

    def pack(self, tensor):
        return _One(self, tensor)

    def count(self, storage, by):
        place = storage.data_ptr()
        if place not in self.weights:
            number = self.now.pop(place, (0, 0))[0] + by
            if number:
                self.now[place] = (number, storage.nbytes())
            self.peak = max(self.peak, sum(size for _, size in self.now.values()))


class _One:
    def __init__(self, held, tensor):
        self.held, self.tensor = held, tensor
        held.count(tensor.untyped_storage(), 1)

    def __del__(self):
        self.held.count(self.tensor.untyped_storage(), -1)


def peak(classifier, x, y):
    held = Held(classifier.base_network)
    with torch.autograd.graph.saved_tensors_hooks(held.pack, lambda one: one.tensor):
        classifier.loss_gradient(x, y)
    assert not held.now
    return held.peak


@pytest.fixture(scope="module")
def sample(digits):
    return digits.x_test[:IMAGES].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:IMAGES]]


@pytest.mark.parametrize(
    "defence", [RandDisc.preset("mnist"), GaussianNoise(0.2)], ids=["randdisc", "noise"]
)
@pytest.mark.parametrize("gradient", ["mean_probability", "mean_loss"])
def test_a_gradient_keeps_no_more_than_is_stated(digits_net, sample, defence, gradient):
    x, y = sample
    classifier = build_classifier(
        digits_net, **SHAPE, defences=[defence], eot_samples=DRAWS, gradient=gradient
    )
    row = measure_bytes(digits_net, digits_net, torch.zeros(1, 1, 8, 8))
    image = x[0].nbytes
    found = {}
    for rows in (1, 2, 7, 20, 50, DRAWS * IMAGES):
        # beside the activations three images a row, and as many of the whole batch
        stated = 3 * IMAGES * image + rows * (row + 3 * image)
        found[rows] = peak(classifier.with_voting(memory_bytes=stated), x, y)
        # the count has the caller's images too, as large as the sum of gradients, which it has not
        assert found[rows] <= stated
    # and the budget is used: more of it, more rows at once
    assert list(found.values()) == sorted(found.values())
    # a part of it is for the layer at work, which is not kept
    assert found[50] > 0.7 * 50 * row
    # below that a row at a time is the least
    assert peak(classifier.with_voting(memory_bytes=1), x, y) == found[1]


def test_the_draws_are_those_of_a_module_that_knows_no_loss(digits_net, sample):
    x, y = sample
    made = [
        build_classifier(digits_net, **SHAPE, defences=[RandDisc(2, seed=4), InputBitDepth(3)])
        for _ in range(2)
    ]
    leaf = torch.tensor(x, requires_grad=True)
    scores = made[0].model(leaf)
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(y).argmax(dim=1))
    (expected,) = torch.autograd.grad(loss, leaf)
    got = made[1].loss_gradient(x, y)
    assert np.allclose(got, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(got).max() > 1e-3
    # and the streams go on alike
    assert np.array_equal(made[0].predict(x), made[1].predict(x))


def test_weights_get_no_gradient_and_the_loss_is_forgotten(digits_net, sample):
    x, y = sample
    classifier = build_classifier(digits_net, **SHAPE, defences=[GaussianNoise(0.2)])
    classifier.loss_gradient(x, y)
    assert all(p.grad is None or not p.grad.any() for p in digits_net.parameters())
    assert all(p.requires_grad for p in digits_net.parameters())
    assert classifier.model._known is None
    with pytest.raises(RuntimeError):
        classifier.loss_gradient(np.repeat(x, 3, axis=1), y)
    assert classifier.model._known is None


def test_labels_that_are_no_numbers_take_the_long_way(digits_net, sample):
    x, y = sample
    frozen = build_classifier(digits_net, **SHAPE, defences=[GaussianNoise(0.2)]).frozen(1)
    soft = (0.7 * y + 0.3 / 10).astype(np.float32)
    leaf = torch.tensor(x, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(frozen.model(leaf), torch.tensor(soft))
    (expected,) = torch.autograd.grad(loss, leaf)
    assert np.allclose(frozen.loss_gradient(x, soft), expected, rtol=1e-4, atol=1e-6)


def test_a_hook_of_the_module_sees_each_gradient(digits_net, sample):
    x, y = sample
    classifier = build_classifier(digits_net, **SHAPE, defences=[GaussianNoise(0.2)])
    seen = []
    handle = classifier.model.register_forward_hook(
        lambda _, given, made: seen.append((given[0].shape[0], *made.shape, made.requires_grad))
    )
    classifier.loss_gradient(x, y)
    handle.remove()
    assert seen == [(IMAGES, IMAGES, 10, True)]
