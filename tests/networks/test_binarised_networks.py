from itertools import pairwise

import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.networks import (
    BinarizedNet,
    Convolution,
    ResNet32,
    alexnet,
    binarynet_cifar,
    fcn1,
    fcn2,
    resnet20,
)
from art_disc.networks.binarised_networks import ALEXNET_WIDTHS, CIFAR_WIDTHS
from art_disc.networks.latent import binarised_layers
from tests.networks.products import Products, signed


def weights(net):
    return sum(p.numel() for p in net.parameters())


def on_meta(make, *args, **options):
    """A network of any size that costs nothing, and the shape of its logits."""
    with torch.device("meta"), torch.no_grad():
        net = make(*args, **options).eval()
        shape = args[0] if args else make.__defaults__[0]
        return net, net(torch.empty(2, *shape)).shape


def dense(*units):
    return sum(a * b for a, b in pairwise(units))


@pytest.mark.parametrize(("make", "width"), [(fcn1, 6144), (fcn2, 600)])
@pytest.mark.parametrize("word", ["bnn", "xnor", "real"])
def test_fully_connected_sizes(make, width, word):
    net, shape = on_meta(make, binarization=word)
    assert shape == (2, 10)
    norms = 2 * 4 * width
    assert weights(net) == dense(784, *[width] * 4, 10) + 10 + norms


@pytest.mark.parametrize("widths", ["binary", "full"])
@pytest.mark.parametrize("word", ["bnn", "paper", "real"])
def test_cifar_sizes(widths, word):
    net, shape = on_meta(binarynet_cifar, widths=widths, binarization=word)
    channels = CIFAR_WIDTHS[widths]
    assert shape == (2, 10)
    kernels = 9 * dense(3, *channels) + dense(512 * 4 * 4, 1024, 1024, 10)
    assert weights(net) == kernels + 2 * (sum(channels) + 1024 + 1024 + 10)


def test_a_twin_has_the_same_width_and_the_published_pair_has_not():
    binary, full = (on_meta(binarynet_cifar, binarization=w)[0] for w in ("bnn", "real"))
    assert weights(binary) == weights(full)
    assert not binarised_layers(full)
    narrow = on_meta(binarynet_cifar, widths="full", binarization="real")[0]
    assert weights(narrow) < weights(binary) / 2


@pytest.mark.parametrize("widths", ["binary", "full"])
def test_alexnet_sizes(widths):
    net, shape = on_meta(alexnet, widths=widths)
    a, b, c, d, e = ALEXNET_WIDTHS[widths]
    assert shape == (2, 1000)
    kernels = 3 * 121 * a + 25 * a * b + 9 * dense(b, c, d, e)
    norms = 2 * (a + b + c + d + e + 4096 + 4096 + 1000)
    assert weights(net) == kernels + dense(256 * 6 * 6, 4096, 4096, 1000) + norms


@pytest.mark.parametrize("nb_classes", [10, 43, 100])
def test_resnet_sizes(nb_classes):
    sizes = set()
    for word in ("real", "bnn", "xnor"):
        net, shape = on_meta(resnet20, (3, 32, 32), nb_classes, binarization=word)
        assert shape == (2, nb_classes)
        sizes.add(weights(net))
    # the published 0.27 million
    assert sizes == {272_474 + 65 * (nb_classes - 10)}


def test_the_full_resnet_is_the_one_that_was_there():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        old = ResNet32(depth=20)
        torch.manual_seed(0)
        new = resnet20(binarization="real")
    assert repr(new) == repr(old)
    assert all(torch.equal(a, b) for a, b in zip(new.parameters(), old.parameters(), strict=True))


SMALL = {
    "fcn1": (fcn1, (1, 4, 4), {"widths": (12, 12, 12)}),
    "cifar": (binarynet_cifar, (3, 8, 8), {"widths": (6,) * 6, "hidden": (8, 8)}),
    "alexnet": (alexnet, (3, 64, 64), {"widths": (6,) * 5, "hidden": (8, 8)}),
    "resnet20": (resnet20, (3, 8, 8), {"width": 4, "depth": 8}),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("word", ["bnn", "paper", "xnor", "xnor_k", "binary_weights", "real"])
def test_logits_are_of_the_image_and_every_weight_is_taught(name, word):
    make, shape, options = SMALL[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make(shape, 5, binarization=word, **options)
        x = torch.rand(8, *shape).requires_grad_()
    logits = net(x)
    assert logits.std(dim=0).max() > 0
    nn.functional.cross_entropy(logits, torch.arange(8) % 5).backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    logits = net.eval()(x)
    assert logits.shape == (8, 5)
    assert torch.allclose(net(x.flip(0)).flip(0), logits, atol=1e-5)


def hidden(net, shape):
    with torch.random.fork_rng(), torch.no_grad(), Products() as seen:
        torch.manual_seed(0)
        net.eval()(torch.rand(2, *shape))
    return signed(seen)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("word", ["bnn", "xnor"])
def test_hidden_products_are_of_signs_alone(name, word):
    make, shape, options = SMALL[name]
    first, *inner, _ = hidden(make(shape, 5, binarization=word, **options), shape)
    assert first == (False, word == "bnn")
    assert set(inner) == {(True, True)}
    # a float path is seen
    assert (True, True) not in hidden(make(shape, 5, binarization="real", **options), shape)


@pytest.mark.parametrize(
    ("last", "expected"),
    [("binary", (True, True)), ("real_weights", (True, False)), ("real", (False, False))],
)
@pytest.mark.parametrize("first", ["binary", "real"])
def test_first_and_last_layer_as_wanted(first, last, expected):
    net = fcn2((1, 4, 4), 5, widths=(12, 12), first=first, last=last)
    found = hidden(net, (1, 4, 4))
    assert found == [(False, first == "binary"), (True, True), expected]


def test_a_real_last_layer_takes_activations_cut_off_at_one():
    with torch.random.fork_rng(), Products() as seen:
        torch.manual_seed(0)
        net = fcn2((1, 4, 4), 5, widths=(12,), last="real", dropout=0.5)
        net(10 * torch.rand(64, 1, 4, 4))
    given = seen.found[-1][0]
    assert given.abs().max() == 1
    assert given.unique().numel() > 10
    assert any(isinstance(m, nn.Dropout) for m in net.modules())


@pytest.mark.parametrize(("output", "kind"), [("norm", "BatchNorm1d"), ("scale", "OutputScale")])
def test_what_makes_logits(output, kind):
    net = fcn2((1, 4, 4), 5, widths=(12,), last="binary", output=output)
    assert type(net.layers[-1]).__name__ == kind
    plain = fcn2((1, 4, 4), 5, widths=(12,), last="binary")
    assert type(plain.layers[-1]).__name__ == "BinarizedLinear"


def test_pooling_and_strides_are_counted():
    net, shape = on_meta(
        BinarizedNet,
        (2, 13, 9),
        3,
        convolutions=[Convolution(4, 5, 2, 1, 2), Convolution(8)],
        widths=(7,),
    )
    assert shape == (2, 3)
    # 13x9 to 6x4, pooled to 3x2
    found = next(tuple(p.shape) for p in net.parameters() if p.ndim == 2)
    assert found == (7, 8 * 3 * 2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: fcn2(last="sign"), "last must be one of"),
        (lambda: fcn2(first="sign"), "first must be one of"),
        (lambda: fcn2(output="softmax"), "output must be one of"),
        (lambda: fcn2(binarization="ternary"), "binarization must be one of"),
        (lambda: BinarizedNet((1, 8, 8), 10), "got neither"),
        (lambda: binarynet_cifar((3, 4, 4), widths=(2,) * 6), "too small"),
        (lambda: binarynet_cifar(widths=(2, 2)), "must be 6 numbers"),
        (lambda: alexnet(widths="wide"), "widths must be one of"),
        (lambda: resnet20(last="none"), "last must be one of"),
    ],
)
def test_what_does_not_fit_is_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()
