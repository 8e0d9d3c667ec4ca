"""A rounded network computes without rounding, and nothing of its bounds is lost to it."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from art_disc.bounds import RoundedNetwork, boxes_of, crown, crown_ibp, linear, reduced, trace
from art_disc.bounds.convolutions import Convolution
from art_disc.bounds.graph import Graph
from art_disc.bounds.rounded import PatchConvolution
from art_disc.core.errors import CertificateError
from studies.random_networks import INEXACT, KINDS, Standardised, make_network
from tests.bounds.conftest import make_box

SHAPE = (2, 5, 5)
EXACT = [kind for kind in KINDS if kind not in INEXACT]
EYE = torch.eye(3, dtype=torch.float64)[None]


def rounded(kind, seed, bits=6):
    graph = trace(make_network(kind, seed), SHAPE, torch.float64)
    low, high = torch.zeros(SHAPE, dtype=torch.float64), torch.full(SHAPE, 2.5).double()
    return RoundedNetwork(graph, low, high, bits)


def short_box(net, seed):
    low, high, points = (net.entry(part) for part in make_box(seed))
    return low, high, torch.maximum(torch.minimum(points, high), low)


@pytest.mark.parametrize("kind", EXACT)
def test_linear_bounds_hold_to_the_last_bit(kind):
    for seed in range(8):
        net = rounded(kind, seed)
        low, high, points = short_box(net, seed)
        values = net.graph(points)
        for make in (crown_ibp, crown):
            bounds = make(net.graph, low, high)
            assert (bounds.lower(EYE)[0] <= values).all()
            assert (-bounds.lower(-EYE)[0] >= values).all()
            for (a, b), (c, d) in zip(bounds.boxes, boxes_of(net.graph, low, high), strict=True):
                assert (a >= c - 1e-9).all()
                assert (b <= d + 1e-9).all()


def test_rounding_that_is_not_charged_is_seen(monkeypatch):
    monkeypatch.setattr(linear, "relative_error", lambda graph, terms: 0.0)
    over = []
    for seed in range(20):
        net = rounded("residual", seed)
        low, _, _ = short_box(net, seed)
        # on a point a bound is the value itself
        bounds = crown(net.graph, low, low)
        over.append((bounds.lower(EYE)[0] - net.graph(low)).max())
        over.append((bounds.lower(-EYE)[0] + net.graph(low)).max())
    high = [make_bound_over(seed) for seed in range(60)]
    assert max(float(o) for o in over + high) > 0


def make_bound_over(seed):
    net = rounded("hard_tanh", seed)
    low, high, points = short_box(net, seed)
    bounds = crown_ibp(net.graph, low, high)
    # the bound of one layer of lines is reached at a corner
    return (bounds.lower(EYE)[0] - net.graph(points).amin(dim=0)).max()


@pytest.mark.parametrize("kind", EXACT)
def test_values_and_boxes_are_the_same_in_any_order(kind):
    for seed in range(3):
        net = rounded(kind, seed)
        low, high, points = short_box(net, seed)
        whole = net.graph(points)
        single = torch.cat([net.graph(point[None]) for point in points[:9]])
        assert torch.equal(whole[:9], single)
        small = reduced(net.graph, boxes_of(net.graph, low, high))
        assert torch.equal(small.graph(points.flatten(1)[:, small.free]), whole)
        assert small.graph.rigorous
        for a, b in zip(
            boxes_of(net.graph, low, high), boxes_of(unpatched(net.graph), low, high), strict=True
        ):
            assert torch.equal(a[0], b[0])
            assert torch.equal(a[1], b[1])


def unpatched(graph):
    """The same graph with torch's own convolutions, which sum in another order."""
    steps = tuple(
        Convolution(s.weight, s.offset, s.options, s.shape) if isinstance(s, Convolution) else s
        for s in graph.steps
    )
    return Graph(steps, graph.inputs, graph.shapes)


def test_values_are_those_of_fractions():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.LeakyReLU(0.1), nn.Linear(9, 4))
    plain[1].running_var += torch.rand(9)
    graph = trace(plain.eval(), (6,), torch.float64)
    net = RoundedNetwork(graph, torch.zeros(6).double(), torch.ones(6).double(), bits=10)
    x = net.entry(torch.rand(5, 6))
    dense, _, leaky, last = net.graph.steps
    assert leaky.slope == round(0.1 * 1024) / 1024
    for row, found in zip(x.tolist(), net.graph(x).tolist(), strict=True):
        values = [Fraction(v) for v in row]
        for step in (dense, last):
            weights, offsets = step.weights[0].tolist(), step.offset.tolist()
            values = [
                sum((Fraction(w) * v for w, v in zip(line, values, strict=True)), Fraction(b))
                for line, b in zip(weights, offsets, strict=True)
            ]
            if step is dense:
                values = [v if v > 0 else v * Fraction(leaky.slope) for v in values]
        assert [Fraction(v) for v in found] == values


def test_factors_are_folded_before_they_are_rounded():
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 4),
    )
    net[1].running_var *= 1e-4
    net[5].weight.data *= 25
    graph = trace(net.eval(), SHAPE, torch.float64)
    zero, one = torch.zeros(SHAPE).double(), torch.ones(SHAPE).double()
    short = RoundedNetwork(graph, zero, one, bits=8)
    # 1 / 25 would be off by 2 % if it were rounded itself
    assert torch.equal(short.graph.steps[3].weight, torch.ones(3, 1, 5, 5).double())
    x = torch.rand(20, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        expected = graph(x)
        assert torch.allclose(short.graph(short.entry(x)), expected, rtol=0.02, atol=2)
        assert float((short.graph(short.entry(x)) - expected).abs().max()) > 0


def test_standardisation_is_part_of_what_codewords_are_rounded_behind():
    net = Standardised(nn.Conv2d(2, 2, 3)).eval()
    graph = trace(nn.Sequential(net, nn.Flatten(), nn.Linear(18, 3)), SHAPE, torch.float64)
    short = RoundedNetwork(graph, torch.zeros(SHAPE).double(), torch.ones(SHAPE).double(), bits=5)
    x = torch.rand(4, *SHAPE)
    entered = short.entry(x)
    assert torch.equal(entered * 32, (entered * 32).round())
    places = torch.tensor([3, 30, 49])
    assert torch.equal(short.entry(x.flatten(1)[:, places], places), entered.flatten(1)[:, places])


def test_scores_are_lowered_by_the_largest_and_have_gradients():
    net = rounded("relu", 0)
    x = torch.rand(6, *SHAPE, requires_grad=True)
    scores = net(x)
    logits = net.graph(net.entry(x))
    assert torch.equal(scores, logits - logits.amax(dim=1, keepdim=True))
    scores[:, 0].sum().backward()
    assert float(x.grad.abs().max()) > 0
    assert len(net.state_dict()) > 4


@pytest.mark.parametrize("bits", [6, 20])
def test_more_bits_than_float64_has_are_refused(bits):
    if bits == 6:
        assert rounded("residual", 0, bits).bits == 6
        return
    with pytest.raises(CertificateError, match=r"needs \d+ bits, exact sums in float64 have 52"):
        rounded("residual", 0, bits)


def test_a_constant_of_columns_is_not_taken_for_one_of_channels():
    class Columns(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, SHAPE[2], 3, padding=1)
            self.head = nn.Linear(SHAPE[2] * SHAPE[1] * SHAPE[2], 3)
            self.register_buffer("columns", torch.arange(1.0, 1 + SHAPE[2]))

        def forward(self, x):
            return self.head((self.conv(x) * self.columns).flatten(1))

    torch.manual_seed(0)
    graph = trace(Columns().eval(), SHAPE, torch.float64)
    short = RoundedNetwork(graph, torch.zeros(SHAPE).double(), torch.ones(SHAPE).double(), bits=8)
    x = torch.rand(4, *SHAPE).double()
    with torch.no_grad():
        assert torch.allclose(short.graph(short.entry(x)), graph(x), atol=0.3)


def test_a_convolution_takes_no_rows_as_well():
    step = next(s for s in rounded("relu", 0).graph.steps if isinstance(s, PatchConvolution))
    out = step.linear(torch.zeros(1, *step.shape).double())[0].shape
    assert step.linear(torch.zeros(0, *step.shape).double()).shape == (0, *out)
    assert step.pull(torch.zeros(0, *out).double())[0].shape == (0, *step.shape)


@pytest.mark.parametrize("kind", INEXACT)
def test_what_has_no_exact_arithmetic_is_refused(kind):
    with pytest.raises(CertificateError, match=r"no exact arithmetic for T.*arithmetic='float'"):
        rounded(kind, 0)
