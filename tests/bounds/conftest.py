"""Small random networks, one kind for each layer that has bounds, and boxes that can be tried."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.networks.architectures import ResidualBlock


def _norm(width, rng):
    norm = nn.BatchNorm2d(width)
    norm.weight.data = torch.from_numpy(rng.normal(0, 1, width))  # negative ones among them
    norm.bias.data = torch.from_numpy(rng.normal(0, 1, width))
    norm.running_mean = torch.from_numpy(rng.normal(0, 1, width))
    norm.running_var = torch.from_numpy(rng.uniform(0.5, 2, width))
    return norm


def _pooling(rng):
    kernel = int(rng.integers(2, 4))
    return kernel, {"stride": int(rng.integers(1, 3)), "padding": int(rng.integers(0, 2))}


class Standardised(nn.Module):
    """Constants on all sides of a value."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.register_buffer("mean", torch.tensor([0.3, 0.6]).view(1, 2, 1, 1))

    def forward(self, x):
        return -self.inner(1.5 - (2 * x - self.mean) / 0.7) + 1


def _convolution(rng):
    groups = int(rng.choice([1, 2]))
    options = {"dilation": int(rng.integers(1, 3)), "groups": groups}
    stride, padding = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    return [nn.Conv2d(2, 4, 2, stride, padding, **options)]


KINDS = {
    "linear": lambda rng: [nn.Flatten(), nn.Linear(50, 6)],
    "convolution": _convolution,
    "relu": lambda rng: [nn.Conv2d(2, 3, 3), nn.ReLU()],
    "leaky_relu": lambda rng: [nn.Conv2d(2, 3, 3), nn.LeakyReLU(float(rng.choice([0.1, 0.5, 2])))],
    "hard_tanh": lambda rng: [nn.Conv2d(2, 3, 3), nn.Hardtanh(*np.sort(rng.normal(0, 0.5, 2)))],
    "batch_norm": lambda rng: [nn.Conv2d(2, 3, 3), _norm(3, rng), nn.ReLU()],
    "max_pool": lambda rng: (
        [nn.Conv2d(2, 2, 2), nn.MaxPool2d(o[0], **o[1])] if (o := _pooling(rng)) else []
    ),
    "average_pool": lambda rng: (
        [
            nn.Conv2d(2, 2, 2),
            nn.AvgPool2d(o[0], **o[1], count_include_pad=bool(rng.integers(2))),
            nn.ReLU(),
        ]
        if (o := _pooling(rng))
        else []
    ),
    "adaptive": lambda rng: [
        nn.Conv2d(2, 2, 2),
        nn.AdaptiveMaxPool2d(2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
    ],
    "residual": lambda rng: [ResidualBlock(2, 3, int(rng.integers(1, 3)))],
    "dropout": lambda rng: [nn.Sequential(nn.Dropout(), nn.Conv2d(2, 2, 3)), nn.Identity()],
    "constants": lambda rng: [Standardised(nn.Conv2d(2, 2, 3))],
}


def make_network(kind, seed):
    """Return a random network (2, 5, 5) -> 3 around one kind of layer, in float64."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = nn.Sequential(*KINDS[kind](rng), nn.Flatten(), nn.LazyLinear(5), nn.ReLU())
    net.append(nn.Linear(5, 3)).to(torch.float64)
    net(torch.zeros(2, 2, 5, 5, dtype=torch.float64))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)
    for parameter in net.parameters():
        parameter.requires_grad_(requires_grad=False)
    return net.eval()


def make_box(seed):
    """Return a box of images (2, 5, 5) with six free values, its corners and points inside."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 1, 50)
    high = low.copy()
    free = rng.choice(50, 6, replace=False)
    high[free] += rng.uniform(0.1, 1.5, 6)
    corners = np.array(list(itertools.product((0, 1), repeat=6)))
    shares = np.concatenate([corners, rng.uniform(0, 1, (40, 6))])
    points = np.repeat(low[None], len(shares), axis=0)
    points[:, free] += shares * (high - low)[free]
    # exactly the ends, whatever the sum rounds to
    points = np.clip(points, low, high)
    arrays = (low[None], high[None], points)
    return tuple(torch.from_numpy(a.reshape(-1, 2, 5, 5)) for a in arrays)


@pytest.fixture(scope="session")
def network():
    """`make_network`."""
    return make_network


@pytest.fixture(scope="session")
def box():
    """`make_box`."""
    return make_box
