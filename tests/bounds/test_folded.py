"""Factors multiplied into the layer before: the same function, boxes and gradients, fewer steps."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from art_disc.bounds import boxes_of, folded, live, trace
from art_disc.bounds.affine import Scale
from art_disc.bounds.piecewise import Piecewise
from art_disc.core.errors import InputError
from art_disc.networks import CertifiedNet
from studies.random_networks import KINDS

SHAPE = (2, 5, 5)


def entering(graph, boxes):
    return [boxes[taken[0]] for _, step, taken in graph if isinstance(step, Piecewise)]


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_boxes_of_activations_are_equal(kind, network, box):
    graph = trace(network(kind, 3), SHAPE, torch.float64)
    fewer = folded(graph)
    low, high, _ = box(3)
    torch.testing.assert_close(fewer(low), graph(low))
    boxes, others = boxes_of(graph, low, high), boxes_of(fewer, low, high)
    torch.testing.assert_close(others[-1], boxes[-1])
    torch.testing.assert_close(entering(fewer, others), entering(graph, boxes))
    assert [tuple(low.shape[1:]) for low, _ in others] == [tuple(s) for s in fewer.shapes]


@pytest.mark.parametrize("activation", ["relu", "ramp"])
def test_a_network_in_training_has_equal_gradients_and_no_factor_before_an_activation(activation):
    torch.manual_seed(0)
    options = {"size": "medium", "activation": activation}
    net = CertifiedNet((1, 8, 8), 4, **options).double().train()
    x = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    slopes = []
    for change in (lambda graph: graph, folded):
        graph, _ = live(net, x)
        graph = change(graph)
        low, high = boxes_of(graph, x - 0.05, x + 0.05)[-1]
        loss = (high - low).square().sum() + graph(x).square().sum()
        slopes.append(torch.autograd.grad(loss, list(net.parameters())))
    # a bias before normalisation has none but for rounding
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-7, atol=1e-5)
    kinds = [type(graph.steps[taken[0] - 1]) for _, step, taken in graph if _enters(step)]
    assert kinds
    assert Scale not in kinds


def _enters(step):
    return isinstance(step, Piecewise)


class Twice(nn.Module):
    """A convolution whose values are taken before and behind the normalisation."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.last = nn.Sequential(nn.Flatten(), nn.Linear(50, 3))

    def forward(self, x):
        x = self.first(x)
        return self.last(x + self.norm(x))


class EveryPixel(nn.Module):
    """A factor of its own for every pixel."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(50, 3)
        self.factor = torch.rand(2, 5, 5)

    def forward(self, x):
        return self.last((self.first(x) * self.factor).flatten(1))


def test_a_graph_that_charges_rounding_is_refused(network):
    graph = trace(network("batch_norm", 3), SHAPE, torch.float64)
    with pytest.raises(InputError, match="rigorous"):
        folded(replace(graph, rigorous=True))


@pytest.mark.parametrize("network", [Twice, EveryPixel])
def test_what_others_take_and_what_pixels_have_of_their_own_is_left(network):
    torch.manual_seed(0)
    net = network().double().eval()
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    graph = trace(net, SHAPE, torch.float64)
    assert [type(step) for step in folded(graph).steps] == [type(step) for step in graph.steps]


def test_several_factors_go_into_one_layer_and_a_number_is_one_of_every_channel():
    torch.manual_seed(0)

    class Factors(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Linear(50, 3, bias=False), nn.BatchNorm1d(3)

        def forward(self, x):
            return -(self.norm(self.first(x.flatten(1))) * 0.3 + 1)

    net = Factors().double().eval()
    nn.init.uniform_(net.norm.running_mean)
    graph = folded(trace(net, SHAPE, torch.float64))
    x = torch.rand(4, *SHAPE, dtype=torch.float64)
    assert len(graph.steps) == 2
    torch.testing.assert_close(graph(x), net(x))
