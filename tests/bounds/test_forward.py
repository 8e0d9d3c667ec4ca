"""Functions pushed forward, whose large terms cancel, against exact rationals."""

from fractions import Fraction

import pytest
import torch

from art_disc.bounds import Graph, crown_forward, forward
from art_disc.bounds.affine import Dense
from art_disc.bounds.piecewise import Relu

WANTED = torch.tensor([[1, 2, -1], [1, 2, -1], [-2, 1, 0.5]], dtype=torch.float64)
LAST = torch.tensor([[1, -1, 0], [0.7, -0.7, 0.1]], dtype=torch.float64)
ONE = torch.ones(3, dtype=torch.float64)


def large(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return 1e6 * torch.randn(shape, generator=generator, dtype=torch.float64)


def box_of(low):
    """Return the box in which the first three values of an input may rise by 1."""
    low = torch.tensor([low], dtype=torch.float64)
    high = low.clone()
    high[:, :3] += 1
    return low, high


def graph_of(*steps):
    shapes = [step.weights[0].shape for step in steps if isinstance(step, Dense)]
    sizes = [shapes[0][1], *(shape[0] for shape in shapes)]
    # a ReLU is the last step but one
    sizes.insert(-2, sizes[-2])
    return Graph(
        steps, tuple((i,) for i in range(len(steps))), tuple(torch.Size([n]) for n in sizes)
    )


def cancelling_slopes(seed):
    """Sums of about 1 are left of terms of 1e12: of the slopes of a layer in between."""
    first, start = large(seed, 60, 3), large(100 + seed, 3, 60)
    second = start + (WANTED - start @ first) @ torch.linalg.pinv(first)
    graph = graph_of(
        Dense((first,), None), Dense((second,), 1000 * ONE), Relu(), Dense((LAST,), None)
    )
    return graph, *box_of([0.1, 0.7, -0.3])


def cancelling_offsets(seed):
    """The same, of terms of 1e6: of inputs that are the same in the whole box."""
    fixed = large(seed, 3, 60)
    inputs = torch.rand(60, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weight, offset = torch.column_stack([WANTED, fixed]), 1000 - fixed @ inputs
    graph = graph_of(Dense((weight,), offset), Relu(), Dense((LAST,), None))
    return graph, *box_of([0.1, 0.7, -0.3, *inputs.tolist()])


def exact_ends(graph, low, high):
    """Return the least and the largest of each output, as fractions; the ReLU changes nothing."""
    box = [(Fraction(a), Fraction(b)) for (a, b) in torch.cat([low, high]).T.tolist()]
    rows = [[Fraction(i == j) for j in range(len(box) + 1)] for i in range(len(box))]
    for step in (step for step in graph.steps if isinstance(step, Dense)):
        columns = list(zip(*rows, strict=True))
        rows = [
            [sum(Fraction(w) * v for w, v in zip(row, column, strict=True)) for column in columns]
            for row in step.weights[0].tolist()
        ]
        if step.offset is not None:
            for row, offset in zip(rows, step.offset.tolist(), strict=True):
                row[-1] += Fraction(offset)
    for row in rows:
        terms = [(slope * a, slope * b) for slope, (a, b) in zip(row, box, strict=False)]
        yield row[-1] + sum(map(min, terms)), row[-1] + sum(map(max, terms))


def left_out(network):
    """By how much outputs of four networks leave their boxes, at most."""
    worst = Fraction(0)
    for seed in range(4):
        graph, low, high = network(seed)
        boxes = crown_forward(graph, low, high, torch.arange(3)).boxes
        assert (boxes[-3][0] > 0).all(), "the ReLU is on"
        ends = zip(*(end[0].tolist() for end in boxes[-1]), strict=True)
        for (a, b), (least, most) in zip(ends, exact_ends(graph, low, high), strict=True):
            worst = max(worst, Fraction(a) - least, most - Fraction(b))
    return worst


@pytest.mark.parametrize("network", [cancelling_slopes, cancelling_offsets])
def test_rounding_is_charged_and_would_be_seen(monkeypatch, network):
    # the last layer takes the difference of two values that move together: no box knows that
    assert left_out(network) == 0
    monkeypatch.setattr(forward, "UNIT", 0.0)
    assert left_out(network) > 1e-11
