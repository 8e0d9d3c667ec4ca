"""Factors of channels that are multiplied into the layer before them: fewer steps, equal boxes."""

from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor

from art_disc.bounds.affine import Dense, Scale
from art_disc.bounds.convolutions import Convolution
from art_disc.bounds.graph import Graph, Step
from art_disc.core.errors import InputError


def folded(graph: Graph) -> Graph:
    """Return a graph of the same output, on whose boxes less has to be worked out.

    A `Scale` of channels, what batch normalisation is, goes into the weights of the convolution or
    the dense layer before it, where nothing else takes that one's values. Values between the two
    are gone, and those behind have other numbers. Boxes are equal but for rounding, which nothing
    charges: it is for training, and for no certificate.

    Raises:
        InputError: A graph that is `rigorous`.
    """
    if graph.rigorous:
        msg = "expected a graph that charges no rounding, got a rigorous one; bound that as it is"
        raise InputError(msg)
    takers = Counter(value for taken in graph.inputs for value in taken)
    steps: list[Step] = []
    inputs: list[tuple[int, ...]] = []
    shapes = [graph.shapes[0]]
    place = {0: 0}
    for made, step, taken in graph:
        own = tuple(place[value] for value in taken)
        last = bool(steps) and own == (len(steps),) and takers[taken[0]] == 1
        if last and (both := _both(steps[-1], step)) is not None:
            steps[-1], shapes[-1] = both, graph.shapes[made]
        else:
            steps.append(step)
            inputs.append(own)
            shapes.append(graph.shapes[made])
        place[made] = len(steps)
    return replace(graph, steps=tuple(steps), inputs=tuple(inputs), shapes=tuple(shapes))


def _both(first: Step, second: Step) -> Step | None:
    """Return the two steps as one; None where they are none."""
    if not isinstance(first, Convolution | Dense) or not isinstance(second, Scale):
        return None
    factor, outputs = second.factor, first.outputs
    if torch.broadcast_shapes(factor.shape, outputs) != outputs:
        # one for every pixel
        return None
    added = second.offset
    if added is not None and torch.broadcast_shapes(added.shape, outputs) != outputs:
        return None
    factor = factor.expand(outputs).reshape(-1)
    offset = _sum(None if first.offset is None else first.offset * second.factor, added)
    if offset is not None:
        offset = offset.expand(outputs)
    if isinstance(first, Dense):
        weights = tuple(weight * factor[:, None] for weight in first.weights)
        return replace(first, weights=weights, offset=offset)
    return replace(first, weight=first.weight * factor[:, None, None, None], offset=offset)


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
