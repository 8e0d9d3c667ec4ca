"""The gradient of a cross-entropy that is known before the forward pass: nothing is kept or redone.

A module that draws keeps the network's activations of every draw until the loss comes, or computes
them once more. Where the labels are known a few draws are finished at a time: forward, gradient at
the images, and their memory is free. Weights get no gradient, which spares another third of the
work.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.estimators.mean_loss import own_loss
from art_disc.estimators.voting import Voting

Draw = Callable[[Tensor, int], Tensor]
Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class KnownLoss:
    """Plain cross-entropy and the labels that it will be asked for.

    Of a draw it sees the log-probability l_d of the label alone, since the row's log-probabilities
    are normalised whatever the vote. So its gradient is a weighted sum of those of the l_d, with
    weights softmax_d(l_d) for the mean probability, exp(l_d) / (votes + 1/2) for hard votes and
    1 / draws for the mean loss; it grows draw by draw.

    Attributes:
        reduction: `mean` or `sum` over the images.
        labels: One number an image, shape (n,).
    """

    reduction: str
    labels: Tensor

    @classmethod
    def of(cls, loss: Any, labels: Tensor, voting: Voting) -> "KnownLoss | None":
        """Return that of a loss, perhaps in a `MeanLoss`; None where it is no plain cross-entropy.

        The voting's `output` must be one of which cross-entropy sees what is said above.
        """
        plain = own_loss(loss)
        if type(plain) is not nn.CrossEntropyLoss or plain.weight is not None:
            return None
        fits = plain.label_smoothing == 0 and plain.reduction in ("mean", "sum")
        # images of a class that is left out have no loss, and do not count in the mean
        fits = fits and plain.ignore_index < 0
        fits = fits and labels.ndim == 1 and voting.output != "probs"
        return cls(plain.reduction, labels) if fits else None

    def answer(self, x: Tensor, draw: Draw, network: Network, voting: Voting, rows: int) -> Tensor:
        """Return scores (n, classes) whose gradient is that of the loss, whatever comes back.

        `x` are images before the first draw, from which `draw` makes drawn image number i, and
        `network` logits; it takes `rows` images at once.
        """
        total, found = torch.zeros_like(x), []
        level = x.new_full((len(x),), -math.inf)
        at_once = max(1, rows // max(1, len(x)))
        for start in range(0, voting.eot_samples, at_once):
            numbers = range(start, min(start + at_once, voting.eot_samples))
            leaves = [x.detach().requires_grad_() for _ in numbers]
            images = torch.stack([draw(leaf, i) for leaf, i in zip(leaves, numbers, strict=True)])
            log_probs, slopes = self._finish(images.detach(), network, rows)
            moved = torch.autograd.grad(images, leaves, slopes)
            found.append(log_probs)
            weights = self._log_weights(log_probs, voting)
            # relative to the highest so far, as in logsumexp: nothing overflows
            before, level = level, weights.amax(dim=0).maximum(level)
            total *= _beside((before - level).exp(), total)
            for weight, slope in zip(weights, moved, strict=True):
                total += _beside((weight - level).exp(), total) * slope
        draws = torch.cat(found)
        shift = level - self._log_divisor(draws, voting)
        total *= -_beside(shift.exp(), total)
        if self.reduction == "mean":
            total /= len(x)
        made: Tensor = _Known.apply(x, total, voting.count(draws))  # type: ignore[no-untyped-call]
        return made

    def _finish(self, images: Tensor, network: Network, rows: int) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (draws, n, classes), and the labels' gradients at the images."""
        number, n = images.shape[:2]
        labels = self.labels.repeat(number)[:, None]
        # gradients take the place of the images that they are of: nobody needs these any more
        stack, found = images.flatten(0, 1), []
        parts = max(1, math.ceil(len(stack) / rows))
        for part, label in zip(stack.tensor_split(parts), labels.tensor_split(parts), strict=True):
            leaf = part.detach().requires_grad_()
            log_probs = torch.log_softmax(network(leaf), dim=1)
            (slope,) = torch.autograd.grad(log_probs.gather(1, label).sum(), leaf)
            part.copy_(slope)
            found.append(log_probs.detach())
        return torch.cat(found).view(number, n, -1), images

    def _log_weights(self, draws: Tensor, voting: Voting) -> Tensor:
        """Return logarithms of the weights of draws, shape (draws, n), but for the divisor."""
        of_label = draws.gather(2, self.labels.expand(len(draws), -1)[:, :, None])[:, :, 0]
        return torch.zeros_like(of_label) if voting.gradient == "mean_loss" else of_label

    def _log_divisor(self, draws: Tensor, voting: Voting) -> Tensor:
        """Return the logarithm of what the weights of all draws are divided by, shape (n,)."""
        if voting.gradient == "mean_loss" or voting.vote == "mean":
            return self._log_weights(draws, voting).logsumexp(dim=0)
        share = voting.log_probs(draws).gather(1, self.labels[:, None])[:, 0]
        return share + math.log(len(draws) + draws.shape[2] / 2)


def _beside(factors: Tensor, images: Tensor) -> Tensor:
    """Return one factor an image, in a shape that multiplies images."""
    return factors.view(-1, *[1] * (images.ndim - 1))


class _Known(torch.autograd.Function):
    """Scores, and a gradient that was computed with them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grads: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG004 - protocol
        ctx.save_for_backward(grads)
        return scores.view_as(scores)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None, None]:
        return ctx.saved_tensors[0], None, None
