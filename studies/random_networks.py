"""Small random networks, one kind around each layer that has bounds, and what is in them.

Tests of bounds and of certificates go over these, and so does `studies.soundness`.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.networks import ParametrisedRamp
from art_disc.networks.architectures import ResidualBlock

SHAPE = (2, 5, 5)
Shape = tuple[int, int, int]


def _norm(width: int, rng: np.random.Generator) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(width)
    norm.weight.data = torch.from_numpy(rng.normal(0, 1, width))  # negative ones among them
    norm.bias.data = torch.from_numpy(rng.normal(0, 1, width))
    norm.running_mean = torch.from_numpy(rng.normal(0, 1, width))
    norm.running_var = torch.from_numpy(rng.uniform(0.5, 2, width))
    return norm


def _pooling(rng: np.random.Generator) -> tuple[int, dict[str, int]]:
    kernel = int(rng.integers(2, 4))
    return kernel, {"stride": int(rng.integers(1, 3)), "padding": int(rng.integers(0, 2))}


def _ramp(rng: np.random.Generator) -> ParametrisedRamp:
    ramp = ParametrisedRamp((3, 1, 1))
    ramp.log_cap.data = torch.from_numpy(rng.normal(-0.5, 0.5, (3, 1, 1)))
    ramp.leak.fill_(float(rng.choice([0, 0.2])))
    return ramp


class Standardised(nn.Module):
    """Constants on all sides of a value."""

    def __init__(self, inner: nn.Module, channels: int = 2) -> None:
        super().__init__()
        self.inner = inner
        mean = torch.tensor([0.3, 0.6, 0.4])[:channels]
        self.register_buffer("mean", mean.view(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return -self.inner(1.5 - (2 * x - self.mean) / 0.7) + 1


def _convolution(rng: np.random.Generator, c: int) -> list[nn.Module]:
    groups = int(rng.choice([1, c]))
    dilation, stride, padding = (int(rng.integers(1, 3)) for _ in range(3))
    return [nn.Conv2d(c, 2 * c, 2, stride, padding, dilation=dilation, groups=groups)]


def _transposed(rng: np.random.Generator, c: int) -> list[nn.Module]:
    groups, stride, dilation = int(rng.choice([1, c])), *(int(rng.integers(1, 4)) for _ in range(2))
    beyond = int(rng.integers(0, max(stride, dilation)))
    options = {"stride": (stride, 1), "padding": (int(rng.integers(0, 3)), 1)}
    options |= {"output_padding": (beyond, 0), "dilation": (dilation, 1)}
    return [nn.ConvTranspose2d(c, 2 * c, (3, 2), groups=groups, **options), nn.ReLU()]


def _tanh(rng: np.random.Generator, c: int) -> list[nn.Module]:
    """Values around 0, and beyond where tanh is as good as level."""
    first = nn.Conv2d(c, 3, 3)
    first.weight.data *= float(rng.choice([0.3, 2, 20]))
    return [first, nn.Tanh()]


def _max_pool(rng: np.random.Generator, c: int) -> list[nn.Module]:
    kernel, options = _pooling(rng)
    return [nn.Conv2d(c, 2, 2), nn.MaxPool2d(kernel, **options)]


def _average_pool(rng: np.random.Generator, c: int) -> list[nn.Module]:
    kernel, options = _pooling(rng)
    pool = nn.AvgPool2d(kernel, **options, count_include_pad=bool(rng.integers(2)))
    return [nn.Conv2d(c, 2, 2), pool, nn.ReLU()]


def _mixed(rng: np.random.Generator, c: int) -> list[nn.Module]:
    """Many layers behind each other, in an order that is drawn."""
    between: list[Callable[[], list[nn.Module]]] = [
        lambda: [_norm(3, rng), nn.LeakyReLU(0.2)],
        lambda: [ResidualBlock(3, 3)],
        lambda: [nn.MaxPool2d(3, 1, 1), nn.Dropout()],
        lambda: [nn.AvgPool2d(3, 2, 1), nn.Hardtanh(-1, 1)],
    ]
    order = rng.permutation(len(between))[:3]
    return [nn.Conv2d(c, 3, 3, 1, 1), *(layer for i in order for layer in between[i]())]


# from a random stream and the number of channels to the first layers
KINDS: dict[str, Callable[[np.random.Generator, int], list[nn.Module]]] = {
    "linear": lambda _, c: [nn.Flatten(), nn.Linear(25 * c, 6)],
    "convolution": _convolution,
    "relu": lambda _, c: [nn.Conv2d(c, 3, 3), nn.ReLU()],
    "leaky_relu": lambda rng, c: [
        nn.Conv2d(c, 3, 3),
        nn.LeakyReLU(float(rng.choice([0.1, 0.5, 2]))),
    ],
    "hard_tanh": lambda rng, c: [nn.Conv2d(c, 3, 3), nn.Hardtanh(*np.sort(rng.normal(0, 0.5, 2)))],
    "batch_norm": lambda rng, c: [nn.Conv2d(c, 3, 3), _norm(3, rng), nn.ReLU()],
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "adaptive": lambda _, c: [
        nn.Conv2d(c, 2, 2),
        nn.AdaptiveMaxPool2d(2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
    ],
    "residual": lambda rng, c: [ResidualBlock(c, 3, int(rng.integers(1, 3)))],
    "dropout": lambda _, c: [nn.Sequential(nn.Dropout(), nn.Conv2d(c, 2, 3)), nn.Identity()],
    "ramp": lambda rng, c: [nn.Conv2d(c, 3, 3), _ramp(rng)],
    "constants": lambda _, c: [Standardised(nn.Conv2d(c, 2, 3), c)],
    "transposed": _transposed,
    "tanh": _tanh,
    "unflatten": lambda _, c: [
        nn.Flatten(),
        nn.Linear(25 * c, 8),
        nn.Unflatten(1, (2, 2, 2)),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(2, 1, 3, 2, 1, 1),
        nn.Tanh(),
    ],
}
# those without exact arithmetic
INEXACT = ("transposed", "tanh", "unflatten")
# deeper, and slower to bound
DEEP = {"mixed": _mixed}


def make_network(kind: str, seed: int, shape: Shape = SHAPE) -> nn.Sequential:
    """Return a random network (c, 5, 5) -> 3 around one kind of layer, in float64."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layers = (KINDS | DEEP)[kind](rng, shape[0])
    net = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5), nn.ReLU())
    net.append(nn.Linear(5, 3)).to(torch.float64)
    net(torch.zeros(2, *shape, dtype=torch.float64))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)
    for parameter in net.parameters():
        parameter.requires_grad_(requires_grad=False)
    return net.eval()


def layers_of(net: nn.Module) -> Counter[str]:
    """Return the layers of a network, once each, and what is special about them."""
    found = set()
    for module in net.modules():
        if next(module.children(), None) is None or isinstance(module, ResidualBlock):
            found |= {type(module).__name__, *_specials(module)}
    return Counter(found)


def _specials(module: Any) -> set[str]:
    name = type(module).__name__
    padded = getattr(module, "padding", 0) not in {0, (0, 0)}
    pool = isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
    negative = isinstance(module, nn.BatchNorm2d) and bool((module.weight < 0).any())
    facts = {
        f"{name} with padding": padded,
        "overlapping pooling": pool and module.stride < module.kernel_size,
        "negative BatchNorm weight": negative,
        "residual addition": isinstance(module, ResidualBlock),
    }
    return {fact for fact, holds in facts.items() if holds}
