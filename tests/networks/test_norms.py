import copy

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.networks import norm_bound
from art_disc.networks.norms import contract, release


def matrix_of(layer, shape):
    """The layer's matrix, bias apart, for inputs of a shape."""
    size = int(np.prod(shape))
    with torch.no_grad():
        made = layer(torch.eye(size).view(size, *shape)) - layer(torch.zeros(1, *shape))
    return made.flatten(1).T.to(torch.float64)


def norm_of(layer, shape):
    return float(torch.linalg.matrix_norm(matrix_of(layer, shape), ord=2))


LAYERS = {
    "linear": lambda: (nn.Linear(12, 7), (12,)),
    "wide": lambda: (nn.Linear(5, 9), (5,)),
    "convolution": lambda: (nn.Conv2d(2, 3, 3, padding=1), (2, 9, 8)),
    "strided": lambda: (nn.Conv2d(2, 4, 3, 2, 1), (2, 9, 8)),
    "one pixel": lambda: (nn.Conv2d(3, 2, 3, padding=1), (3, 1, 1)),
    "far strides": lambda: (nn.Conv2d(1, 2, 4, 3), (1, 10, 10)),
    "one row": lambda: (nn.Linear(6, 1), (6,)),
}


def make(name, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LAYERS[name]()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LAYERS)
def test_no_layer_stretches_more_than_its_bound(name, seed):
    layer, shape = make(name, seed)
    assert norm_of(layer, shape) <= norm_bound(layer) * (1 + 1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_in_l_inf_it_is_the_largest_absolute_sum_of_a_row(name):
    layer, shape = make(name, 1)
    reached, bound = (
        float(matrix_of(layer, shape).abs().sum(dim=1).max()),
        norm_bound(layer, np.inf),
    )
    assert reached <= bound * (1 + 1e-6)
    if name != "one pixel":
        assert bound == pytest.approx(reached, rel=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_layer_of_one_output_has_the_bound_that_it_reaches(stride):
    # all of one sign: the magnitudes are the Gram matrix itself, and wide images come near to it
    layer = nn.Conv2d(1, 1, 3, stride, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 1] = torch.tensor([0.3, 1.0, 0.7])
    reached, bound = norm_of(layer, (1, 1, 90)), norm_bound(layer)
    assert reached <= bound * (1 + 1e-6)
    assert bound <= 1.01 * reached


def stretch_of(layer, frequency):
    """How far a convolution of the plane stretches waves of a frequency, block by block."""
    stride, size = layer.stride[0], layer.weight.shape[2]
    symbol = np.zeros((layer.out_channels, layer.in_channels, stride, stride), dtype=complex)
    for i, j in np.ndindex(size, size):
        wave = np.exp(1j * (frequency[0] * (i // stride) + frequency[1] * (j // stride)))
        symbol[:, :, i % stride, j % stride] += layer.weight.detach().numpy()[:, :, i, j] * wave
    return np.linalg.norm(symbol.reshape(layer.out_channels, -1), ord=2)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 3, 4])
def test_a_convolution_has_the_bound_of_the_wave_that_it_stretches_most(size, stride):
    with torch.random.fork_rng():
        torch.manual_seed(size + 10 * stride)
        layer = nn.Conv2d(2, 3, size, stride).double()
    line = np.linspace(0, 2 * np.pi, 61)
    most = max(stretch_of(layer, (a, b)) for a in line for b in line)
    assert most <= norm_bound(layer) <= 1.006 * most


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_wave_between_the_frequencies_looked_at_is_within_the_bound(size):
    # half way between two of them, where a grid sees least
    between = np.pi / (24 * (size - 1))
    layer = nn.Conv2d(2, 2, size, padding=1, bias=False).double()
    taps = np.arange(size)
    wave = np.exp(-1j * between * (taps[:, None] + taps[None]))
    with torch.no_grad():
        # complex taps, of the real and the imaginary part of a wave
        rows = [[wave.real, -wave.imag], [wave.imag, wave.real]]
        layer.weight.copy_(torch.from_numpy(np.array(rows)))
    most = stretch_of(layer, (between, between))
    on_the_grid = max(
        stretch_of(layer, (2 * between * i, 2 * between * j)) for i in range(2) for j in range(2)
    )
    assert most == pytest.approx(size**2)
    assert on_the_grid < most * (1 - 1e-4)
    assert most <= norm_bound(layer)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_orthogonal_rows_have_their_length(scale):
    layer = nn.Linear(8, 5)
    nn.init.orthogonal_(layer.weight, scale)
    assert norm_bound(layer) == pytest.approx(scale, rel=1e-4)
    # a row that is dead, and one that is nearly so, loosen nothing
    with torch.no_grad():
        layer.weight[0] = 0
        layer.weight[1] *= 1e-9
    assert norm_bound(layer) == pytest.approx(scale, rel=1e-3)


def test_a_layer_of_zeros_has_no_norm_to_speak_of():
    layer = nn.Linear(4, 3)
    nn.init.zeros_(layer.weight)
    assert 0 <= norm_bound(layer) < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"dilation": 2}, {"stride": (2, 1)}, {"stride": (1, 2)}, {"groups": 2},
        {"kernel_size": (3, 2)}, {"padding": 1, "padding_mode": "circular"},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_proof_covers_has_no_bound(options):
    assert norm_bound(nn.Conv2d(2, 2, **{"kernel_size": 3, **options})) == np.inf


@pytest.mark.parametrize("layer", [nn.Linear(3, 2), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3)])
@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize("order", [2, np.inf])
def test_weights_that_are_no_numbers_have_no_bound(layer, odd, order):
    layer = copy.deepcopy(layer)
    with torch.no_grad():
        layer.weight.view(-1)[1] = odd
    assert norm_bound(layer, order) == np.inf


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e150])
def test_very_small_and_very_large_weights_are_as_others(scale):
    for layer in (make("linear", 0)[0].double(), make("strided", 0)[0].double()):
        bound = norm_bound(layer)
        with torch.no_grad():
            layer.weight *= scale
        assert norm_bound(layer) == pytest.approx(scale * bound)


@pytest.mark.parametrize("norm", [1.0, 0.1])
@pytest.mark.parametrize("name", LAYERS)
def test_a_contracted_layer_stays_within_its_norm_whatever_is_learned(name, norm):
    layer, shape = make(name, 4)
    # it would grow without end
    layer.bias = None
    contract(layer, norm)
    step = torch.optim.SGD(layer.parameters(), lr=5.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.randn(6, *shape)
    lengths = []
    for _ in range(20):
        step.zero_grad()
        # it is asked to stretch
        (-layer(x).square().sum()).backward()
        step.step()
        lengths.append(norm_of(layer, shape))
    assert max(lengths) <= norm * (1 + 1e-5)
    # and it is not merely small
    assert lengths[-1] > 0.5 * norm
    before = layer(x).detach()
    release(nn.Sequential(layer))
    assert type(layer) in (nn.Linear, nn.Conv2d)
    assert torch.allclose(layer(x), before, rtol=1e-4, atol=1e-5)
    assert norm_bound(layer) <= norm


@pytest.mark.parametrize("take", [norm_bound, lambda layer, order: contract(layer, 1.0, order)])
def test_another_order_is_refused(take):
    layer = nn.Linear(3, 2)
    with pytest.raises(InputError, match=r"order must be one of 2, inf, got 1"):
        take(layer, 1)
    assert type(layer) is nn.Linear


@pytest.mark.parametrize("norm", [1.0, 0.1])
def test_rows_keep_their_absolute_sum_whatever_is_learned(norm):
    layer = nn.Linear(9, 4, bias=False)
    contract(layer, norm, np.inf)
    step = torch.optim.SGD(layer.parameters(), lr=5.0)
    generator = torch.Generator().manual_seed(0)
    first = layer.weight.detach().clone()
    for _ in range(20):
        step.zero_grad()
        (-layer(torch.randn(6, 9, generator=generator)).square().sum()).backward()
        step.step()
        assert torch.allclose(layer.weight.abs().sum(dim=1), torch.full((4,), norm), rtol=1e-5)
    assert not torch.allclose(layer.weight, first, rtol=0.1)
    before = layer.weight.detach().clone()
    release(nn.Sequential(layer))
    assert type(layer) is nn.Linear
    assert torch.allclose(layer.weight, before, rtol=1e-5)
    convolution = nn.Conv2d(2, 3, 3)
    contract(convolution, norm, np.inf)
    assert norm_bound(convolution, np.inf) == pytest.approx(norm)
    assert 0.999 * norm < norm_bound(layer, np.inf) <= norm
