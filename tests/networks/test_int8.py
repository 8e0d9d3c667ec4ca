"""Predictions from int8: the same to the last bit, and attacked like the network itself."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.networks import (
    BinarizedLinear,
    Int8Linear,
    RandomConnections,
    binarynet_cifar,
    fcn2,
    load_weights,
    save_weights,
    with_int8,
)

SHAPE = (1, 8, 8)


def make(word="bnn", seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = fcn2(SHAPE, 10, binarization=word, **{"widths": (72, 33), **options})
        net(torch.rand(64, *SHAPE))
        for layer in net.modules():
            if isinstance(layer, BinarizedLinear):
                layer.weight.data[0, :2] = 0
    return net.eval()


def images(n):
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1))


class Integers(TorchFunctionMode):
    """Keeps the arguments of products of integers."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch._int_mm:
            self.found.append(args)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("n", [1, 3, 128])
@pytest.mark.parametrize("word", ["bnn", "paper", "xnor"])
@pytest.mark.parametrize("last", ["binary", "real_weights"])
def test_scores_are_the_same_to_the_last_bit(word, last, n):
    net = make(word, last=last)
    made = with_int8(net)
    with torch.no_grad(), Integers() as seen:
        found, expected = made(images(n)), net(images(n))
    assert found.numpy().tobytes() == expected.numpy().tobytes()
    # the first layer sees real images
    assert len(seen.found) == (2 if last == "binary" else 1)
    for given, weight in seen.found:
        assert given.dtype == weight.dtype == torch.int8
        assert {-1, 1} <= set(weight.unique().tolist()) <= {-1, 0, 1}
    assert (0 in seen.found[0][1]) == (word == "paper")


@pytest.mark.parametrize("word", ["bnn", "xnor"])
def test_gradients_are_those_of_the_network(word):
    gradients = []
    for net in (make(word), with_int8(make(word))):
        x = images(8).requires_grad_()
        nn.functional.cross_entropy(net(x), torch.arange(8)).backward()
        gradients.append(x.grad)
    assert gradients[0].abs().max() > 0
    assert torch.equal(*gradients)


def test_connections_stay(tmp_path):
    net, again = (
        fcn2(SHAPE, 10, widths=(40, 24), connections=[None, RandomConnections(5, seed)]).eval()
        for seed in (1, 1)
    )
    made = with_int8(net)
    load_weights(again, save_weights(net, tmp_path / "w.npz", signs="bits"))
    (layer,) = (
        one for one in made.modules() if isinstance(one, Int8Linear) and one.mask is not None
    )
    assert (layer.integers != 0).sum(dim=0).tolist() == 24 * [5]
    with torch.no_grad():
        assert torch.equal(made(images(5)), net(images(5)))
        assert torch.equal(again(images(5)), net(images(5)))


def test_behind_a_defence_it_predicts_and_is_attacked_as_the_network(digits):
    x, y = digits.x_test[:40], digits.y_test[:40]
    found = []
    for net in (make(), with_int8(make())):
        classifier = ad.build_classifier(net, data=digits, defences="bitdepth:bits=2")
        other = classifier.with_surrogate("ste_polynomial:4")
        found.append((classifier.predict(x), other.loss_gradient(x, y)))
    assert np.abs(found[0][1]).max() > 0
    assert all(map(np.array_equal, *found))


def test_the_network_stays_and_the_copy_has_no_latent_weights(tmp_path):
    net = make()
    state = copy.deepcopy(net.state_dict())
    made = with_int8(net)
    assert all(torch.equal(state[name], t) for name, t in net.state_dict().items())
    assert not any(isinstance(one, Int8Linear) for one in net.modules())
    with pytest.raises(InputError, match="cannot be trained"):
        made.train()(images(4))
    # other weights are other integers
    other = make(seed=1)
    for signs in (None, "bits"):
        again = with_int8(make())
        load_weights(again, save_weights(other, tmp_path / "w.npz", signs=signs))
        with torch.no_grad():
            assert torch.equal(again(images(4)), other(images(4)))
    assert torch.equal(copy.deepcopy(made.eval())(images(4)), net(images(4)))


@pytest.mark.parametrize(
    "net",
    [
        lambda: nn.Linear(2, 2),
        lambda: make("real"),
        lambda: make("binary_weights"),
        lambda: binarynet_cifar((3, 8, 8), widths=(4,) * 6, hidden=(), last="real"),
    ],
)
def test_other_networks_are_refused(net):
    with pytest.raises(InputError, match="no BinarizedLinear"):
        with_int8(net())


def test_a_fixed_layer_multiplies_with_signs_whatever_it_is_given():
    """It takes its weights as they are, so they must be signs from the start."""
    for word, zero in (("bnn", 1), ("paper", 0)):
        layer = BinarizedLinear(3, 1, bias=False, binarization=word)
        weight = torch.tensor([[0.25, 0.0, -0.5]])
        layer.load_state_dict({"weight": weight, "fixed_alpha": torch.ones(1)})
        assert layer.weight.tolist() == layer.signs.tolist() == [[1, zero, -1]]
