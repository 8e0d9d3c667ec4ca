"""What has no bounds is refused by its name; what has is computed as torch computes it."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from art_disc.bounds import LAYERS, trace
from art_disc.core.errors import CertificateError
from art_disc.networks import DigitsNet, MadryMnistNet, ResNet32
from studies.random_networks import KINDS

SHAPE = (2, 5, 5)


@pytest.mark.parametrize(
    ("network", "shape"),
    [(MadryMnistNet(), (1, 28, 28)), (DigitsNet(), (1, 8, 8)), (ResNet32(), (3, 32, 32))],
)
def test_the_packages_networks_have_bounds(network, shape):
    x = torch.rand(3, *shape)
    with torch.no_grad():
        assert torch.allclose(trace(network.eval(), shape)(x), network(x), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_computes_what_its_network_computes(network, kind):
    x = torch.randn(5, *SHAPE, dtype=torch.float64)
    for seed in range(10):
        net = network(kind, seed)
        assert torch.allclose(trace(net, SHAPE, torch.float64)(x), net(x))


class Calls(nn.Module):
    """A network around any function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Rectified(nn.Module):
    """A layer in place on whatever `given` makes of the values that `used` goes on to use."""

    def __init__(self, given, used):
        super().__init__()
        self.relu, self.flatten, self.identity = nn.ReLU(inplace=True), nn.Flatten(), nn.Identity()
        self.dropout = nn.Dropout()
        self.given, self.used = given, used

    def forward(self, x):
        h = x - 0.5
        return self.used(h, self.relu(self.given(self, h)))


def kept(h, step):
    """What a step leaves of a value, when the value goes by another name too."""
    keep = h
    step(h)
    return keep + 0.25


def added(x):
    h = x - 0.5
    keep = h
    h += functional.relu(x - 0.2)
    return h - keep


def of_its_own(name, value):
    layer = nn.Linear(5, 5)
    vars(layer)[name] = value
    return nn.Sequential(layer)


class Sized(nn.Module):
    """A layer that is told more than its input."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 2, 3, 2, 1)

    def forward(self, x):
        return self.up(x, output_size=(10, 10))


class Broadcast(nn.Module):
    """A sum of two values and one."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 1)

    def forward(self, x):
        return x + self.one(x)


def hooked():
    layer = nn.Linear(5, 5)
    layer.register_forward_hook(lambda module, args, result: result + 1)
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.Sigmoid()), "Sigmoid"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "circular"),
        (nn.BatchNorm2d(2).train(), "BatchNorm2d by the batch"),
        (nn.BatchNorm2d(2, track_running_stats=False), "BatchNorm2d by the batch"),
        (nn.Dropout().train(), "Dropout in training"),
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode=True"),
        (nn.AvgPool2d(2, ceil_mode=True), "ceil_mode=True"),
        (nn.AdaptiveAvgPool2d(2), "AdaptiveAvgPool2d"),
        (nn.LeakyReLU(-0.1), "negative_slope=-0.1"),
        (nn.Linear(5, 3), "Linear on images"),
        (hooked(), "Linear with hooks"),
        (Sized(), "ConvTranspose2d of several arguments"),
        (nn.Unflatten(0, (2, 2)), "leave the batch axis"),
        (Calls(torch.sigmoid), "sigmoid"),
        (Calls(lambda x: functional.leaky_relu(x, 0.1)), "leaky_relu"),
        (Calls(lambda x: x * x), "mul of what is not constant"),
        (Calls(lambda x: 1 / x), "truediv of what is not constant"),
        (Calls(lambda x: x.view(x.size(0), -1)), "size"),
        (Calls(lambda x: x if x.sum() > 0 else -x), "torch.fx cannot follow"),
        (Calls(lambda x: (x + 1, x)), "one tensor"),
        (Calls(lambda x: torch.add(x, x, alpha=2)), "add"),
        (Calls(lambda x: x + torch.ones(7, 1, 1, 1, 1)), "constant of shape"),
        (nn.Sequential(nn.Flatten(), nn.Linear(50, 2), Broadcast()), r"add of values of shapes"),
        (of_its_own("forward", lambda x: x), "Linear with a forward of its own"),
        (of_its_own("_call_impl", lambda x: x), "Linear with a _call_impl of its own"),
        (of_its_own("_compiled_call_impl", lambda x: x), "Linear with a _compiled_call_impl of"),
        (Calls(lambda x: kept(x - 0.5, lambda h: h.clamp_(min=0))), "clamp_"),
        (Calls(lambda x: kept(x - 0.5, torch.relu_)), "relu_"),
        (Calls(lambda x: kept(x - 0.5, lambda h: h.relu_())), "relu_"),
        (Calls(lambda x: kept(x - 0.5, lambda h: functional.relu(h, True))), "relu in place"),
        (Calls(lambda x: kept(x - 0.5, lambda h: torch.add(h, h, out=h))), "add"),
        (Calls(lambda x: functional.relu(x, inplace=True)), "relu in place"),
        (Calls(added), "iadd in place"),
        (Rectified(lambda net, h: h, lambda h, r: h), "relu in place"),
        (Rectified(lambda net, h: h, lambda h, r: h + r), "relu in place"),
        (Rectified(lambda net, h: h.flatten(1), lambda h, r: h), "relu in place"),
        (Rectified(lambda net, h: net.flatten(h), lambda h, r: h), "relu in place"),
        (Rectified(lambda net, h: net.identity(h), lambda h, r: h), "relu in place"),
        (Rectified(lambda net, h: net.dropout(h), lambda h, r: h), "relu in place"),
    ],
)
def test_what_has_no_bounds_is_refused_by_name(network, name):
    if "train" not in name and "batch" not in name:
        network.eval()
    with pytest.raises(CertificateError, match=f"no bounds for .*{name}"):
        trace(network, SHAPE)


class Residual(nn.Module):
    """A block as in torchvision, with steps in place on what nothing else reads."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.relu, self.last = nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        identity = x
        out = self.relu(self.norm(self.conv(x)))
        out = self.last(out)
        out += identity
        unused = torch.relu(out - 1)  # noqa: F841
        return self.relu(out)


def test_steps_in_place_on_what_nothing_else_reads_have_bounds():
    net = nn.Sequential(Residual(), Residual(), nn.Flatten(), nn.Linear(50, 3), nn.ReLU(True))
    net.eval().to(torch.float64)
    x = torch.rand(5, *SHAPE, dtype=torch.float64)
    assert torch.allclose(trace(net, SHAPE, torch.float64)(x), net(x))


def test_what_is_traced_is_what_runs_without_gradients():
    net = Calls(lambda x: torch.relu(x - 0.5) + (x if torch.is_grad_enabled() else 0))
    x = torch.rand(5, *SHAPE)
    assert torch.allclose(trace(net, SHAPE)(x), torch.relu(x - 0.5))


@pytest.mark.parametrize(
    ("kind", "layer", "wrong"),
    [
        ("leaky_relu", nn.LeakyReLU, nn.LeakyReLU(0.3)),
        ("hard_tanh", nn.Hardtanh, nn.Hardtanh(-2, 2)),
        ("average_pool", nn.AvgPool2d, nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    ],
)
def test_a_layer_that_is_read_wrongly_is_seen(monkeypatch, network, kind, layer, wrong):
    right = LAYERS[layer]
    monkeypatch.setitem(LAYERS, layer, lambda module, shape: right(wrong, shape))
    net = nn.Sequential(nn.Conv2d(2, 2, 2), nn.AvgPool2d(3, 1, 1)) if kind == "average_pool" else 0
    net = (net or network(kind, 0)).eval()
    with pytest.raises(CertificateError, match="do not compute"):
        trace(net, SHAPE)


def test_tracing_leaves_the_network_alone():
    net = ResNet32().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    trace(net, (3, 32, 32))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert next(net.parameters()).dtype == torch.float32
