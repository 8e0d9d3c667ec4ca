"""Images become [0, 1] by a true quotient, on every device."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from art_disc import PixelDiscretization, build_classifier
from art_disc.codebooks import Codebook
from art_disc.defences import InputBitDepth, TotalVariation
from art_disc.defences.images import divided


class Divisors(TorchDispatchMode):
    """Notes what is divided by: a plain number is what a GPU turns into a product."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run the operation."""
        if func.overloadpacket is torch.ops.aten.div:
            self.seen.append(args[1])
        return func(*args, **(kwargs or {}))


def test_a_product_with_the_reciprocal_would_be_off():
    levels = torch.arange(256.0)
    exact = torch.from_numpy(np.arange(256, dtype=np.float32) / np.float32(255))
    assert torch.equal(divided(levels, 255), exact)
    assert int((levels * (1 / torch.tensor(255.0)) != exact).sum()) > 50


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
@pytest.mark.parametrize(
    "defence",
    [
        PixelDiscretization(Codebook([0.0, 0.5, 1.0])),
        InputBitDepth(2),
        TotalVariation(steps=1),
    ],
    ids=lambda defence: type(defence).__name__,
)
def test_no_image_is_divided_by_a_plain_number(upper, dtype, defence):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    classifier = build_classifier(
        network, defences=[defence], input_shape=(1, 4, 4), nb_classes=2, clip_values=(0, upper)
    )
    x = (torch.rand(3, 1, 4, 4) * (255 if dtype == torch.uint8 else upper)).to(dtype)
    with Divisors() as divisors, torch.no_grad():
        classifier.model(x)
    assert divisors.seen or (upper == 1 and dtype == torch.float32)
    images = [each for each in divisors.seen if not isinstance(each, torch.Tensor)]
    assert not images
