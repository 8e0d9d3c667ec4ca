"""Bounds on colours against trying every choice, and against the box around them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.bounds import Alternatives, boxes_of, crown_ibp, interval_margins, margin_rows, trace
from art_disc.bounds.alternatives import first_boxes
from art_disc.codebox import CodeBox

CONVOLUTIONS = {
    "plain": {"kernel_size": 2},
    "padded": {"kernel_size": 3, "padding": (1, 2)},
    "strided": {"kernel_size": (3, 2), "stride": (2, 3), "padding": (2, 0)},
    "dilated": {"kernel_size": 2, "dilation": (2, 1), "padding": 1},
    "grouped": {"kernel_size": 2, "groups": 2, "stride": (1, 2)},
    "left over": {"kernel_size": 2, "stride": 3},
}


def drawn(seed, channels=2, side=4, m=3):
    """Images of which each pixel takes its colour from one of m, by few pixels a choice."""
    rng = np.random.default_rng(seed)
    values = np.repeat(rng.uniform(0, 1, (2, 1, channels, side, side)), m, axis=1)
    free = rng.choice(side * side, 5, replace=False)
    flat = values.reshape(2, m, channels, -1)
    flat[..., free] = rng.uniform(0, 1, (2, m, channels, 5))
    return torch.from_numpy(values), free


def every(values, free):
    """Return all images (2, m^5, c, h, w) that the choices of the free pixels make."""
    n, m, c, h, w = values.shape
    choices = torch.tensor(list(itertools.product(range(m), repeat=len(free))))
    flat = values.flatten(3)
    made = flat[:, :1].repeat(1, len(choices), 1, 1)
    for place, pixel in enumerate(free):
        made[..., pixel] = flat[:, choices[:, place], :, pixel].reshape(n, len(choices), c)
    return made.unflatten(3, (h, w))


def network(options, *, standardised=True):
    torch.manual_seed(0)
    steps = [nn.Conv2d(2, 4, **options), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)]
    net = nn.Sequential(*([nn.BatchNorm2d(2)] if standardised else []), *steps).double()
    net(torch.rand(4, 2, 4, 4, dtype=torch.float64))
    return net.eval()


@pytest.mark.parametrize("standardised", [True, False])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_boxes_of_the_first_convolution_are_the_least_there_are(kind, standardised):
    net = network(CONVOLUTIONS[kind], standardised=standardised)
    values, free = drawn(1)
    graph = trace(net, (2, 4, 4), torch.float64)
    (low, high), *others = first_boxes(graph, Alternatives(values)).values()
    assert not others
    with torch.no_grad():
        before = net[: 1 + standardised]
        tried = before(every(values, free).flatten(0, 1)).unflatten(0, (2, -1))
    assert torch.allclose(low, tried.amin(dim=1), rtol=0, atol=1e-12)
    assert torch.allclose(high, tried.amax(dim=1), rtol=0, atol=1e-12)


def test_where_rounding_is_charged_nothing_comes_before():
    values, _ = drawn(1)
    for standardised in (True, False):
        net = network({"kernel_size": 2}, standardised=standardised)
        graph = replace(trace(net, (2, 4, 4), torch.float64), rigorous=True)
        assert len(first_boxes(graph, Alternatives(values))) == 1 - standardised


def test_linear_functions_of_the_input_are_least_at_a_choice():
    values, free = drawn(2)
    rows = torch.from_numpy(np.random.default_rng(3).normal(size=(2, 7, 2, 4, 4)))
    least = Alternatives(values).lowest(rows)
    tried = torch.einsum("nrchw,nvchw->nrv", rows, every(values, free))
    assert torch.allclose(least, tried.amin(dim=2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_margins_hold_for_every_choice_and_exceed_those_of_the_box(kind):
    net = network(CONVOLUTIONS[kind])
    graph, gained = trace(net, (2, 4, 4), torch.float64), 0.0
    for seed in range(5):
        values, free = drawn(seed)
        pixels, box = Alternatives(values), (values.amin(dim=1), values.amax(dim=1))
        rows = margin_rows(torch.tensor([0, 2]), 3).double()
        with torch.no_grad():
            logits = net(every(values, free).flatten(0, 1)).unflatten(0, (2, -1))
            least = torch.einsum("nrk,nvk->nrv", rows, logits).amin(dim=2)
            found = [
                (interval_margins(graph, *box, rows, one), crown_ibp(graph, *box, pixels=one))
                for one in (pixels, None)
            ]
        for bound in (found[0][0], found[0][1].lower(rows)):
            assert (bound <= least + 1e-9).all()
        assert (found[0][0] >= found[1][0] - 1e-12).all()
        gained += float((found[0][0] - found[1][0]).sum())
        narrower = boxes_of(graph, *box, pixels)[-1], boxes_of(graph, *box)[-1]
        assert (narrower[0][0] >= narrower[1][0] - 1e-12).all()
        assert (narrower[0][1] <= narrower[1][1] + 1e-12).all()
    # a group of one channel is bounded no better
    assert (gained > 0.01) == (kind != "grouped")


def test_they_can_be_differentiated_by_the_weights():
    conv = nn.Conv2d(2, 3, 2, padding=1).double()
    values, _ = drawn(4)

    def ends(weight, bias):
        net = nn.Sequential(nn.Conv2d(2, 3, 2, padding=1).double())
        graph = trace(net, (2, 4, 4), torch.float64)
        step = replace(graph.steps[0], weight=weight, offset=bias[:, None, None])
        return torch.stack(Alternatives(values).interval(step))

    assert torch.autograd.gradcheck(ends, (conv.weight, conv.bias))


def test_of_many_channels_the_corners_are_too_many():
    words = np.random.default_rng(0).random((20, 33)).astype(np.float32)
    box = CodeBox.of_mask(np.ones((1, 1, 20), dtype=bool), words)
    assert box.colours(16) is None
    assert box.colours(20).shape == (1, 1, 20, 33)


@pytest.mark.parametrize("most", [8, 9, 20])
def test_a_unit_of_many_codes_has_the_corners_of_its_hull(most):
    rng = np.random.default_rng(0)
    words = rng.random((12, 3)).astype(np.float32)
    mask = rng.random((2, 6, 12)) < np.array([0.05, 0.2, 0.4, 0.6, 0.9, 0.0])[None, :, None]
    mask[..., 0] = True
    box = CodeBox.of_mask(mask, words)
    colours = box.colours(most)
    low, high = box.hull()
    assert np.array_equal(colours.min(axis=2), low)
    assert np.array_equal(colours.max(axis=2), high)
    for row, unit in np.ndindex(2, 6):
        found = {tuple(colour) for colour in colours[row, unit].tolist()}
        own = {tuple(words[code].tolist()) for code in box.codes[row, unit]}
        if box.counts[row, unit] <= most:
            assert found == own
        else:
            ends = zip(low[row, unit].tolist(), high[row, unit].tolist(), strict=True)
            assert found == set(itertools.product(*ends))
