"""The wide ResNet beside its published definition, written out a second time."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.networks import WideResNet, load_weights, save_weights, weights_hash
from art_disc.networks.wide import PerImageStandardisation
from art_disc.training import train


def seeded(*args, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return WideResNet(*args, **options)


def settled(net):
    """Give the batch normalisation values of its own, as after a training."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_(std=0.3, generator=generator)
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.5, 1.5, generator=generator)
    return net.eval()


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def count(net):
    return sum(p.numel() for p in net.parameters())


def closed_form(channels, classes, units, width):
    """Two 3x3 convolutions and twice two numbers a channel of normalisation for each unit."""

    def unit(into, out):
        return 9 * into * out + 9 * out * out + 2 * into + 2 * out

    widths = [16, 16 * width, 32 * width, 64 * width]
    groups = sum(
        unit(widths[g], widths[g + 1]) + (units - 1) * unit(widths[g + 1], widths[g + 1])
        for g in range(3)
    )
    return 9 * channels * 16 + groups + 2 * widths[3] + (widths[3] + 1) * classes


def test_the_number_of_weights_is_the_published_one():
    assert count(WideResNet()) == closed_form(3, 10, 5, 10) == 45_901_914
    assert count(WideResNet((1, 8, 8), 7, units=1, width=2)) == closed_form(1, 7, 1, 2)


def published(net, x):
    """The network as the challenge defines it, from the weights alone; TensorFlow's padding."""
    w = net.state_dict()

    def active(x, name):
        x = functional.batch_norm(
            x,
            w[f"{name}.0.running_mean"],
            w[f"{name}.0.running_var"],
            w[f"{name}.0.weight"],
            w[f"{name}.0.bias"],
            eps=0.001,
        )
        return torch.where(x < 0, 0.1 * x, x)

    def same(x, kernel, stride):
        total = [max((math.ceil(n / stride) - 1) * stride + 3 - n, 0) for n in x.shape[2:]]
        (top, left), (bottom, right) = [t // 2 for t in total], [t - t // 2 for t in total]
        return functional.conv2d(
            functional.pad(x, (left, right, top, bottom)), kernel, None, stride
        )

    pixels = math.prod(x.shape[1:])
    grey = 255 * x.flatten(1)
    spread = torch.maximum(grey.std(1, correction=0), torch.tensor(1 / math.sqrt(pixels)))
    x = ((grey - grey.mean(1, keepdim=True)) / spread[:, None]).view(x.shape)
    x = same(x, w["first.weight"], 1)
    units = len(net.groups) // 3
    for number in range(3 * units):
        stride = 2 if number in (units, 2 * units) else 1
        name = f"groups.{number}"
        inner = active(x, f"{name}.before")
        old = inner if number == 0 else x
        inner = same(inner, w[f"{name}.conv1.weight"], stride)
        new = same(active(inner, f"{name}.between"), w[f"{name}.conv2.weight"], 1)
        if old.shape[1] != new.shape[1]:
            old = functional.avg_pool2d(old, stride)
            wide = torch.zeros_like(new)
            low = (new.shape[1] - old.shape[1]) // 2
            wide[:, low : low + old.shape[1]] = old
            old = wide
        x = new + old
    x = active(x, "last").flatten(2).mean(2)
    return x @ w["head.weight"].T + w["head.bias"]


@pytest.mark.parametrize(("units", "width"), [(1, 1), (2, 1), (1, 3)])
def test_the_values_are_those_of_the_published_definition(units, width):
    net = settled(seeded((3, 16, 12), 7, units=units, width=width))
    x = images(4, 3, 16, 12)
    with torch.no_grad():
        logits = net(x)
        assert logits.std(dim=0).min() > 1e-3
        assert torch.allclose(logits, published(net, x), atol=1e-4, rtol=1e-4)


def test_initial_weights_have_the_published_spread():
    net = seeded((3, 8, 8), 1000, units=1, width=4)
    for unit in net.groups:
        for conv in (unit.conv1, unit.conv2):
            weight = conv.weight.detach()
            spread = weight.std().item() * math.sqrt(9 * conv.out_channels / 2)
            assert spread == pytest.approx(1, abs=0.04)
            # a normal law, not a uniform one, has tails
            assert weight.abs().max() > 2.5 * weight.std()
    limit = math.sqrt(3 / 256)
    assert 0.99 * limit < net.head.weight.abs().max() <= limit
    assert not net.head.bias.any()
    # signals neither vanish nor explode
    with torch.no_grad():
        assert 0.1 < net.eval()(images(4, 3, 8, 8)).std() < 10


def test_standardised_images_have_mean_0_and_deviation_1_whatever_brightness_and_contrast():
    x = images(5, 3, 6, 8)
    layer = PerImageStandardisation()
    flat = x.numpy().reshape(5, -1)
    expected = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    assert np.allclose(layer(x).numpy().reshape(5, -1), expected, atol=1e-5)
    assert torch.allclose(layer(0.3 * x + 0.2), layer(x), atol=1e-5)


def test_a_flat_image_gives_zeros_and_a_finite_gradient():
    layer = PerImageStandardisation()
    x = torch.full((2, 3, 4, 4), 0.5)
    # a deviation far below the floor of 1 / sqrt(48) grey levels
    x[1, 0, 0, 0] += 1e-4
    x.requires_grad_()
    value = layer(x)
    assert not value[0].any()
    floor = 1 / (255 * math.sqrt(48))
    assert value[1].max().item() == pytest.approx(1e-4 * 47 / 48 / floor, rel=0.01)
    (value * images(2, 3, 4, 4)).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad[0].any()


def test_a_small_one_learns_the_digits_and_is_attacked_through_a_defence(digits, tmp_path):
    data = digits.subset(n_train=600, n_test=200, stratified=True)
    net = seeded((1, 8, 8), 10, units=1, width=1)
    result = train(net, data, epochs=5, learning_rate=5e-3, verbose=False)
    assert result.accuracy > 0.85
    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(data.x_train)
    classifier = ad.build_classifier(net, data=data, defences=[ad.PixelDiscretization(book)])
    slope = classifier.loss_gradient(data.x_test[:8], np.eye(10)[data.y_test[:8]])
    assert np.isfinite(slope).all()
    assert np.abs(slope).max(axis=(1, 2, 3)).min() > 0
    other = WideResNet((1, 8, 8), 10, units=1, width=1)
    load_weights(other, save_weights(net, tmp_path / "w.npz"))
    assert weights_hash(other) == result.weights
    x = torch.tensor(data.x_test)
    assert torch.equal(other.eval()(x), net(x))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"input_shape": (3, 30, 32)}, "multiples of 4"),
        ({"input_shape": (3, 32, 31)}, "multiples of 4"),
        ({"input_shape": (3, 0, 32)}, "multiples of 4"),
        ({"units": 0}, "units must be a whole number >= 1"),
        ({"width": 0.5}, "width must be a whole number >= 1"),
    ],
)
def test_what_does_not_fit_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        WideResNet(**options)
