"""A small LQ-VAE for images of any shape, in a file, for tests that go over all defences."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch

from art_disc.networks import LQVAENet, Stack

STACK = Stack(down=((4, 1), (6, 2)), up=((4, 2),), hidden=16)


@cache
def _folder():
    made = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def lqvae_net(shape, seed=0, **options):
    """Return a network whose bits and images differ from image to image."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = LQVAENet(shape, **{"latent": 12, "eta": 0.3, "stack": STACK} | options)
        # weights as they come make all images alike
        for layer in (net.encoder.mean, *net.decoder):
            if getattr(layer, "weight", None) is not None:
                layer.weight.data *= 3
        net.encoder.mean.weight.data *= 4
    return net.eval()


@cache
def lqvae_file(shape):
    """Return the name of a file of one for images of a shape (c, h, w)."""
    return str(lqvae_net(shape).save(_folder() / f"{'x'.join(map(str, shape))}.npz"))
