"""Each rounding error of rigorous bounds is charged, by its terms and their sizes."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch

from art_disc.bounds import (
    Choices,
    Patterns,
    Sums,
    TabledBounds,
    Tables,
    boxes_of,
    crown_ibp,
    linear,
    tabled,
)
from art_disc.bounds.affine import Dense, Sum
from art_disc.bounds.graph import Graph
from art_disc.bounds.piecewise import HardTanh, Relu

SIZES = (3, 4, 4, 2)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def chain(*, rigorous=True):
    """A matrix, a ReLU and a matrix, and a box of their input."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 3)), rng.normal(size=(2, 4))
    steps = (
        Dense((tensor(first),), tensor(rng.normal(size=4))),
        Relu(),
        Dense((tensor(second),), tensor(rng.normal(size=2))),
    )
    shapes = tuple(torch.Size((size,)) for size in SIZES)
    low = rng.uniform(-1, 0, (1, 3))
    graph = Graph(steps, ((0,), (1,), (2,)), shapes, rigorous=rigorous)
    return graph, tensor(low), tensor(low + rng.uniform(0.5, 1, (1, 3)))


@pytest.fixture
def by_terms(monkeypatch):
    """Let a rounding error be 2^-20 a term, so that what is charged can be told."""
    for module in (linear, tabled):
        monkeypatch.setattr(module, "relative_error", lambda _, terms: terms * 2.0**-20)


ROWS = tensor([[1.0, -2.0], [-0.5, 3.0]])


def charged(bounds, sums, looked_up):
    """What is to be charged to rows of a chain's output, by each of its parts, shape (parts, 2).

    `sums` are the terms of a sum over a value, and `looked_up` those of looking a value up, or 0.
    """
    graph, parts, rows = bounds.graph, [], ROWS
    for value in (3, 2, 1):
        largest = bounds.largest(value)[0]
        parts.append(looked_up(value) * (rows.abs() @ largest))
        step, before = graph.steps[value - 1], bounds.largest(value - 1)
        if isinstance(step, Dense):
            size, terms = step.size(before)[0], step.terms
            pulled = rows @ step.weights[0]
        else:
            lines = bounds.lines[value]
            size, terms = lines.size(before)[0], 0
            pulled = lines.pull(rows[None])[0][0]
        parts.append((sums(value) + terms) * (rows.abs() @ size))
        rows = pulled
    parts.append(looked_up(0) * (rows.abs() @ bounds.largest(0)[0]))
    return torch.stack(parts) * 2.0**-20


def test_linear_bounds_charge_each_step_and_the_box_they_end_in(by_terms):
    graph, low, high = chain()
    exact = crown_ibp(*chain(rigorous=False))
    bounds = crown_ibp(graph, low, high)
    # the same boxes and lines: what is charged to them is for the next test
    bounds.boxes, bounds.lines = exact.boxes, exact.lines
    parts = charged(bounds, lambda value: SIZES[value], lambda value: 0 if value else SIZES[0])
    assert int((parts > 0).all(dim=1).sum()) == 4
    found = exact.lower(ROWS[None]) - bounds.lower(ROWS[None])
    assert torch.allclose(found[0], parts.sum(dim=0), rtol=1e-6)


def test_boxes_of_affine_steps_are_widened_by_their_terms(by_terms):
    graph, low, high = chain()
    bounds = crown_ibp(graph, low, high)
    for value in (1, 3):
        step, inner = graph.steps[value - 1], bounds.boxes[value - 1]
        least, most = step.interval(inner)
        error = step.terms * 2.0**-20 * step.size(bounds.largest(value - 1))
        assert torch.allclose(bounds.boxes[value][0], least - error, rtol=0, atol=1e-12)
        assert torch.allclose(bounds.boxes[value][1], most + error, rtol=0, atol=1e-12)


def test_bounds_by_tables_charge_each_step_and_what_is_looked_up(by_terms):
    graph, low, high = chain()
    places = tuple(torch.arange(3)[:, None])
    values = tuple(torch.stack([low[0, i : i + 1], high[0, i : i + 1]]) for i in range(3))
    tables = Tables(graph, boxes_of(graph, low, high), Choices(places, values), room=0)
    bounds = TabledBounds(tables, boxes_of(graph, low, high))
    most = sum(SIZES)
    parts = charged(
        bounds.bounds, lambda value: SIZES[value] + most, lambda value: SIZES[value] + most
    )
    assert bool((parts > 0).all())
    found = bounds.sums(3, torch.arange(2), ROWS)
    assert torch.allclose(found.error, parts.sum(dim=0), rtol=1e-6)


def test_what_is_charged_to_sums_is_taken_off_and_never_lost():
    choices = Choices((torch.tensor([0]),) * 2, (torch.zeros(2, 1),) * 2)
    sums = Sums(choices, tensor([1.0, 2.0, 3.0]), tensor([0.25, 0.5, 0.125]))
    sums.add((0,), tensor([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]]))
    sums.add((0, 1), tensor([[1.0, 0.0, 0.0]] * 4))
    assert sums.least().tolist() == [1.75, 3.5, 2.875]
    for part in (sums.merged(16), sums.merged(1), sums.only(torch.tensor([2, 0]))):
        wanted = [0.125, 0.25] if len(part.error) == 2 else [0.25, 0.5, 0.125]
        assert part.error.tolist() == wanted
    at = sums.at(Patterns(choices, (0, 1)))
    assert at.tolist() == [[2.75, 3.5, 2.875]] * 2 + [[1.75, 4.5, 3.875]] * 2


def branched(rng):
    """Two steps that are not affine share a value, and what each makes is added up or taken off."""
    size = 6
    weight, last = rng.normal(size=(size, 4)), rng.normal(size=(1, size))
    steps = (
        Dense((tensor(weight),), None),
        Relu(),
        HardTanh(-0.5, 0.75),
        Sum((1, int(rng.choice([-1, 1])))),
        Dense((tensor(last),), None),
    )
    shapes = tuple(torch.Size((n,)) for n in (4, size, size, size, size, 1))
    graph = Graph(steps, ((0,), (1,), (1,), (2, 3), (4,)), shapes, rigorous=True)
    low = rng.uniform(-1, 1, (1, 4))
    # hardly a kink lies in so small a box, so that a bound is off by its rounding alone
    return graph, tensor(low), tensor(low + rng.uniform(0, 1e-6, (1, 4)))


def least_of(graph, low, high):
    """Least output at the corners of a box, in exact arithmetic."""
    first, last = (
        [[Fraction(w) for w in row] for row in graph.steps[i].weights[0].tolist()] for i in (0, 4)
    )
    sign, ends = graph.steps[3].signs[1], list(zip(low[0].tolist(), high[0].tolist(), strict=True))
    found = []
    for corner in itertools.product(*ends):
        x = [Fraction(v) for v in corner]
        hidden = [sum(w * v for w, v in zip(row, x, strict=True)) for row in first]
        both = [max(h, 0) + sign * min(max(h, Fraction(-1, 2)), Fraction(3, 4)) for h in hidden]
        found.append(sum(w * v for w, v in zip(last[0], both, strict=True)))
    return min(found)


def bounded(graph, low, high):
    """Bounds of the output from below: by lines, and by tables of nothing but the input."""
    boxes, one = boxes_of(graph, low, high), tensor([[1.0]])
    choices = Choices(
        tuple(torch.arange(4)[:, None]),
        tuple(torch.stack([low[0, i : i + 1], high[0, i : i + 1]]) for i in range(4)),
    )
    by_tables = TabledBounds(Tables(graph, boxes, choices, room=0), boxes)
    return (
        float(crown_ibp(graph, low, high).lower(one[None])[0, 0]),
        float(by_tables.sums(5, torch.tensor([0]), one).least()),
    )


def test_a_value_that_two_steps_share_is_charged_for_each_of_them(by_terms):
    """Rows of both are added; the charge is of each before that, whatever cancels."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        graph, low, high = branched(rng)
        plain = Graph(graph.steps, graph.inputs, graph.shapes)
        bounds, exact = crown_ibp(graph, low, high), crown_ibp(plain, low, high)
        bounds.boxes, bounds.lines = exact.boxes, exact.lines
        one = tensor([[1.0]])
        at_sum = one @ graph.steps[4].weights[0]
        last = graph.steps[4]
        wanted = (1 + last.terms) * (one.abs() @ last.size(bounds.largest(4))[0])
        wanted = wanted + (6 + 2) * (
            at_sum.abs() @ graph.steps[3].size(bounds.largest(2), bounds.largest(3))[0]
        )
        together = 0
        for value, part in zip((2, 3), graph.steps[3].pull(at_sum), strict=True):
            size = bounds.lines[value].size(bounds.largest(1))[0]
            wanted = wanted + 6 * (part.abs() @ size)
            together = together + bounds.lines[value].pull(part[None])[0][0]
        step = graph.steps[0]
        wanted = wanted + (6 + step.terms) * (together.abs() @ step.size(bounds.largest(0))[0])
        wanted = wanted + 4 * ((together @ step.weights[0]).abs() @ bounds.largest(0)[0])
        found = exact.lower(one[None]) - bounds.lower(one[None])
        assert torch.allclose(found[0], wanted * 2.0**-20, rtol=1e-6)


def test_a_value_that_two_steps_share_is_bounded_in_exact_arithmetic():
    rng, beyond = np.random.default_rng(1), np.zeros(2, int)
    for _ in range(60):
        graph, low, high = branched(rng)
        truth = least_of(graph, low, high)
        for bound in bounded(graph, low, high):
            assert Fraction(bound) <= truth
        plain = Graph(graph.steps, graph.inputs, graph.shapes)
        beyond += [Fraction(bound) > truth for bound in bounded(plain, low, high)]
    assert (beyond > 0).all()
