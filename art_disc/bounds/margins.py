"""The margins of a label over each other class, and how far rounding moves their bounds."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from art_disc.bounds.affine import Affine
from art_disc.bounds.alternatives import Alternatives
from art_disc.bounds.graph import Graph, Step
from art_disc.bounds.interval import boxes_of
from art_disc.bounds.linear import UNIT, Bounds
from art_disc.bounds.maxima import Maxima
from art_disc.bounds.piecewise import LeakyRelu, Piecewise

_FACTOR, _LEAST = 8.0, 1e-5
# four units in the last place of float32: what a sum of many terms is seen to be off by, no proof
FLOAT32 = 2.0**-22


def margin_rows(labels: Tensor, classes: int) -> Tensor:
    """Return, for labels (n,), the rows label less other class, shape (n, classes - 1, classes).

    Classes keep their order; pulled back, these rows fold the margin into the last layer.

    >>> margin_rows(torch.tensor([1]), 3)
    tensor([[[-1.,  1.,  0.],
             [ 0.,  1., -1.]]])
    """
    eye = torch.eye(classes)
    others = [[c for c in range(classes) if c != label] for label in labels.tolist()]
    return eye[labels][:, None] - eye[torch.tensor(others).reshape(len(labels), -1)]


def interval_margins(
    graph: Graph, low: Tensor, high: Tensor, rows: Tensor, pixels: Alternatives | None = None
) -> Tensor:
    """Bound rows (n, r, classes) of the output by IBP, the last affine steps folded in, (n, r)."""
    return Bounds(graph, boxes_of(graph, low, high, pixels), pixels=pixels).lower(rows)


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """How large values in boxes of inputs can be, and how far rounding can move bounds of them.

    Attributes:
        largest: Largest size of a logit in each box, at least 1, shape (n,).
        hidden: Largest size of any value, shape (n,).
        error: By how much bounds of a margin that are worked out in float64 can be wrong, and more:
            by how much the network in float32 can, were each step off by 2^-22 of its terms, (n,).
    """

    largest: Tensor
    hidden: Tensor
    error: Tensor


@torch.no_grad()
def magnitudes(graph: Graph, low: Tensor, high: Tensor) -> Magnitudes:
    """Bound sizes and rounding errors by IBP, for n boxes of inputs (n, ...) in float64.

    A step A x + b, or a pulled row of it, is off by at most u (|A| max|x| + |b|), where u is twice
    2^-53 times the number of terms; matrices of several such steps are too, where sizes go through
    them without regard to what cancels. What x is off by is carried on by |A|. Tanh is off by at
    most u of its value, and so are offsets of its lines, and values of a leaky ReLU or a ramp; a
    slope above 1 carries errors on as many times larger. Any other step that is not affine adds to
    this at most what the box is off by for which its lines were made, and boxes of CROWN are off by
    as much as what is pulled to them: a factor of 2, times the k inputs of a window (its chords may
    add up to k) or a slope beyond 1. All these factors are taken at once. A margin is the
    difference of two logits.

    So much is a proof for float64. For float32 u is at least 2^-22, and that is none: a sum of
    many terms may lose more, although it rarely does.
    """
    boxes = boxes_of(graph, low, high)
    sizes = [torch.maximum(low.abs(), high.abs())]
    errors = [torch.zeros_like(low)]
    unit = max(_unit(graph), FLOAT32)
    for made, step, taken in graph:
        if isinstance(step, Affine):
            sizes.append(step.size(*[sizes[i] for i in taken]))
            error = step.linear(*[errors[i] for i in taken], absolute=True)
            errors.append(error + unit * sizes[made])
        else:
            own = torch.maximum(*(end.abs() for end in boxes[made]))
            errors.append(_carried(step, errors[taken[0]], unit * own))
            sizes.append(own + errors[made])

    def most(values: list[Tensor]) -> Tensor:
        largest = torch.stack([value.flatten(1).abs().amax(dim=1) for value in values]).amax(dim=0)
        return torch.where(largest.isfinite(), largest, torch.inf)

    return Magnitudes(most(list(boxes[-1])).clamp(min=1.0), most(sizes), 2 * most([errors[-1]]))


def _carried(step: Step, before: Tensor, rounding: Tensor) -> Tensor:
    """Return what a step that is not affine makes of errors, and adds by its own rounding."""
    if isinstance(step, Maxima):
        return step(before)
    steepest, rounds = (step.steepest, step.rounds) if isinstance(step, Piecewise) else (1.0, True)
    carried = steepest * before
    return carried + rounding if rounds else carried


def _unit(graph: Graph) -> float:
    """Relative error of a sum in float64, times what steps that are not affine make of errors."""
    terms, growth = 0, 1.0
    for _, step, _ in graph:
        if isinstance(step, Affine):
            terms = max(terms, step.terms)
        elif isinstance(step, Maxima):
            growth *= 2 * step.windows.shape[1]
        elif isinstance(step, LeakyRelu):
            growth *= 2 * max(1.0, step.slope)
        else:
            growth *= 2
    # tables of all values are added up
    terms += sum(shape.numel() for shape in graph.shapes)
    return 2 * (terms + len(graph.steps) + 16) * UNIT * growth


@torch.no_grad()
def float_tolerance(graph: Graph, low: Tensor, high: Tensor) -> float:
    """By how much a bound in float64 must exceed 0 to count for a network that runs in float32.

    Eight times the largest difference between float32 and float64 among the network's margins at
    the ends of the given boxes (n, ...), their middles and a random corner; at least 1e-5 times the
    largest logit or 1; infinite where some value is not finite. A tolerance and no proof: other
    inputs may differ by more, and bounds that are themselves in float32 are off by more where they
    are loose.
    """
    generator = torch.Generator().manual_seed(0)
    corner = torch.where(torch.rand(low.shape, generator=generator) < 0.5, low, high)
    inputs = torch.cat([low, high, (low + high) / 2, corner]).to(torch.float32)
    exact = graph.to(torch.float64)(inputs.double())
    rows = margin_rows(exact.argmax(dim=1), exact.shape[1]).double()
    gaps = rows @ (graph.to(torch.float32)(inputs).double() - exact)[..., None]
    largest, gap = exact.abs().max().clamp(min=1.0), gaps.abs().max()
    found = torch.stack([_LEAST * largest, _FACTOR * gap]).max()
    return float(found) if found.isfinite() else math.inf
