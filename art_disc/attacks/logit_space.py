"""The attack with which thermometer codes were first evaluated: gradient ascent over levels."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.attacks.base import OwnAttack, drawn_seed
from art_disc.core.checks import BoolArray, Float32Array
from art_disc.core.errors import InputError
from art_disc.defences import traits
from art_disc.estimators import DefendedClassifier

# from a border, relative and absolute: values on the 255 scale must not round across it
_INSIDE = 4e-7


@dataclass(eq=False, repr=False)
class LogitSpacePGA(OwnAttack):
    """Gradient ascent on one logit a level, through a softmax that hardens from step to step.

    Only levels that a change within `eps` reaches take part. The network sees the softmax's code,
    in the end each channel goes to its likeliest level, at that level's value nearest to the image.
    A weak baseline: codes between the levels are none that the network knows.

    Args:
        estimator: A classifier whose one defence is a `Thermometer` in its module.
        eps: l_inf budget in the input range.
        eps_step: Step on a logit.
        max_iter: Steps.
        anneal_rate: Factor > 0 of the softmax's inverse temperature, 1 at first, at every step.
        targeted: Move towards `y` instead of away from it.
        batch_size: Images at once.
        verbose: Ignored; ART's attacks have it.

    Raises:
        InputError: A parameter does not fit.

    Source: Buckman et al. 2018, section 4 (LS-PGA), with its settings for training: 7 steps of
    size 1, annealed by 1.2. We step along the gradient's sign, as the paper does; the published
    code takes the sign and then steps along the gradient itself.
    """

    eps: float = 8 / 255
    eps_step: float = 1.0
    max_iter: int = 7
    anneal_rate: float = 1.2
    targeted: bool = False
    batch_size: int = 128
    verbose: bool = True

    _positive = ("eps_step", "anneal_rate")
    _estimator_requirements = (DefendedClassifier,)

    def _check_params(self) -> None:
        defences = self.estimator.defences
        if len(defences) != 1 or not self.estimator.model.preprocessors:
            defences = ()
        if not defences or traits(defences[0]).level_code() is None:
            msg = "LogitSpacePGA needs a classifier with one defence, a Thermometer in its module"
            raise InputError(msg)
        super()._check_params()

    def _run(self, x: Float32Array, labels: NDArray[np.int64], free: BoolArray) -> Float32Array:
        generator = torch.Generator().manual_seed(drawn_seed())
        device = self.estimator.device
        images, goals, where = (
            torch.tensor(whole, device=device).split(self.batch_size) for whole in (x, labels, free)
        )
        parts = zip(images, goals, where, strict=True)
        return torch.cat([self._attack(a, b, c, generator) for a, b, c in parts]).numpy()

    def _attack(
        self, x: Tensor, labels: Tensor, free: Tensor, generator: torch.Generator
    ) -> Tensor:
        step = self.estimator.defences[0].map
        unit, upper = step.enter(x), step.upper
        # of no budget, a value keeps its level
        where = free if step.channels_first else free.movedim(-1, 1)
        reach = where.to(unit.dtype) * (self.eps / upper)
        low, high = ((unit + sign * reach).clamp(0, 1) for sign in (-1, 1))
        index = torch.arange(step.code.n_levels, device=x.device).view(-1, 1, 1)
        first, last = (step.code.level(value).unsqueeze(2) for value in (low, high))
        barred = (index < first) | (index > last)
        logits = torch.randn(barred.shape, generator=generator).to(x.device)
        heat = 1.0
        for _ in range(self.max_iter):
            logits = self._ascend(logits, barred, labels, heat)
            heat *= self.anneal_rate
        level = logits.masked_fill(barred, -torch.inf).argmax(dim=2)
        bottom, top = level / step.code.n_levels, (level + 1) / step.code.n_levels
        inside = unit.clamp(bottom * (1 + _INSIDE) + _INSIDE, top * (1 - _INSIDE) - _INSIDE)
        # a value that is in its level already, on a border too, stays what it is
        inside = torch.where(level == step.code.level(unit), unit, inside)
        found: Tensor = step.leave(inside.clamp(low, high) * upper).cpu()
        return found

    def _ascend(self, logits: Tensor, barred: Tensor, labels: Tensor, heat: float) -> Tensor:
        step = self.estimator.defences[0].map
        leaf = logits.detach().requires_grad_()
        share = torch.softmax((heat * leaf).masked_fill(barred, -torch.inf), dim=2)
        codes = step.leave(step.code.from_shares(share).flatten(1, 2))
        scores = self.estimator.base_network(self.estimator.standardised(codes))
        loss = nn.functional.cross_entropy(scores, labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, leaf)
        return logits + (-1 if self.targeted else 1) * self.eps_step * slope.sign()
