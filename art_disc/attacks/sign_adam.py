"""The attack of the pixel-discretisation papers: Adam on gradient signs with a margin loss."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from art_disc.attacks.base import OwnAttack
from art_disc.core.checks import BoolArray, Float32Array


class MarginLoss(nn.Module):
    """Best wrong logit minus the correct one, so that a rising loss means a nearer error.

    Args:
        reduction: `mean`, `sum` or `none`.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss of logits (n, k) for labels (n,) or one-hot rows (n, k)."""
        labels = y.argmax(dim=1) if y.ndim == 2 else y
        correct = nn.functional.one_hot(labels.long(), logits.shape[1]).bool()
        wrong = logits.masked_fill(correct, -torch.inf).amax(dim=1)
        margin = wrong - logits[correct]
        if self.reduction == "none":
            return margin
        return margin.sum() if self.reduction == "sum" else margin.mean()


@dataclass(eq=False, repr=False)
class SignAdamBPDA(OwnAttack):
    """Adam, fed with the sign of the margin loss's gradient; no random start, last iterate kept.

    The gradient goes through whatever surrogate the classifier's defences carry (BPDA). The first
    step has exactly the size `eps_step`; afterwards Adam's momentum on signs decides. Each step is
    clipped to the clip values, then to the l_inf ball.

    Args:
        estimator: An ART `PyTorchClassifier` that returns logits.
        eps: l_inf budget in the input range.
        eps_step: Adam's rate, in the input range.
        max_iter: Steps.
        targeted: Move towards `y` instead of away from it.
        batch_size: Images at once.
        verbose: Show a progress bar.

    Raises:
        InputError: A parameter does not fit.

    Source: the published code of Chen et al. 2018 and 2019 (its text says only BPDA with PGD); Adam
    with TensorFlow's defaults (Kingma and Ba 2015: 0.9, 0.999, 1e-8).
    """

    eps: float = 0.3
    eps_step: float = 0.01
    max_iter: int = 100
    targeted: bool = False
    batch_size: int = 128
    verbose: bool = True

    _positive = ("eps_step",)
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, PyTorchClassifier)

    def _run(self, x: Float32Array, labels: NDArray[np.int64], free: BoolArray) -> Float32Array:
        attacked = self._with_margin_loss()
        starts = range(0, len(x), self.batch_size)
        batches = [slice(start, start + self.batch_size) for start in starts]
        parts = [
            self._attack(attacked, x[part], labels[part], free[part])
            for part in tqdm(batches, desc="SignAdamBPDA", disable=not self.verbose)
        ]
        return np.concatenate(parts)

    def _with_margin_loss(self) -> PyTorchClassifier:
        """Rebuild the classifier around another loss, as ART's own attacks do."""
        estimator = self.estimator
        return PyTorchClassifier(
            model=estimator.model,
            loss=MarginLoss(),
            input_shape=estimator.input_shape,
            nb_classes=estimator.nb_classes,
            channels_first=estimator.channels_first,
            clip_values=estimator.clip_values,
            preprocessing_defences=estimator.preprocessing_defences,
            postprocessing_defences=estimator.postprocessing_defences,
            preprocessing=estimator.preprocessing,
            device_type=estimator.device_type,
        )

    def _attack(
        self,
        attacked: PyTorchClassifier,
        x: Float32Array,
        labels: NDArray[np.int64],
        free: BoolArray,
    ) -> Float32Array:
        onehot = np.eye(attacked.nb_classes, dtype=np.float32)[labels]
        low, high = (np.asarray(v, dtype=np.float32) for v in attacked.clip_values)
        eps = np.float32(self.eps)
        first = np.zeros_like(x)
        second = np.zeros_like(x)
        adversarial = x.copy()
        for step in range(1, self.max_iter + 1):
            gradient: Any = np.where(free, attacked.loss_gradient(adversarial, onehot), 0)
            sign = np.sign(gradient).astype(np.float32)
            first = np.float32(0.9) * first + np.float32(0.1) * sign
            second = np.float32(0.999) * second + np.float32(0.001) * sign * sign
            # TensorFlow's form: epsilon is not scaled by the bias correction
            rate = np.float32(self.eps_step * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
            move = rate * first / (np.sqrt(second) + np.float32(1e-8))
            adversarial = adversarial - move if self.targeted else adversarial + move
            adversarial = np.clip(np.clip(adversarial, low, high), x - eps, x + eps)
        return adversarial
