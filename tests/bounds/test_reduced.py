"""The network over the free values of a box is the network, on that box."""

import pytest
import torch

from art_disc.bounds import boxes_of, crown, reduced, trace
from studies.random_networks import KINDS

SHAPE = (2, 5, 5)
EYE = torch.eye(3, dtype=torch.float64)[None]


@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_the_same_and_is_bounded_as_tightly(network, box, kind):
    for seed in range(25):
        graph = trace(network(kind, seed), SHAPE, torch.float64)
        low, high, points = box(seed)
        small = reduced(graph, boxes_of(graph, low, high))
        assert small.graph.shapes[0] == (6,)
        assert len(small.graph.steps) <= len(graph.steps)
        ends = [end.flatten(1)[:, small.free] for end in (low, high)]
        assert torch.allclose(small.graph(points.flatten(1)[:, small.free]), graph(points))
        bounds, whole = crown(small.graph, *ends).lower(EYE), crown(graph, low, high).lower(EYE)
        # runs of affine steps are one, so that boxes before the first lines are tighter
        assert (bounds >= whole - 1e-9).all()


def test_one_that_would_be_too_large_is_not_made(network, box):
    graph = trace(network("max_pool", 0), SHAPE, torch.float64)
    boxes = boxes_of(graph, *box(0)[:2])
    small = reduced(graph, boxes)
    numbers = sum(w.numel() for step in small.graph.steps for w in getattr(step, "weights", ()))
    assert reduced(graph, boxes, numbers) is not None
    assert reduced(graph, boxes, numbers - 1) is None


def test_a_box_that_leaves_nothing_free_has_one_value(network, box):
    graph, (low, _, _) = trace(network("residual", 1), SHAPE, torch.float64), box(1)
    small = reduced(graph, boxes_of(graph, low, low))
    assert small.graph.shapes[0] == (0,)
    assert torch.allclose(small.graph(low.new_zeros(1, 0)), graph(low))
