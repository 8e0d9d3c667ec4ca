"""What a pixel can be: one of a few colours, of which the box around them holds many more."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from art_disc.bounds.affine import Affine, Box, Scale
from art_disc.bounds.convolutions import Convolution
from art_disc.bounds.graph import Graph
from art_disc.core.showing import Shown


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives(Shown):
    """Inputs whose pixels each take their colour from one of m images, whatever others take.

    A box around the colours of a pixel lets each channel vary by itself. The first convolution, and
    a linear function of the input, are least and largest at one of the colours, so that these
    bounds are the best there are for each value by itself. With one channel they are the box's.

    Attributes:
        values: Shape (n, m, c, h, w).
    """

    values: Tensor

    def lowest(self, rows: Tensor) -> Tensor:
        """Return the least values (n, r) of rows (n, r, c, h, w) of the input."""
        products = torch.einsum("nrchw,nmchw->nrmhw", rows, self.values)
        return products.amin(dim=2).flatten(2).sum(dim=2)

    def scaled(self, step: Scale) -> Self:
        """Return what a factor and an offset make of them."""
        n, m = self.values.shape[:2]
        return type(self)(step(self.values.flatten(0, 1)).unflatten(0, (n, m)))

    def interval(self, step: Convolution) -> Box:
        """Return the least box around the values of a convolution of these inputs.

        Each weight of a window takes the colour of its pixel that suits it: a sum of least, or of
        largest, products of pixels.
        """
        n, m = self.values.shape[:2]
        stride, padding, dilation = (step.options[k] for k in ("stride", "padding", "dilation"))
        around = (padding[1],) * 2 + (padding[0],) * 2
        images = functional.pad(self.values.flatten(0, 1), around)
        kernel = step.weight.shape[2:]
        sides = [
            (size + 2 * p - d * (k - 1) - 1) // s
            for size, p, d, k, s in zip(
                step.shape[1:], padding, dilation, kernel, stride, strict=True
            )
        ]
        total: list[Tensor | float] = [0.0, 0.0]
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                down, right = (
                    slice(at * d, at * d + side * s + 1, s)
                    for at, d, side, s in zip((i, j), dilation, sides, stride, strict=True)
                )
                weight = step.weight[:, :, i : i + 1, j : j + 1]
                seen = images[:, :, down, right]
                made = functional.conv2d(seen, weight, groups=step.options["groups"])
                colours = made.unflatten(0, (n, m))
                total = [total[0] + colours.amin(dim=1), total[1] + colours.amax(dim=1)]
        low, high = (torch.as_tensor(end) for end in total)
        return (low, high) if step.offset is None else (low + step.offset, high + step.offset)


def first_boxes(graph: Graph, pixels: Alternatives | None) -> dict[int, Box]:
    """Return boxes, by value, of the convolutions that a graph begins with.

    A factor and an offset may come before, but where rounding is charged: theirs would not be.
    """
    if pixels is None:
        return {}
    known, found = {0: pixels}, {}
    for made, step, taken in graph:
        if not isinstance(step, Affine) or taken[0] not in known:
            continue
        if isinstance(step, Scale) and not graph.rigorous:
            known[made] = known[taken[0]].scaled(step)
        elif isinstance(step, Convolution):
            found[made] = known[taken[0]].interval(step)
    return found
