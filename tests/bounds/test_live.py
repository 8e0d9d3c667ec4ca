"""Bounds of a network in training: those of its trace, with gradients of its weights."""

import copy

import pytest
import torch
from torch import nn

from art_disc.bounds import boxes_of, interval_margins, live, margin_rows, trace
from art_disc.bounds.trace import follow
from art_disc.core.errors import CertificateError
from art_disc.networks import CertifiedNet, ParametrisedRamp
from studies.random_networks import KINDS

SHAPE = (2, 5, 5)


def certified_net(activation="relu", *, batch_norm=True):
    torch.manual_seed(1)
    options = {"size": "small", "batch_norm": batch_norm, "activation": activation}
    return CertifiedNet((1, 8, 8), 4, **options).double()


def images(n=6):
    x = torch.rand(n, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return x, (x - 0.05), (x + 0.05), torch.arange(n) % 4


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_of_a_live_network_are_those_of_its_trace(kind, network, box):
    net = network(kind, 3)
    low, high, _ = box(3)
    found, logits = live(net, low)
    assert torch.allclose(logits, net(low))
    expected = boxes_of(trace(net, SHAPE, torch.float64), low, high)
    for made, other in zip(boxes_of(found, low, high), expected, strict=True):
        assert torch.equal(made[0], other[0])
        assert torch.equal(made[1], other[1])


@pytest.mark.parametrize(
    "net",
    [certified_net(), certified_net("ramp"), certified_net(batch_norm=False)],
    ids=["relu", "ramp", "no batch norm"],
)
def test_gradients_of_margins_are_those_of_finite_differences(net):
    net = copy.deepcopy(net).train()
    x, low, high, y = images()

    def least():
        graph, logits = live(net, x)
        return interval_margins(graph, low, high, margin_rows(y, 4).double()).sum() + logits.sum()

    parameters = dict(net.named_parameters())
    slopes = torch.autograd.grad(least(), list(parameters.values()))
    generator = torch.Generator().manual_seed(0)
    for (name, parameter), slope in zip(parameters.items(), slopes, strict=True):
        way = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        ends = []
        for step in (1e-7, -1e-7):
            with torch.no_grad():
                parameter.add_(way, alpha=step)
                ends.append(least())
                parameter.sub_(way, alpha=step)
        expected = (ends[0] - ends[1]) / 2e-7
        assert float((slope * way).sum()) == pytest.approx(float(expected), rel=1e-5, abs=1e-5), (
            name
        )


def test_batch_normalisation_in_training_works_by_the_statistics_of_the_clean_images():
    net, other = certified_net().train(), certified_net().train()
    x, low, _, _ = images()
    graph, logits = live(net, x)
    # in every layer the running statistics are those of one forward of torch
    assert torch.allclose(logits, other(x), atol=1e-12)
    for (name, buffer), (_, expected) in zip(
        net.named_buffers(), other.named_buffers(), strict=True
    ):
        assert torch.allclose(buffer, expected), name
    first = net.layers[0](x)
    scale = graph.steps[1]
    deviation = first.var(dim=(0, 2, 3), correction=0).add(1e-5).sqrt()
    assert torch.allclose(scale.factor.flatten(), 1 / deviation)
    assert torch.allclose(scale.offset.flatten(), -first.mean(dim=(0, 2, 3)) / deviation)
    # other images have other statistics, which the graph does not take
    assert float((graph(2 * low) - other(2 * low)).detach().abs().max()) > 1e-2


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.by = nn.Flatten(), nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.by * self.inner(x)


@pytest.mark.parametrize(
    ("net", "text"),
    [
        (nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 2)), r"Dropout in training"),
        (Learned(), r"the parameter .*by in training; put it into a layer"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Softplus()), "no bounds for Softplus"),
    ],
)
def test_what_could_not_be_trained_rightly_is_refused(net, text):
    with pytest.raises(CertificateError, match=text):
        live(net.double().train(), images()[0])


class Scaled(nn.Module):
    """A number of its own, beside a layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("factor", torch.ones(()))

    def forward(self, x):
        return self.layer(x * self.factor)


def test_a_constant_that_changed_is_read_again():
    net, x = Scaled().double(), torch.rand(4, 3).double()
    read = follow(net, (3,), training=True)
    net.factor.fill_(-2)
    graph, logits = live(net, x, read)
    assert torch.allclose(logits, net(x))
    assert torch.allclose(graph(x), net(x))


def test_a_layer_that_was_exchanged_is_refused():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    read = follow(net, (3,), training=True)
    net[1] = ParametrisedRamp((4,))
    with pytest.raises(CertificateError, match="exchanged"):
        live(net, torch.rand(5, 3), read)


def test_a_graph_does_not_change_with_what_it_was_read_from():
    factor = torch.ones((), dtype=torch.float64)

    class Outside(nn.Module):
        def forward(self, x):
            return x * factor

    x = torch.rand(4, 3).double()
    graph = trace(Outside(), (3,), torch.float64)
    factor.fill_(7)
    assert torch.equal(graph(x), x)
