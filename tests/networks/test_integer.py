"""Networks of whole numbers against networks of floats, by hand, and by fractions."""

import itertools
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.core.errors import CertificateError
from art_disc.networks import (
    BinarizedConv2d,
    BinarizedLinear,
    BinarizedNet,
    Convolution,
    RandomConnections,
)
from art_disc.networks.integer import IntegerNetwork, Sums, integer_network
from art_disc.networks.integer.crossing import _ceil
from tests.certificates.sign_networks import KINDS, network_of, shaken

LEVELS = np.array([[0.0], [100.0], [180.0], [255.0]])


def images(shape, count=200, levels=LEVELS, seed=0):
    drawn = np.random.default_rng(seed)
    return torch.from_numpy(drawn.choice(levels.reshape(-1), (count, *shape)) / 255).float()


def logits_alike(network, whole, x, given=None):
    """Return the share of images whose float logits are those in whole numbers, but for float.

    Numbers are rounded by the size of the largest weight: an image's own logits may cancel out.
    """
    with torch.no_grad():
        floats = network.double()((x if given is None else given).double())
        network.float()
        made = whole.logits(whole.levels(x)) / 2.0**whole.fractions
        near = (floats - made).abs().amax(dim=1) <= 1e-4 * floats.abs().amax()
    return near.double().mean()


def test_the_least_whole_number_beyond_a_root_is_exact():
    getcontext().prec = 60
    drawn = np.random.default_rng(0)
    for _ in range(500):
        p, e = (Fraction(int(drawn.integers(-99, 99)), int(drawn.integers(1, 9))) for _ in range(2))
        v = Fraction(int(drawn.integers(1, 50)), int(drawn.integers(1, 5)))
        root = (Decimal(v.numerator) / v.denominator).sqrt()
        value = Decimal(p.numerator) / p.denominator + Decimal(e.numerator) / e.denominator * root
        expected = value.to_integral_value(rounding="ROUND_CEILING")
        if abs(value - value.to_integral_value()) > Decimal(10) ** -40:
            assert _ceil(p, e, v) == expected
    # where a root is whole the number itself is reached
    for sign, start in itertools.product((1, -1), range(-3, 4)):
        assert _ceil(Fraction(start), Fraction(sign * 3), Fraction(4)) == start + 6 * sign


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_float_network(kind, standardised):
    for seed in range(3):
        shape = (1, 6, 6) if "conv" in kind or kind == "pooled" else (1, 3, 4)
        by = (torch.tensor([[[0.3]]]), torch.tensor([[[0.4]]])) if standardised else None
        network = network_of(kind, seed, shape, by=by or (0.0, 1.0))
        whole = integer_network(network, shape, LEVELS, standardisation=by)
        x = images(shape)
        given = x if by is None else (x - by[0]) / by[1]
        assert logits_alike(network, whole, x, given) > 0.99


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_colours_of_different_deviations(upper):
    shape, drawn = (3, 4, 4), torch.Generator().manual_seed(0)
    by = [torch.rand(3, 1, 1, generator=drawn) + at for at in (0.0, 0.2)]
    torch.manual_seed(0)
    dense = shaken(BinarizedNet(shape, 3, widths=(9,)), 0, shape)
    conv = shaken(BinarizedNet(shape, 3, convolutions=[Convolution(4)], widths=(6,)), 1, shape)
    x = images(shape)
    for network in (dense, conv):
        scaled = tuple(upper * each for each in by)
        whole = integer_network(network, shape, LEVELS, upper=upper, standardisation=scaled)
        given = (x - by[0]) / by[1]
        assert logits_alike(network, whole, upper * x, given) > 0.97


def test_a_layer_by_hand():
    # two units of (L0 - L1) and (-L0 - L1): gain 2 from sum 10 on, gain -1 up to sum -100
    network = nn.Sequential(
        nn.Flatten(),
        BinarizedLinear(2, 2, bias=False, binarization="binary_weights"),
        nn.BatchNorm1d(2, eps=0.0),
        BinarizedLinear(2, 2, bias=False),
    ).eval()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[0.3, -0.2], [-0.1, -1.0]]))
        network[2].running_mean.copy_(torch.tensor([10.0, -100.0]) / 256)
        network[2].weight.copy_(torch.tensor([2.0, -1.0]))
        network[3].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    # levels of 255 / 256 of a unit, so that the sums are those of the mean's unit
    whole = integer_network(network, (1, 1, 2), LEVELS, upper=1.0)
    first = whole.layers[0]
    # sum of levels >= 10 * 255 / 256 = 9.96; the other is turned: L0 + L1 >= 99.6
    assert first.thresholds.tolist() == [10.0, 100.0]
    assert first.sums.weight.tolist() == [[1.0, -1.0], [1.0, 1.0]]
    signs = first(torch.tensor([[10.0, 0.0], [9.0, 0.0], [100.0, 0.0], [0.0, 99.0]]).double())
    assert signs.tolist() == [[1, -1], [-1, -1], [1, 1], [-1, -1]]
    assert whole.logits(torch.tensor([[100.0, 0.0]]).double()).tolist() == [[2.0, 0.0]]


def test_equal_logits_are_ordered_as_argmax_takes_them_in_float32_too():
    sums = Sums(torch.tensor([[2.0**30], [2.0**30], [1.0]]), (1,))
    whole = IntegerNetwork([], sums, torch.zeros(3), upper=1.0, steps=1, fractions=20)
    scores = whole(torch.full((1, 1), 200 / 255)).float()
    assert scores.argmax() == 0
    assert scores[0, 0] == 0 > scores[0, 1] > scores[0, 2]


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": 1},
        {"padding": (2, 0), "dilation": (1, 2)},
        {"groups": 2, "padding": "valid"},
    ],
)
def test_a_convolution_is_its_matrix(options):
    network = nn.Sequential(
        BinarizedConv2d(2, 4, 3, bias=False, binarization="binary_weights", **options),
        nn.MaxPool2d(3, 2, padding=1),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        BinarizedLinear(4 * 4 * 4 if "stride" in options else 1, 3),
    )
    side = network[:3](torch.zeros(2, 2, 9, 8)).flatten(1).shape[1]
    network[4] = BinarizedLinear(side, 3)
    whole = integer_network(shaken(network, 0, (2, 9, 8)), (2, 9, 8), LEVELS)
    x = images((2, 9, 8))
    assert logits_alike(network, whole, x) > 0.97
    layer = whole.layers[0]
    levels = whole.levels(x)
    sums = layer.sums(levels).flatten(1).numpy()
    assert (sums == (layer.sums.matrix() @ levels.flatten(1).numpy().T).T).all()
    true = np.pad(sums >= layer.thresholds.numpy().reshape(-1), ((0, 0), (0, 1)))
    pooled = true[:, layer.windows()].any(axis=2)
    signs = layer(levels) * layer.turns.reshape(-1, 1, 1)
    assert (np.where(pooled, 1, -1) == signs.flatten(1).numpy()).all()


def test_weights_of_zero_are_no_term():
    two = RandomConnections(2)
    network = nn.Sequential(
        nn.Flatten(),
        BinarizedLinear(4, 3, False, binarization="binary_weights", connections=two),
        nn.BatchNorm1d(3),
        BinarizedLinear(3, 2),
    )
    whole = integer_network(shaken(network, 1, (1, 2, 2)), (1, 2, 2), LEVELS)
    assert whole.layers[0].sums.matrix().nnz == 2 * 3
    assert logits_alike(network, whole, images((1, 2, 2))) > 0.99


def test_gradients_go_through_signs_and_levels():
    whole = integer_network(network_of("dense", 1), (1, 3, 4), LEVELS)
    x = images((1, 3, 4)).requires_grad_()
    (slope,) = torch.autograd.grad(whole(x).var(dim=1).sum(), x)
    assert slope.isfinite().all()
    assert (slope != 0).any()


def test_codewords_between_levels_are_read_in_parts_of_them():
    network = network_of("dense", 0)
    halves = integer_network(network, (1, 3, 4), np.array([10.5, 99.75]))
    assert halves.steps == 4
    assert integer_network(network, (1, 3, 4), np.array([10.1234, 99.75])).steps == 256
    x = images((1, 3, 4), levels=np.array([10.5, 99.75]))
    assert set(halves.levels(x).unique().tolist()) == {42.0, 399.0}
    assert logits_alike(network, halves, x) > 0.99


def test_sums_that_float64_could_round_are_refused():
    with pytest.raises(CertificateError, match="float64 adds whole numbers below"):
        IntegerNetwork(
            [],
            Sums(torch.full((2, 4), 2.0**45), (4,)),
            torch.zeros(2),
            upper=1.0,
            steps=1,
            fractions=0,
        )


def chain(*behind):
    first = BinarizedLinear(4, 3, binarization="binary_weights")
    return nn.Sequential(nn.Flatten(), first, *behind)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = BinarizedLinear(4, 4)

    def forward(self, x):
        return x.flatten(1) + self.layer(x.flatten(1))


class OwnForward(BinarizedLinear):
    def forward(self, x):
        return super().forward(x) ** 2


LAST = BinarizedLinear(3, 2)


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (chain(nn.BatchNorm1d(3), nn.BatchNorm1d(3), LAST), "BatchNorm1d|Norm behind another"),
        (chain(nn.ReLU(), LAST), "ReLU"),
        (chain(nn.Hardtanh(0.0, 1.0), LAST), "may change a sign"),
        (chain(nn.Hardtanh(), nn.BatchNorm1d(3), LAST), "BatchNorm1d"),
        (chain(LAST, nn.Hardtanh()), "cuts its logits off"),
        (chain(BinarizedLinear(3, 2, binarization="xnor_k")), "on scaled inputs"),
        (chain(OwnForward(3, 2)), "a forward of its own"),
        (chain(nn.BatchNorm1d(3, track_running_stats=False), LAST), "the batch's statistics"),
        (nn.Sequential(nn.Flatten(), LAST), "on binary inputs"),
        (Residual(), "in forward|on binary inputs"),
        (nn.Sequential(nn.ReLU(), *chain(LAST)), "before the first layer"),
    ],
)
def test_what_is_not_read_is_refused_by_name(network, word):
    with pytest.raises(CertificateError, match=word):
        integer_network(network.eval(), (1, 2, 2), LEVELS)


def test_a_network_of_nan_is_refused():
    network = network_of("dense", 0)
    network.layers[2].running_mean.data[0] = torch.nan
    with pytest.raises(CertificateError, match="NaN"):
        integer_network(network, (1, 3, 4), LEVELS)
