import pytest
import torch

from art_disc.core.errors import InputError
from art_disc.networks import DigitsNet, MadryMnistNet, ResNet32, default_network


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (DigitsNet, (1, 8, 8)),
        (DigitsNet, (3, 32, 32)),
        (DigitsNet, (2, 9, 13)),
        (MadryMnistNet, (1, 28, 28)),
        (MadryMnistNet, (3, 8, 12)),
    ],
)
def test_logits_depend_on_the_image_and_on_it_alone(make, shape):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make(shape, 7).eval()
        x = torch.rand(4, *shape)
    logits = net(x)
    assert logits.shape == (4, 7)
    assert torch.allclose(net(x.flip(0)).flip(0), logits, atol=1e-6)
    assert logits.std(dim=0).min() > 0
    # logits, not probabilities
    assert not torch.allclose(logits.sum(dim=1), torch.ones(4), atol=1e-3)


def test_sizes_are_those_that_are_documented():
    def weights(net):
        return sum(p.numel() for p in net.parameters())

    # 5x5x1x32 + 32, 5x5x32x64 + 64, 3136x1024 + 1024, 1024x10 + 10
    assert weights(MadryMnistNet()) == 832 + 51_264 + 3_212_288 + 10_250
    assert 35_000 < weights(DigitsNet()) < 50_000


@pytest.mark.parametrize(
    ("make", "shape", "text"),
    [
        (DigitsNet, (1, 7, 8), "at least 8x8"),
        (DigitsNet, (3, 32, 4), "at least 8x8"),
        (MadryMnistNet, (1, 30, 28), "multiples of 4"),
        (MadryMnistNet, (1, 28, 27), "multiples of 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make, shape, text):
    with pytest.raises(InputError, match=text):
        make(shape)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((1, 28, 28), MadryMnistNet), ((1, 8, 8), DigitsNet), ((3, 28, 28), DigitsNet)],
)
def test_the_default_network_takes_the_images(shape, kind):
    net = default_network(shape, 4)
    assert type(net) is kind
    assert net(torch.zeros(1, *shape)).shape == (1, 4)


@pytest.mark.parametrize(("width", "is_last"), [(16, True), (8, True), (12, False), (4, False)])
def test_channels_come_last_where_they_fill_vectors(width, is_last):
    # where they do not, some processors end in a damaged heap
    first = ResNet32(width=width).features[0].weight
    assert first.is_contiguous(memory_format=torch.channels_last) == is_last
