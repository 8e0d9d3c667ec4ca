"""Lines around tanh hold everywhere, touch, and are the best over the middle of their box."""

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.bounds import magnitudes, trace
from art_disc.bounds.piecewise import HardTanh
from art_disc.bounds.smooth import Tanh


def boxes(n=400):
    """Boxes of all widths, around 0, beside it, and where tanh is level."""
    rng = np.random.default_rng(0)
    width = 10.0 ** rng.uniform(-9, 2, n)
    low = (
        rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-9, 1.6, n)
        - rng.choice([0, 0.5, 1], n) * width
    )
    ends = [
        *zip(low, low + width, strict=True),
        (-1e6, 1e6),
        (-1e300, 2.0),
        (30, 1e9),
        (0, 0),
        (3, 3),
    ]
    return tuple(torch.tensor(end, dtype=torch.float64) for end in zip(*ends, strict=True))


def points_in(low, high, count=801):
    """Points of each box (n, count), among them those where tanh bends most."""
    shares = np.linspace(0, 1, count, dtype=np.longdouble)
    low, high = (end.numpy().astype(np.longdouble)[:, None] for end in (low, high))
    near = np.clip(np.linspace(-25, 25, count, dtype=np.longdouble), low, high)
    return np.concatenate([low + shares * (high - low), near], axis=1)


def heights(low, high):
    """By how much lines lie above and below tanh at points, in longer floats."""
    lines = Tanh().lines((low, high))
    x = points_in(low, high)
    upper, upper_offset, lower, lower_offset = (
        each.numpy().astype(np.longdouble)[:, None]
        for each in (lines.upper, lines.upper_offset, lines.lower, lines.lower_offset)
    )
    assert np.isfinite(upper_offset).all()
    # what float64 leaves of the offsets
    room = 4 * np.finfo(np.float64).eps * np.maximum(np.abs(upper * x), np.abs(np.tanh(x)))
    above = upper * x + upper_offset - np.tanh(x)
    below = np.tanh(x) - lower * x - lower_offset
    return above, below, room


def test_lines_around_tanh_hold_in_every_box():
    above, below, room = heights(*boxes())
    room = room.max(axis=1, keepdims=True)
    assert (above >= -room).all()
    assert (below >= -room).all()


def test_they_touch_and_no_line_is_better_over_the_middle():
    low, high = boxes(60)
    low, high = low[:60], high[:60]
    above, below, _ = heights(low, high)
    x, middle = points_in(low, high), ((low + high) / 2).numpy()
    lines = Tanh().lines((low, high))
    # of all chords over the middle, the highest is where no line above can be lower
    for i, at in enumerate(middle):
        left, right = (np.unique(side)[::4] for side in (x[i][x[i] < at], x[i][x[i] > at]))
        a, b = left[:, None], right[None]
        chord = np.tanh(a) + (np.tanh(b) - np.tanh(a)) / (b - a) * (at - a)
        scale = max(1e-12, float(np.tanh(high[i]) - np.tanh(low[i])))
        # chords are between few points, and slopes are told apart by 2^-24
        assert lines.upper[i] * at + lines.upper_offset[i] <= chord.max() + 0.03 * scale
        assert lines.lower[i] * at + lines.lower_offset[i] >= chord.min() - 0.03 * scale
    scale = np.maximum(1e-12, np.tanh(high.numpy()) - np.tanh(low.numpy()))
    assert (above.min(axis=1) <= 1e-3 * scale).all()
    assert (below.min(axis=1) <= 1e-3 * scale).all()


def test_a_point_has_its_value_and_an_endless_box_proves_nothing():
    point = torch.tensor([-40.0, -0.3, 0.0, 2.0], dtype=torch.float64)
    lines = Tanh().lines((point, point))
    assert torch.equal(lines.upper * point + lines.upper_offset, point.tanh())
    assert torch.equal(lines.lower * point + lines.lower_offset, point.tanh())
    endless = torch.tensor([torch.inf], dtype=torch.float64)
    lines = Tanh().lines((-endless, endless))
    assert not (lines.upper_offset.isfinite() & (lines.upper_offset < 1)).any()
    assert not (lines.lower_offset.isfinite() & (lines.lower_offset > -1)).any()


def test_what_tanh_itself_rounds_in_float32_is_charged():
    net = nn.Sequential(nn.Tanh()).eval()
    x = torch.linspace(-3, 3, 600).reshape(100, 6).double()
    error = magnitudes(trace(net, (6,), torch.float64), x, x).error
    off = (x.float().tanh().double() - x.tanh()).abs().amax(dim=1)
    assert (off > 0).any()
    # a margin is a difference of two
    assert (error >= 2 * off).all()


@pytest.mark.parametrize("step", [HardTanh(5.0, 6.0), Tanh()])
def test_how_far_lines_are_apart_is_never_negative(step):
    low = torch.linspace(4, 5, 50, dtype=torch.float64)
    assert (step.lines((low, low + 1.6)).gap() >= 0).all()
