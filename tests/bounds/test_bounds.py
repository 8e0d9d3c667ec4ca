"""Bounds hold on every corner of every box, are reached where they must be, and faults are seen."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from art_disc.bounds import LAYERS, boxes_of, crown, crown_ibp, trace
from art_disc.bounds.affine import Affine, Scale
from art_disc.bounds.linear import Bounds
from art_disc.bounds.maxima import Maxima
from art_disc.bounds.piecewise import Piecewise
from art_disc.bounds.smooth import Tanh
from art_disc.core.errors import CertificateError
from studies.random_networks import KINDS

SHAPE, NETS = (2, 5, 5), 100
EYE = torch.eye(3, dtype=torch.float64)[None]


def both_ends(bounds):
    return bounds.lower(EYE)[0], -bounds.lower(-EYE)[0]


def all_bounds(graph, low, high):
    """Ends of the output by each of the three ways."""
    with torch.no_grad():
        ibp = boxes_of(graph, low, high)[-1]
        return [
            (ibp[0][0], ibp[1][0]),
            both_ends(crown_ibp(graph, low, high)),
            both_ends(crown(graph, low, high)),
        ]


def worst(network, box, kind, nets=NETS):
    """By how much values of random networks leave their bounds, for each of the three ways."""
    found = []
    for seed in range(nets):
        net, (low, high, points) = network(kind, seed), box(seed)
        values = net(points)
        ends = all_bounds(trace(net, SHAPE, torch.float64), low, high)
        found.append([float(torch.maximum(a - values, values - b).max()) for a, b in ends])
    return torch.tensor(found).amax(dim=0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_of_a_network_leaves_its_bounds(network, box, kind):
    assert (worst(network, box, kind) < 1e-9).all()


def tilted(method, **factors):
    """Return a method whose lines have some numbers scaled, as a wrong slope or offset would."""

    def wrong(self, box):
        lines = method(self, box)
        return replace(lines, **{name: f * getattr(lines, name) for name, f in factors.items()})

    return wrong


@pytest.mark.parametrize("kind", ["relu", "leaky_relu", "hard_tanh"])
@pytest.mark.parametrize("line", ["lower", "upper"])
def test_a_wrong_slope_is_seen(monkeypatch, network, box, kind, line):
    factor = 1.05 if line == "lower" else 0.95
    monkeypatch.setattr(Piecewise, "lines", tilted(Piecewise.lines, **{line: factor}))
    assert (worst(network, box, kind, 20)[1:] > 1e-4).all()


def ends_in_tanh(_, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(50, 3), nn.Tanh())
    return net.to(torch.float64).requires_grad_(requires_grad=False)


def test_lines_around_tanh_that_are_one_per_cent_off_are_seen(monkeypatch, box):
    right = Tanh.lines
    assert (worst(ends_in_tanh, box, "", 20) < 1e-9).all()
    for name in ("upper", "upper_offset", "lower", "lower_offset"):
        over = []
        for factor in (0.99, 1.01):
            monkeypatch.setattr(Tanh, "lines", tilted(right, **{name: factor}))
            over.append(worst(ends_in_tanh, box, "", 20)[1:])
        # whichever sign an offset has, and on either side of 0
        assert (torch.stack(over) > 1e-6).all()
        assert (torch.stack(over).amax(dim=0) > 1e-3).all()


@pytest.mark.parametrize("option", ["beyond", "padding", "groups"])
def test_a_transposed_convolution_that_is_read_wrongly_is_seen(monkeypatch, option):
    right = LAYERS[nn.ConvTranspose2d]
    other = {
        "beyond": lambda step: replace(step, beyond=step.beyond[::-1]),
        "padding": lambda step: replace(
            step, options={**step.options, "padding": step.options["padding"][::-1]}
        ),
        "groups": lambda step: replace(step, weight=step.weight.flip(0)),
    }[option]
    monkeypatch.setitem(LAYERS, nn.ConvTranspose2d, lambda *given: [other(right(*given)[0])])
    layer = nn.ConvTranspose2d(2, 4, 3, 2, (1, 0), (1, 0), groups=2)
    with pytest.raises(CertificateError, match="do not compute"):
        trace(nn.Sequential(layer).eval(), SHAPE)


@pytest.mark.parametrize("factors", [{"upper": 0.95}, {"upper_offset": 0.95}, {"lower": 1.05}])
def test_a_wrong_relaxation_of_maxima_is_seen(monkeypatch, network, box, factors):
    monkeypatch.setattr(Maxima, "lines", tilted(Maxima.lines, **factors))
    assert (worst(network, box, "max_pool", 20)[1:] > 1e-4).all()


def test_ends_swapped_by_a_negative_factor_are_seen(monkeypatch, network, box):
    monkeypatch.setattr(Scale, "linear", lambda self, *v, absolute=False: v[0] * self.factor)
    assert worst(network, box, "batch_norm", 20)[0] > 1e-3


def test_boxes_one_per_cent_too_tight_are_seen(monkeypatch, box):
    whole = Affine.interval

    def narrow(self, *boxes):
        low, high = whole(self, *boxes)
        return low + 0.005 * (high - low), high - 0.005 * (high - low)

    net = nn.Sequential(nn.Flatten(), nn.Linear(50, 3)).to(torch.float64)
    (low, high, points), graph = box(0), trace(net, SHAPE, torch.float64)
    monkeypatch.setattr(Affine, "interval", narrow)
    least, most = boxes_of(graph, low, high)[-1]
    assert (net(points) < least - 1e-4).any()
    assert (net(points) > most + 1e-4).any()


def test_lines_one_per_cent_too_tight_are_seen(monkeypatch, network, box):
    whole = Bounds.lower

    def raised(self, rows, value=-1):
        before = self.boxes[0]
        self.boxes[0] = before[0] + 0.01 * (before[1] - before[0]), before[1]
        found = whole(self, rows, value)
        self.boxes[0] = before
        return found

    monkeypatch.setattr(Bounds, "lower", raised)
    assert (worst(network, box, "linear", 30)[1:] > 1e-5).all()


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Flatten(), nn.Linear(50, 7)],
        [nn.Conv2d(2, 4, 3, 2, 1, dilation=2, groups=2)],
        [nn.AvgPool2d(3, 2, 1, count_include_pad=False)],
        [nn.MaxPool2d(3, 2, 1)],
        [nn.Hardtanh(0.2, 0.8)],
        [nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, dilation=2, groups=2)],
        [nn.Tanh()],
    ],
)
def test_boxes_of_one_layer_are_the_least_there_are(box, layers):
    torch.manual_seed(0)
    net = nn.Sequential(*layers).eval().to(torch.float64)
    low, high, points = box(0)
    values = net(points)
    least, most = boxes_of(trace(net, SHAPE, torch.float64), low, high)[-1]
    assert torch.allclose(values.amin(dim=0), least[0])
    assert torch.allclose(values.amax(dim=0), most[0])


def test_boxes_of_crown_lie_within_those_of_ibp_and_prove_more(network, box):
    gains = []
    for seed in range(20):
        graph, (low, high, _) = trace(network("residual", seed), SHAPE, torch.float64), box(seed)
        ibp, by_crown = boxes_of(graph, low, high), crown(graph, low, high)
        for (a, b), (c, d) in zip(ibp, by_crown.boxes, strict=True):
            assert (c >= a - 1e-9).all()
            assert (d <= b + 1e-9).all()
        rows = [bounds.lower(EYE) for bounds in (crown_ibp(graph, low, high), by_crown)]
        gains.append([float((a - b).mean()) for a, b in ((rows[0], ibp[-1][0]), rows[::-1])])
    assert (torch.tensor(gains).mean(dim=0) > 1e-3).all()


def test_a_bound_has_the_gradient_of_its_box(network, box):
    graph, (low, high, _) = trace(network("max_pool", 3), SHAPE, torch.float64), box(3)
    low, high = low.requires_grad_(), high.requires_grad_()
    bound = crown_ibp(graph, low, high).lower(EYE)[0, 0]
    grads = torch.autograd.grad(bound, (low, high))
    place = (grads[0].abs() * (high > low)).flatten().argmax()
    step = torch.zeros(50, dtype=torch.float64)
    step[place] = 1e-6
    moved = crown_ibp(graph, low + step.view_as(low), high).lower(EYE)[0, 0]
    slope = float((moved - bound).detach()) / 1e-6
    assert slope == pytest.approx(float(grads[0].flatten()[place]), rel=1e-4)
    assert float(grads[0].abs().max()) > 1e-3
