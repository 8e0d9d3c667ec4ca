"""The mean of each draw's loss, beside the loss of the draws' mean probability."""

from typing import Any

import torch
from torch import Tensor, nn

_NAME = "_art_disc_draws"
# these take the labels as numbers, and ART gives them so only where it knows the loss by its type
_OF_INDICES = (nn.NLLLoss, nn.MultiMarginLoss)


def carrying(row: Tensor, draws: Tensor) -> Tensor:
    """Return the row (n, classes) itself, with the draws (draws, n, classes) it was counted from.

    They are an attribute; what is computed from the row carries nothing. No output of shape
    (n, classes) can do without: let s be the softmax of the row. Cross-entropy sends back s - e_y
    for label y, and the mean loss wants p_d - e_y at draw d. A linear map from one to the other for
    every y maps sum_y s_y (s - e_y) = 0 to p_d - s, so p_d = s for all d.
    """
    setattr(row, _NAME, draws)
    return row


class MeanLoss(nn.Module):
    """The mean over draws of a loss of each draw; of the row alone where no draws come with it.

    ART's expectation over transformation has the same gradient, by repeating rows.

    Args:
        loss: Of scores (n, classes) and labels.
    """

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.loss = loss

    @property
    def reduction(self) -> str:
        """That of the loss, which ART's `compute_loss` changes for the time of a call."""
        return str(self.loss.reduction)

    @reduction.setter
    def reduction(self, word: str) -> None:
        self.loss.reduction = word

    def forward(self, scores: Tensor, labels: Tensor) -> Any:
        """Return the loss of what a module of draws returned, of the wrapped one's shape.

        Scores have shape (n, classes); labels are as for the wrapped loss, or one-hot.
        """
        if isinstance(self.loss, _OF_INDICES) and labels.ndim == 2:
            labels = labels.argmax(dim=1)
        draws = getattr(scores, _NAME, None)
        if draws is None:
            return self.loss(scores, labels)
        return torch.stack([self.loss(draw, labels) for draw in draws]).mean(dim=0)


def own_loss(loss: Any) -> Any:
    """Return the loss inside a `MeanLoss`; any other as it is."""
    return loss.loss if isinstance(loss, MeanLoss) else loss
