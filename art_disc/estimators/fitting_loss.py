"""Whether a loss fits what ART gives it, tried before anybody attacks or trains."""

from typing import Any

import torch

from art_disc.core.errors import InputError
from art_disc.estimators.mean_loss import own_loss


def check_loss(classifier: Any) -> None:
    """Refuse a loss of which ART could take no gradient of a classifier with two classes or more.

    It is tried on equal scores of two images, with labels as ART makes them for its type: numbers
    (int64 for `CrossEntropyLoss`, `NLLLoss` and `MultiMarginLoss`, float32 for `BCELoss` and
    `BCEWithLogitsLoss`), one-hot rows for every other.

    Raises:
        InputError: It fails, gives something else than one number, or has no gradient.
    """
    loss, number = own_loss(classifier._loss), classifier.nb_classes
    device = classifier.device
    scores = torch.full((2, number), 1 / number, device=device, requires_grad=True)
    labels = classifier.reduce_labels(torch.eye(number, device=device)[:2])
    expected = (
        f"the loss must make one number, with a gradient, of scores of shape (2, {number}) and "
        f"{labels.dtype} labels of shape {tuple(labels.shape)}"
    )
    name = type(loss).__name__
    cure = "take CrossEntropyLoss(), or another loss of class scores with reduction='mean' or 'sum'"
    with torch.enable_grad():
        try:
            value = loss(scores, labels)
        # the user's own code, or torch's refusal of such labels
        except Exception as error:
            msg = f"{expected}; {name} fails: {type(error).__name__}: {error}; {cure}"
            raise InputError(msg) from error
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        msg = f"{expected}; {name} gives {shape}; {cure}"
        raise InputError(msg)
