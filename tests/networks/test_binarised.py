"""Layers of signs beside NumPy references that are written by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.bounds import trace
from art_disc.core.errors import CertificateError, InputError
from art_disc.networks import (
    BINARIZATIONS,
    Binarization,
    BinarizedConv2d,
    BinarizedLinear,
    OutputScale,
    clamp_after_steps,
    clamp_latent_,
)
from tests.networks.products import Products, values

RNG = np.random.default_rng(0)


def linear(word, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BinarizedLinear(6, 4, binarization=word, **options)


def convolution(word, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BinarizedConv2d(3, 4, 3, padding=1, binarization=word, **options)


def inputs(layer, n=5):
    shape = (n, 6) if isinstance(layer, nn.Linear) else (n, 3, 5, 5)
    return torch.from_numpy(RNG.normal(0, 1, shape).astype(np.float32))


def signs(x):
    return np.where(x >= 0, 1.0, -1.0)


@pytest.mark.parametrize("make", [linear, convolution])
@pytest.mark.parametrize("word", ["bnn", "paper", "xnor"])
def test_products_are_of_signs_on_both_sides(make, word):
    layer = make(word)
    with Products() as seen:
        layer(inputs(layer))
    ((given, weight),) = seen.found
    assert values(given) == values(weight) == {-1, 1}


@pytest.mark.parametrize("make", [linear, convolution])
@pytest.mark.parametrize(
    ("how", "signed"),
    [
        (Binarization(activations="real"), (False, True)),
        (Binarization(weights="real"), (True, False)),
        (Binarization(weights="real", activations="real"), (False, False)),
    ],
)
def test_weights_and_activations_are_switched_separately(make, how, signed):
    layer = make(how)
    x = inputs(layer)
    with Products() as seen:
        layer(x)
    ((given, weight),) = seen.found
    assert ((values(given) == {-1, 1}), (values(weight) == {-1, 1})) == signed
    assert signed[0] or torch.equal(given, x)
    assert signed[1] or torch.equal(weight, layer.weight)


def test_a_product_of_signs_is_a_whole_number():
    layer = linear("bnn", bias=False)
    x = inputs(layer)
    expected = signs(x.numpy()) @ signs(layer.weight.detach().numpy()).T
    assert np.array_equal(layer(x).detach().numpy(), expected)


def test_zeros_at_the_border_stay_zeros():
    """A sum of 9 signs is odd; where three or five of them are padding it is not."""
    layer = BinarizedConv2d(1, 1, 3, padding=1, bias=False)
    x = torch.ones(1, 1, 4, 4)
    layer.weight.data.fill_(0.5)
    made = layer(x)[0, 0]
    assert made.tolist() == [[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]]


def test_zero_weights_and_inputs_are_plus_one_unless_it_is_the_published_code():
    x = torch.tensor([[0.0, 2.0, -2.0]])
    for word, expected in (("bnn", 1.0), ("paper", 0.0)):
        layer = BinarizedLinear(3, 1, bias=False, binarization=word)
        layer.weight.data = torch.tensor([[1.0, 0.0, 0.0]])
        assert layer(x).item() == expected
        assert layer.signs.tolist() == [[1, expected, expected]]


@pytest.mark.parametrize("estimator", ["identity", "hard_tanh", "clipped", "polynomial"])
def test_gradients_of_a_linear_layer(estimator):
    layer = linear(Binarization(estimator=estimator))
    x = inputs(layer).requires_grad_()
    g = RNG.normal(0, 1, (5, 4))
    layer(x).backward(torch.from_numpy(g.astype(np.float32)))
    value, weight = x.detach().numpy(), layer.weight.detach().numpy()
    back = g @ signs(weight)
    inside = np.abs(value) < 1
    expected = {
        "identity": back,
        "hard_tanh": back * inside,
        "clipped": np.clip(back, -1, 1),
        "polynomial": back * (2 - 2 * np.abs(value)) * inside,
    }[estimator]
    assert np.allclose(x.grad.numpy(), expected, atol=1e-5)
    assert np.allclose(layer.weight.grad.numpy(), g.T @ signs(value), atol=1e-5)
    assert np.allclose(layer.bias.grad.numpy(), g.sum(axis=0), atol=1e-5)


def xnor_gradient(weight, g):
    """The rule of the published code, but for its factor (1 - 1 / channels) n."""
    flat, slope = weight.reshape(len(weight), -1), g.reshape(len(g), -1)
    alpha = np.abs(flat).mean(axis=1, keepdims=True)
    own = alpha * slope * (np.abs(flat) <= 1)
    common = (np.sign(flat) * slope).mean(axis=1, keepdims=True)
    return (own + np.sign(flat) * common).reshape(weight.shape)


@pytest.mark.parametrize("make", [linear, convolution])
def test_scaled_weights_have_the_values_and_gradient_of_xnor_net(make):
    layer = make("xnor", bias=False)
    # some beyond the clamp, one on it
    layer.weight.data *= 8
    layer.weight.data.view(-1)[0] = 1.0
    x = inputs(layer)
    plain = nn.Linear(6, 4, bias=False) if make is linear else nn.Conv2d(3, 4, 3, 1, 1, bias=False)
    weight = layer.weight.detach().numpy()
    alpha = np.abs(weight).reshape(4, -1).mean(axis=1)
    scaled = signs(weight) * alpha.reshape(4, *(1,) * (weight.ndim - 1))
    plain.weight.data = torch.from_numpy(scaled.astype(np.float32))
    made, expected = layer(x), plain(x.sign())
    assert torch.allclose(made, expected, atol=1e-5)
    g = torch.from_numpy(RNG.normal(0, 1, made.shape).astype(np.float32))
    made.backward(g)
    expected.backward(g)
    rule = xnor_gradient(weight, plain.weight.grad.numpy())
    assert np.abs(weight).max() > 1
    assert np.allclose(layer.weight.grad.numpy(), rule, atol=1e-4)
    # without the mean over the filter it is another gradient
    assert not np.allclose(layer.weight.grad.numpy(), alpha[0] * plain.weight.grad.numpy())


def test_latent_weights_of_xnor_net_are_centred_then_clamped():
    layer = convolution("xnor")
    weight = RNG.normal(0.5, 1, layer.weight.shape).astype(np.float32)
    layer.weight.data = torch.from_numpy(weight.copy())
    layer.clamp_latent_()
    expected = np.clip(weight - weight.mean(axis=1, keepdims=True), -1, 1)
    assert np.allclose(layer.weight.detach().numpy(), expected, atol=1e-6)


def test_the_scale_of_activations_is_their_mean_in_each_window():
    layer = convolution("xnor_k", bias=False)
    same = convolution("xnor", bias=False)
    x = inputs(layer, 2)
    made, plain = layer(x).detach().numpy(), same(x).detach().numpy()
    padded = np.pad(np.abs(x.numpy()).mean(axis=1), ((0, 0), (1, 1), (1, 1)))
    for i, j in ((0, 0), (2, 3), (4, 4)):
        expected = padded[:, i : i + 3, j : j + 3].mean(axis=(1, 2))
        assert np.allclose(made[:, :, i, j], expected[:, None] * plain[:, :, i, j], rtol=1e-4)
    assert np.ptp(made / np.where(plain == 0, 1, plain)) > 0.1
    dense, other = linear("xnor_k", bias=False), linear("xnor", bias=False)
    x = inputs(dense)
    scale = x.abs().mean(dim=1, keepdim=True)
    assert torch.allclose(dense(x), other(x) * scale, atol=1e-6)


@pytest.mark.parametrize("word", [w for w in BINARIZATIONS if w != "real"])
def test_latent_weights_are_clamped_in_a_whole_tree(word):
    net = nn.Sequential(
        nn.Sequential(convolution(word)), nn.Flatten(), linear(word), nn.Linear(4, 2)
    )
    for weight in net.parameters():
        weight.data *= 100
    before = copy.deepcopy(net)
    clamp_latent_(net)
    assert net[0][0].weight.abs().max() == net[2].weight.abs().max() == 1
    assert torch.equal(net[3].weight, before[3].weight)
    assert torch.equal(net[2].bias, before[2].bias)


def test_real_weights_are_never_clamped():
    layer = linear(Binarization(weights="real"))
    layer.weight.data *= 100
    before = layer.weight.clone()
    clamp_latent_(layer)
    assert torch.equal(layer.weight, before)


def test_an_optimiser_clamps_after_each_step_and_once():
    layer, calls = linear("bnn"), []
    own = layer.clamp_latent_
    layer.clamp_latent_ = lambda: (calls.append(1), own())
    optimizer = torch.optim.SGD(layer.parameters(), lr=100.0)
    for _ in range(2):
        clamp_after_steps(optimizer, layer)
    # that of a whole network, one of whose layers is watched over
    clamp_after_steps(optimizer, nn.Sequential(layer, nn.ReLU()))
    layer(inputs(layer)).square().sum().backward()
    optimizer.step()
    assert layer.weight.abs().max() == 1
    assert layer.bias.abs().max() > 1
    assert len(calls) == 1
    real = nn.Linear(2, 2)
    plain = torch.optim.SGD(real.parameters(), lr=1.0)
    clamp_after_steps(plain, real)
    assert not plain._optimizer_step_post_hooks


def test_a_layer_tells_its_binarisation():
    """A cache of trainings knows networks by their description."""
    told = {repr(linear(how)) for how in BINARIZATIONS.values()}
    told |= {repr(linear(Binarization(estimator=e))) for e in ("identity", "clipped")}
    assert len(told) == len(BINARIZATIONS) + 2


def test_an_output_scale_is_learned():
    scale = OutputScale(0.25)
    made = scale(torch.tensor([[4.0, -8.0]]))
    assert made.tolist() == [[1, -2]]
    made.sum().backward()
    assert scale.scale.grad.item() == -4


def test_latent_weights_start_within_their_bounds():
    layer = BinarizedLinear(1, 50, binarization="xnor")
    assert (layer.weight == 0).all()
    layer = convolution("xnor")
    layer.weight.data += 5
    layer.reset_parameters()
    assert layer.weight.mean(dim=1).abs().max() < 1e-6


def test_bounds_refuse_a_layer_of_signs():
    for layer, shape in ((linear("bnn"), (6,)), (convolution("xnor"), (3, 5, 5))):
        with pytest.raises(CertificateError):
            trace(nn.Sequential(layer).eval(), shape)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: linear("xnornet"), "binarization must be one of bnn"),
        (lambda: Binarization(weights="sign"), "weights must be one of"),
        (lambda: Binarization(zero=2), "zero must be one of"),
        (lambda: Binarization(estimator="tanh"), "estimator must be one of"),
        (lambda: BinarizedConv2d(4, 4, 3, groups=2, binarization="xnor_k"), "groups=1"),
        (
            lambda: BinarizedConv2d(4, 4, 3, 1, 1, padding_mode="reflect", binarization="xnor_k"),
            "padding_mode",
        ),
    ],
)
def test_other_words_are_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()
