"""Small random networks of signs behind codebooks, for certificates by a solver."""

import numpy as np
import torch
from torch import nn

from art_disc.codebooks import Codebook
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier
from art_disc.networks import BinarizedNet, Convolution

SHAPE = (1, 3, 4)


def shaken(network, seed, shape=SHAPE, words=(0.0, 1.0), by=(0.0, 1.0)):
    """Give batch normalisation gains of both signs and 0, and statistics of random code images."""
    drawn = torch.Generator().manual_seed(seed)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for module in norms:
        module.momentum = 1.0
    codes = torch.randint(len(words), (200, *shape), generator=drawn)
    with torch.no_grad():
        network.train()((torch.tensor(words).float()[codes] - by[0]) / by[1])
    for module in norms:
        count = module.num_features
        module.weight.data = torch.randn(count, generator=drawn)
        module.bias.data = 0.5 * torch.randn(count, generator=drawn)
        if count > 3:
            module.weight.data[seed % count] = 0.0
    return network.eval()


# hidden, last and first layers of each kind; whole logits tie, those behind BatchNorm hardly do
KINDS = {
    "dense": {"widths": (8, 6), "last": "binary"},
    "real_last": {"widths": (8, 6), "last": "real_weights"},
    "real_first": {"widths": (7, 5), "first": "real", "last": "binary"},
    "norm_last": {"widths": (7,), "last": "binary", "output": "norm"},
    "scaled": {},
    "conv": {"convolutions": [Convolution(3, 2, 1, 0), Convolution(2)], "last": "binary"},
    "tiny": {"widths": (3,), "last": "binary"},
    "pooled": {"convolutions": [Convolution(3, pool=2)], "widths": (5,), "last": "binary"},
}


def network_of(kind, seed, shape=SHAPE, classes=3, **images):
    """Return a random network of a kind; `words` and `by` tell of the images it gets."""
    torch.manual_seed(seed)
    options = KINDS[kind]
    if not options:
        return shaken(_scaled(shape, classes), seed, shape, **images)
    network = BinarizedNet(shape, classes, **options)
    if "output" not in options and options["last"] == "binary":
        # whole logits, which tie
        network.layers[-1].bias.data.zero_()
    return shaken(network, seed, shape, **images)


def _scaled(shape, classes):
    """Signs with one scale an output filter, biases, and what changes no sign."""
    from art_disc.networks import BinarizedLinear, OutputScale

    how = {"binarization": "xnor"}
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(int(np.prod(shape)), 7),
        nn.Hardtanh(),
        BinarizedLinear(7, 6, **how),
        nn.Dropout(0.5),
        nn.BatchNorm1d(6),
        BinarizedLinear(6, classes, **how),
        OutputScale(-0.5),
    )


def case(kind, seed, images=20, shape=SHAPE, fine=False, **options):
    """Return a classifier, images and a budget; `fine`: of codewords one grey level apart."""
    drawn = np.random.default_rng(seed)
    words = np.sort(drawn.choice(256, drawn.integers(2, 5), replace=False)) / 255
    eps, top = float(drawn.choice([0.05, 0.1, 0.2])), 1.0
    if fine:
        words, eps, top = np.arange(len(words)) / 255, 0.4 / 255, len(words) / 255
    by = (0.0, 1.0) if seed % 2 else (0.3 * top, 0.4 * top)
    classifier = build_classifier(
        network_of(kind, seed, shape, words=words, by=by),
        input_shape=shape,
        nb_classes=3,
        defences=[PixelDiscretization(Codebook(words))],
        preprocessing=by,
        **options,
    )
    x = drawn.uniform(0, top, (images, *shape)).astype(np.float32)
    # some pixels, and all of one image, where a budget widened against rounding ends in a tie
    middle = (words[0] + words[1]) / 2 - eps - 3.3e-4 / 255
    if middle > 0:
        x[::2, :, 0, 0] = x[1] = np.float32(middle)
    return classifier, x, eps
