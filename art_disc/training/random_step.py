"""R-FGSM, the adversary against which published binarised networks were trained."""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from art_disc.core.showing import Shown
from art_disc.training.adversary import Adversary, check_budget, gradient_sign


@dataclass(frozen=True, slots=True)
class RandomStepFGSM(Shown):
    """One step along the gradient's sign, taken at a point that a random step leads to.

    The random step is alpha = eps / 2 times a sign drawn for each pixel; images stay in [0, 1].

    Args:
        eps: Budget in (0, 1].
        printed: The second step is eps, as Panda et al. 2019 print it, and images lie up to 1.5 eps
            away. Otherwise it is eps - alpha, and they stay within eps.

    Raises:
        InputError: Another budget.

    Source: Tramer et al. 2018, section 4.1 (RAND+FGSM); Panda, Chakraborty, Roy 2019, section 3.
    """

    eps: float
    printed: bool = False

    def __post_init__(self) -> None:
        check_budget(self.eps)

    def at(self, progress: float) -> Self:
        """Return itself: it is as strong at every moment of the training."""
        del progress
        return self

    def scaled(self, share: float) -> Self:
        """Return the adversary within this share, in (0, 1], of its budget."""
        return replace(self, eps=share * self.eps)

    def look(self) -> Adversary:
        """Return PGD-20 at the same budget."""
        return Adversary(self.eps, steps=20)

    def moved(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Return moved images; see `AnyAdversary`."""
        alpha = self.eps / 2
        drawn = torch.randn(x.shape, generator=generator).to(x.device)
        shifted = (x + alpha * drawn.sign()).clamp(0, 1)
        step = self.eps if self.printed else self.eps - alpha
        return (shifted + step * gradient_sign(model, shifted, y)).clamp(0, 1)

    def facts(self) -> dict[str, Any]:
        """Return what decides the moved images, in plain values."""
        return {"method": "r_fgsm", "eps": float(self.eps), "printed": self.printed}

    def describe(self) -> str:
        """Return one readable phrase."""
        form = ", as printed: up to 1.5 eps" if self.printed else ""
        return f"adversarial (R-FGSM, eps {self.eps:.4g}{form})"
