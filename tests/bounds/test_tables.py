"""Tables hold what the network computes, and sums of them bound it from below."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from art_disc.bounds import (
    Choices,
    Patterns,
    RoundedNetwork,
    Sums,
    TabledBounds,
    Tables,
    boxes_of,
    crown,
    trace,
)
from art_disc.bounds.affine import Affine, Dense
from art_disc.bounds.convolutions import Convolution, TransposedConvolution
from art_disc.bounds.graph import Graph
from art_disc.bounds.maxima import Maxima
from art_disc.bounds.piecewise import Piecewise, Relu
from studies.random_networks import KINDS

SHAPE, CLASSES = (2, 5, 5), torch.arange(3)
# no table but of the inputs, tables of some neurons, and of all that can be
ROOMS = (0, 40, 1e9)
EYE = torch.eye(3, dtype=torch.float64)


def case(seed, grid=None):
    """Five free units of 2 or 3 choices, of one or two values: their box, and all inputs."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, 50)
    places = rng.choice(50, 8, replace=False)
    parts = [places[:1], places[1:2], places[2:4], places[4:6], places[6:8]]
    values = [rng.uniform(-0.5, 1.5, (int(rng.integers(2, 4)), len(part))) for part in parts]
    if grid:
        x, values = np.round(x * grid) / grid, [np.round(v * grid) / grid for v in values]
    low, high, rows = x.copy(), x.copy(), []
    for part, listed in zip(parts, values, strict=True):
        low[part], high[part] = listed.min(axis=0), listed.max(axis=0)
    for digits in itertools.product(*(range(len(listed)) for listed in values)):
        rows.append(x.copy())
        for part, listed, digit in zip(parts, values, digits, strict=True):
            rows[-1][part] = listed[digit]
    choices = Choices(tuple(map(torch.from_numpy, parts)), tuple(map(torch.from_numpy, values)))
    ends = [torch.from_numpy(end.reshape(1, *SHAPE)) for end in (low, high)]
    return choices, *ends, torch.from_numpy(np.array(rows).reshape(-1, *SHAPE))


def values_of(graph, x):
    values = [x]
    for _, step, taken in graph:
        values.append(step(*[values[i] for i in taken]))
    return values


def everyone(choices):
    return Patterns(choices, tuple(range(len(choices.values))))


def tabled(network, kind, seed, room):
    choices, low, high, inputs = case(seed)
    graph = trace(network(kind, seed), SHAPE, torch.float64)
    boxes = boxes_of(graph, low, high)
    return graph, boxes, Tables(graph, boxes, choices, room=room), inputs


def agree(tables, values):
    """Whether tables hold values (inputs, ...) of all patterns in order."""
    patterns = everyone(tables.choices)
    return all(
        torch.allclose(
            table.values[patterns.number(table.units)], values[value].flatten(1)[:, table.places]
        )
        for value, found in tables.tables.items()
        for table in found
    )


@pytest.mark.parametrize("kind", KINDS)
def test_tables_hold_the_values_of_the_network(network, kind):
    counts = dict.fromkeys(ROOMS, 0)
    for seed, room in itertools.product(range(5), ROOMS):
        graph, _, tables, inputs = tabled(network, kind, seed, room)
        assert agree(tables, values_of(graph, inputs))
        counts[room] += sum(len(found) for value, found in tables.tables.items() if value)
    assert counts[0] == 0
    assert counts[1e9] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_listed_patterns_are_those_of_the_network(network, kind):
    for seed, room in itertools.product(range(2), ROOMS):
        graph, _, tables, inputs = tabled(network, kind, seed, room)
        rows = torch.from_numpy(np.random.default_rng(seed).choice(len(inputs), 5))
        digits, rest = [], rows
        for size in reversed(tables.choices.sizes(tuple(range(5)))):
            digits.append(rest % size)
            rest = rest // size
        listed = replace(everyone(tables.choices), digits=torch.stack(digits[::-1], dim=1))
        found = tables.values(len(graph.steps), CLASSES, listed)
        assert torch.allclose(found, graph(inputs[rows]))


def excess(network, kind, nets, rooms=ROOMS):
    """By how much bounds from below of the outputs, and of their negatives, are too large."""
    found = []
    for seed, room in itertools.product(range(nets), rooms):
        graph, boxes, tables, inputs = tabled(network, kind, seed, room)
        sums = TabledBounds(tables, boxes).sums(len(graph.steps), CLASSES, torch.cat([EYE, -EYE]))
        truth = graph(inputs) @ torch.cat([EYE, -EYE]).T
        merged = sums.merged(100)
        of_all, of_each = truth.amin(dim=0), merged.at(everyone(tables.choices))
        ends = ((sums.least(), of_all), (merged.least(), of_all), (of_each, truth))
        found += [float((bound - true).max()) for bound, true in ends]
        assert (merged.least() >= sums.least() - 1e-9).all()
    return max(found)


@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_tables_bound_every_output(network, kind):
    assert excess(network, kind, 10) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_exact_where_all_is_in_tables(network, kind):
    for seed in range(5):
        graph, boxes, tables, inputs = tabled(network, kind, seed, 1e9)
        sums = TabledBounds(tables, boxes).sums(len(graph.steps), CLASSES, EYE)
        truth = graph(inputs).amin(dim=0)
        assert torch.allclose(sums.merged(10**6).least(), truth)


def test_bounds_without_tables_are_those_of_crown(network):
    graph, boxes, tables, _ = tabled(network, "relu", 0, 0)
    least = TabledBounds(tables, boxes).sums(len(graph.steps), CLASSES, EYE).least()
    # units of two values each may do better than their boxes
    assert (least >= crown(graph, *boxes[0]).lower(EYE[None])[0] - 1e-9).all()


def scaled(method, **factors):
    def wrong(self, box):
        lines = method(self, box)
        return replace(lines, **{name: f * getattr(lines, name) for name, f in factors.items()})

    return wrong


@pytest.mark.parametrize(("kind", "owner"), [("relu", Piecewise), ("max_pool", Maxima)])
@pytest.mark.parametrize("factors", [{"upper": 0.95}, {"upper_offset": 0.95}, {"lower": 1.05}])
def test_wrong_lines_are_seen(monkeypatch, network, kind, owner, factors):
    monkeypatch.setattr(owner, "lines", scaled(owner.lines, **factors))
    assert excess(network, kind, 12, (0,)) > 1e-4


def test_a_maximum_of_too_few_is_seen(monkeypatch, network):
    rivals = Maxima.rivals

    def fewer(self, box):
        found = rivals(self, box)
        return found & (torch.arange(found.shape[2]) < found.shape[2] - 1)

    monkeypatch.setattr(Maxima, "rivals", fewer)
    cases = [tabled(network, "max_pool", seed, 1e9) for seed in range(12)]
    wrong = [not agree(tables, values_of(graph, inputs)) for graph, _, tables, inputs in cases]
    assert any(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_a_part_are_those_of_a_box_of_its_own(network, kind):
    for seed, room in itertools.product(range(3), ROOMS):
        graph, _, tables, inputs = tabled(network, kind, seed, room)
        kept = {1: torch.tensor([1]), 3: torch.tensor([0, 1])}
        choices = tables.choices.kept(kept)
        part = inputs[tables.choices.numbers(tuple(range(5)), kept)]
        own = boxes_of(graph, part.amin(dim=0)[None], part.amax(dim=0)[None])
        inner = Tables(graph, own, choices, room=room, within=(tables, kept))
        assert agree(inner, values_of(graph, part))
        sums = TabledBounds(inner, own).sums(len(graph.steps), CLASSES, torch.cat([EYE, -EYE]))
        truth = (graph(part) @ torch.cat([EYE, -EYE]).T).amin(dim=0)
        assert (sums.merged(100).least() <= truth + 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_few_places_go_back_as_rows_of_all(network, kind):
    generator = torch.Generator().manual_seed(0)
    for seed in range(3):
        graph, (low, high) = trace(network(kind, seed), SHAPE, torch.float64), case(seed)[1:3]
        boxes = boxes_of(graph, low, high)
        for made, step, taken in graph:
            size = graph.shapes[made].numel()
            places = torch.randperm(size, generator=generator)[: max(1, size // 2)]
            rows = torch.randn(4, len(places), generator=generator, dtype=torch.float64)
            whole = rows.new_zeros(4, size).index_copy(1, places, rows)
            whole = whole.reshape(4, *graph.shapes[made])
            if isinstance(step, Affine):
                found, wanted = step.pull_at(rows, places), step.pull(whole)
                offset = rows @ (
                    step.offset_at(places, graph.shapes[made]) + rows.new_zeros(len(places))
                )
                assert torch.allclose(offset, whole.new_zeros(4) + step.constant(whole))
            else:
                lines = step.lines(boxes[taken[0]])
                (part, constant), (pulled, total) = (
                    lines.pull_at(rows, places),
                    lines.pull(whole[None]),
                )
                assert torch.allclose(constant, total[0])
                found, wanted = [part], [pulled[0]]
            for (inputs, part), full in zip(found, wanted, strict=True):
                scattered = full.flatten(1).new_zeros(full.flatten(1).shape)
                assert torch.allclose(scattered.index_copy(1, inputs, part), full.flatten(1))


def test_sums_are_merged_where_the_union_stays_small():
    choices = Choices((torch.tensor([0]),) * 4, (torch.zeros(2, 1),) * 4)
    sums = Sums.of(choices, torch.tensor([1.0]))
    for units in ((0,), (0, 1), (1, 2), (3,)):
        sums.add(units, torch.arange(2.0 ** len(units))[:, None] - 1)
    assert {units: len(v) for units, v in sums.merged(4).tables.items()} == {
        (0, 1): 4,
        (1, 2): 4,
        (3,): 2,
    }
    assert list(sums.merged(16).tables) == [(0, 1, 2, 3)]
    assert torch.equal(sums.merged(16).least(), torch.tensor([1.0 - 4]))
    # the first unit is the most significant
    assert sums.at(everyone(choices))[-1] == 1 + 0 + 2 + 2 + 0


@pytest.mark.parametrize("kind", ["relu", "max_pool", "residual"])
def test_what_lines_cost_a_row_is_told_by_the_units_behind_them(network, kind):
    """Of rows that were pulled together as of each alone; of units that the neurons see alone."""
    seen = 0
    for seed, room in itertools.product(range(4), (0, 40)):
        graph, boxes, tables, _ = tabled(network, kind, seed, room)
        bounds, last = TabledBounds(tables, boxes), len(graph.steps)
        sums = bounds.sums(last, CLASSES, EYE)
        for row in range(3):
            wanted = torch.zeros(5, dtype=torch.float64)
            for value, places, rows in bounds.sums(last, CLASSES, EYE[[row]]).relaxed:
                gap = bounds.bounds.lines[value].gap().flatten()
                for place, weight in zip(places.tolist(), rows[0].tolist(), strict=True):
                    wanted[tables.seen[value][:, place]] += abs(weight) * gap[place]
            assert torch.allclose(bounds.loss(sums, row), wanted)
            seen += int((wanted > 0).sum())
    assert seen > 10


@pytest.mark.parametrize("kind", ["relu", "max_pool", "residual"])
def test_rounding_is_charged_in_exact_arithmetic(network, kind):
    zeros, beyond = 0, 0
    for seed in range(15):
        choices, low, high, inputs = case(seed, grid=64)
        net = RoundedNetwork(trace(network(kind, seed), SHAPE, torch.float64), low[0], high[0], 6)
        graph = net.graph
        ends = [net.entry(end) for end in (low, high)]
        values = tuple(net.entry(v, p) for v, p in zip(choices.values, choices.places, strict=True))
        boxes = boxes_of(graph, *ends)
        tables = Tables(graph, boxes, replace(choices, values=values), room=40)
        rows = torch.randn(
            50, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        sums = TabledBounds(tables, boxes).sums(len(graph.steps), CLASSES, rows)
        truth = graph(net.entry(inputs)) @ rows.T
        found = sums.merged(10**6)
        zeros += int((found.error <= 0).sum())
        beyond += int((found.least() > truth.amin(dim=0)).sum())
        beyond += int((found.at(everyone(tables.choices)) > truth).sum())
    assert zeros == 0
    assert beyond == 0


def test_rounding_of_sums_of_many_tables_is_charged_to_the_largest_of_them():
    # behind the only large number 600 tables are added, each of which the sum rounds up to twice it
    least, one = 2.0**-53 * (1 + 2.0**-10), torch.ones(1, 1, dtype=torch.float64)
    steps = (Dense((least * one.expand(1, 600),), None), Relu(), Dense((one,), one[0]))
    shapes = tuple(torch.Size((size,)) for size in (600, 1, 1, 1))
    graph = Graph(steps, ((0,), (1,), (2,)), shapes, rigorous=True)
    choices = Choices(tuple(torch.arange(600)[:, None]), (torch.cat([one, 2 * one]),) * 600)
    boxes = boxes_of(graph, one.expand(1, 600), 2 * one.expand(1, 600))
    bounds = TabledBounds(Tables(graph, boxes, choices, room=1e9), boxes)
    sums = bounds.sums(3, torch.tensor([0]), one)
    assert len(sums.tables) == 600
    assert Fraction(float(sums.least())) <= 1 + 600 * Fraction(least)


def test_convolutions_know_their_windows_at_every_border():
    rng = np.random.default_rng(0)
    for stride, padding, dilation, groups in itertools.product(
        (1, 2, 3), (0, 1, 2), (1, 2), (1, 2)
    ):
        weight = torch.from_numpy(rng.normal(size=(4, 4 // groups, 3, 2)))
        options = {"stride": (stride, 1), "padding": (padding, 1), "dilation": (dilation, 1)}
        options["groups"] = groups
        beyond = (int(rng.integers(0, max(stride, dilation))), 0)
        for step in (
            Convolution(weight, None, options, (4, 7, 6)),
            TransposedConvolution(weight, None, options, (4, 7, 6), beyond),
        ):
            x = torch.from_numpy(rng.normal(size=(3, 4, 7, 6)))
            out = step(x)
            places = torch.from_numpy(rng.choice(out[0].numel(), 9, replace=False))
            eye = torch.eye(9, dtype=torch.float64)
            ((inputs, matrix),) = step.pull_at(eye, places)
            assert torch.allclose(x.flatten(1)[:, inputs] @ matrix.T, out.flatten(1)[:, places])
            rows = eye.new_zeros(9, out[0].numel()).scatter(1, places[:, None], 1.0)
            (pulled,) = step.pull(rows.reshape(9, *out.shape[1:]))
            assert pulled.shape[1:] == x.shape[1:]
            assert torch.allclose(x.flatten(1) @ pulled.flatten(1).T, out.flatten(1)[:, places])
