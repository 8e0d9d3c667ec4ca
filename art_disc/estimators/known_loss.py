"""The gradient of a cross-entropy that is known before the forward pass: nothing is kept or redone.

A module that draws keeps the network's activations of every draw until the loss comes, or computes
them once more. Where the labels are known each part of the draws is finished at once: forward,
gradient at the drawn images, and the activations are free. Weights get no gradient, which spares
another third of the work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.estimators.mean_loss import own_loss
from art_disc.estimators.voting import Voting


@dataclass(frozen=True, slots=True)
class KnownLoss:
    """Plain cross-entropy and the labels that it will be asked for.

    Of a draw it sees the log-probability of the label alone, whatever the vote: the row's own
    log-probabilities are normalised. So the gradient of that is taken part by part, and the factor
    of each draw is found when all are done.

    Attributes:
        reduction: `mean` or `sum` over the images.
        labels: One number an image, shape (n,).
    """

    reduction: str
    labels: Tensor

    @classmethod
    def of(cls, loss: Any, labels: Tensor, voting: Voting) -> "KnownLoss | None":
        """Return that of a classifier's loss, or None where it is no plain cross-entropy.

        Args:
            loss: Any loss, perhaps in a `MeanLoss`.
            labels: What it will be given.
            voting: Its `output` must be one of which cross-entropy sees what is said above.
        """
        plain = own_loss(loss)
        if type(plain) is not nn.CrossEntropyLoss or plain.weight is not None:
            return None
        fits = plain.label_smoothing == 0 and plain.reduction in ("mean", "sum")
        fits = fits and labels.ndim == 1 and voting.output != "probs"
        return cls(plain.reduction, labels) if fits else None

    def answer(
        self, images: Tensor, classify: Callable[[Tensor], Tensor], voting: Voting, rows: int
    ) -> Tensor:
        """Return scores (n, classes) whose gradient is that of the loss, whatever comes back.

        Args:
            images: Drawn images, shape (draws, n, ...), in memory of their own, which is used up.
            classify: From images to logits.
            voting: How draws are counted.
            rows: Images at once, >= 1.
        """
        number, n = images.shape[:2]
        labels = self.labels.repeat(number)[:, None]
        # gradients take the place of the images that they are of: nobody needs these any more
        stack, found = images.detach().flatten(0, 1), []
        for start in range(0, len(stack), rows):
            part = slice(start, start + rows)
            leaf = stack[part].detach().requires_grad_()
            log_probs = torch.log_softmax(classify(leaf), dim=1)
            of_label = log_probs.gather(1, labels[part]).sum()
            (stack[part],) = torch.autograd.grad(of_label, leaf)
            found.append(log_probs.detach())
        draws = torch.cat(found).view(number, n, -1).requires_grad_()
        (share,) = torch.autograd.grad(self._value(draws, voting), draws)
        stack *= share.flatten(0, 1).gather(1, labels).view(-1, *[1] * (stack.ndim - 1))
        scores = voting.count(draws.detach())
        made: Tensor = _Known.apply(images, stack.view(images.shape), scores)  # type: ignore[no-untyped-call]
        return made

    def _value(self, draws: Tensor, voting: Voting) -> Tensor:
        """Return the loss of log-probabilities (draws, n, classes), one number."""
        each = voting.gradient == "mean_loss"
        log_probs = draws.mean(dim=0) if each else voting.log_probs(draws)
        losses = -log_probs.gather(1, self.labels[:, None])
        return losses.mean() if self.reduction == "mean" else losses.sum()


class _Known(torch.autograd.Function):
    """Scores, and a gradient that was computed with them."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grads: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG004 - protocol
        ctx.save_for_backward(grads)
        return scores.view_as(scores)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None, None]:
        return ctx.saved_tensors[0], None, None
