"""Margins as a last layer, IBP of whole data sets, and the tolerance for float32."""

import time

import pytest
import torch
from torch import nn

from art_disc.bounds import boxes_of, float_tolerance, ibp, interval_margins, margin_rows, trace
from art_disc.core.errors import InputError


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
    ).eval()


def test_a_margin_folded_in_is_tighter_than_the_difference_of_two_ends():
    net = small_network()
    low = torch.rand(20, 1, 8, 8)
    high = low + 0.1
    labels = net(low).argmax(dim=1)
    least, most = ibp(net, low, high)
    rows = margin_rows(labels, 10)
    folded = interval_margins(trace(net, (1, 8, 8)), low, high, rows)
    apart = (rows.clamp(min=0) @ least[..., None] + rows.clamp(max=0) @ most[..., None])[..., 0]
    assert (folded > apart + 1e-3).all()
    inside = net(low + 0.1 * torch.rand_like(low))
    assert ((rows @ inside[..., None])[..., 0] >= folded - 1e-5).all()


@pytest.mark.parametrize("batch_size", [1, 7, 512])
def test_boxes_do_not_depend_on_batches(batch_size):
    net = small_network()
    low = torch.rand(20, 1, 8, 8)
    ends = ibp(net, low, low + 0.1, batch_size=batch_size)
    whole = boxes_of(trace(net, (1, 8, 8)), low, low + 0.1)[-1]
    for end, expected in zip(ends, whole, strict=True):
        assert torch.allclose(end, expected, atol=1e-5)


def test_ends_that_are_no_box_are_refused():
    low = torch.rand(2, 1, 8, 8)
    with pytest.raises(InputError, match="expected low <= high"):
        ibp(small_network(), low, low - 0.1)
    with pytest.raises(InputError, match="expected low <= high"):
        ibp(small_network(), low, low[:1])


def test_the_tolerance_covers_what_rounding_does_and_grows_with_it():
    net = small_network()
    graph = trace(net, (1, 8, 8), torch.float64)
    low = torch.rand(30, 1, 8, 8)
    high = low + 0.05
    tolerance = float_tolerance(graph, low, high)
    assert 1e-5 <= tolerance < 1e-3
    last = net[-1]
    last.weight.data *= 1e4
    large = trace(net, (1, 8, 8), torch.float64)
    assert float_tolerance(large, low, high) > 100 * tolerance
    with torch.no_grad():
        error = large.to(torch.float32)(low).double() - large(low.double())
    assert float(error.abs().max()) < float_tolerance(large, low, high)


def test_ibp_of_a_data_set_takes_seconds():
    # 10,000 images in at most 4 s on one free core is asked for; a fifth of them, with room
    net = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1568, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    ).eval()
    assert sum(p.numel() for p in net.parameters()) == 166_406
    low = torch.rand(2000, 1, 28, 28).round()
    start = time.process_time()
    ibp(net, low, low)
    assert time.process_time() - start < 4
