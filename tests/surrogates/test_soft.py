"""The closed-form gradient of the soft assignment against autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from art_disc.codebooks import distance
from art_disc.surrogates.soft import soft_mean


def by_autograd(channels, levels, metric, rate):
    away = torch.stack([distance(channels, code, metric, torch) for code in levels])
    if metric == "l2" and len(channels) > 1:
        away = away.sqrt()
    weights = torch.softmax(-rate * away, dim=0)
    table = weights.new_tensor(levels)
    return [torch.einsum("k...,k->...", weights, column) for column in table.unbind(dim=1)]


@pytest.mark.parametrize("metric", ["l1", "l2", "l_inf"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_values_and_slopes_are_autograds(metric, data):
    width = data.draw(st.integers(1, 3))
    k = data.draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    levels = torch.randint(256, (k, width), generator=generator).double().tolist()
    rate = data.draw(st.sampled_from([0.01, 0.1, 1.0]))
    # away from the grid, so that no two distances tie
    channels = [
        (255 * torch.rand(40, generator=generator, dtype=torch.float64)).requires_grad_()
        for _ in range(width)
    ]
    weights = torch.randn((width, 40), generator=generator, dtype=torch.float64)
    ours, theirs = (f(channels, levels, metric, rate) for f in (soft_mean, by_autograd))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-9)
    slopes = [
        torch.autograd.grad((weights * torch.stack(list(found))).sum(), channels)
        for found in (ours, theirs)
    ]
    for a, b in zip(*slopes, strict=True):
        assert torch.allclose(a, b, atol=1e-9)


def test_equally_far_channels_share_the_slope():
    # grey pixels between black and white: every channel is as far as the others
    channels = [torch.tensor([100.0]).requires_grad_() for _ in range(3)]
    codes = [[0.0] * 3, [255.0] * 3]
    found = soft_mean(channels, codes, "l_inf", 0.02)
    slopes = torch.stack(torch.autograd.grad(found[0].sum(), channels))
    alone = torch.tensor([100.0]).requires_grad_()
    (whole,) = torch.autograd.grad(soft_mean([alone], [[0.0], [255.0]], "l1", 0.02)[0].sum(), alone)
    assert torch.allclose(slopes, whole / 3)


def test_on_a_codeword_and_far_from_it_nothing_is_lost():
    on = [torch.tensor([10.0, 300.0, -40.0, 1e4]).requires_grad_() for _ in range(3)]
    for metric in ("l1", "l2", "l_inf"):
        found = soft_mean(on, [[10.0] * 3, [200.0, 0.0, 30.0]], metric, 1.0)
        slopes = torch.autograd.grad(sum(part.sum() for part in found), on)
        assert all(torch.isfinite(part).all() for part in (*found, *slopes))
    lost = [torch.tensor([float("nan")]).requires_grad_()]
    assert soft_mean(lost, [[0.0], [255.0]], "l1", 1.0)[0].isnan().all()
